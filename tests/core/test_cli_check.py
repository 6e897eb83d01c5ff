"""``sa3dhp plugins check``, and what the command line says about every kind of bad plugin."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sa3dhp_core import __version__
from sa3dhp_core.cli import console

Call = Callable[..., Any]
Distribute = Callable[..., str]

TURNED = """
    import attrs
    from sa3dhp_core.components import Component
    from sa3dhp_core.hookspecs import hookimpl

    @attrs.frozen
    class Config:
        degrees: float = attrs.field(default={degrees}, metadata={{"help": "angle of the turn"}})

    def build(config, skeleton):
        import math
        from sa3dhp_core.conformance.reference import MatrixRelation
        from sa3dhp_core.geometry import rotation_z
        print("built")
        return MatrixRelation(rotation_z(math.radians(config.degrees)), skeleton)

    @hookimpl
    def sa3dhp_relations():
        return [{offered}]
"""
GEOMETRIC = '"geometric", "acts-on-images", "keeps-bones"'


def turned(id: str = "turned", claims: str = GEOMETRIC, degrees: float = 180.0, more: str = "") -> str:
    """The module of a plugin with one relation that claims to be its own inverse, beside other things."""
    offer = f'Component("relation", "{id}", "a turn", f"{{__name__}}:Config", f"{{__name__}}:build",'
    return TURNED.format(degrees=degrees, offered=f'{offer} capabilities=("involution", {claims}), {more})')


BAD = {
    "raises-at-import": ("raise RuntimeError('no sun')", (), "RuntimeError: no sun", "pip install --force-reinstall"),
    "returns-a-wrong-type": (turned().replace("return [", "return lambda: ["), (), "returns function", "a list of"),
    "offers-a-wrong-type": (turned().replace("return [", "return ['turned', "), (), "of type str", "Component values"),
    "claims-the-unknown": (turned(claims='"geometrik"'), (), "unknown capability 'geometrik'", "mean 'geometric'"),
    "asks-for-a-newer-host": (turned(), ("sa3dhp>=999",), f"needs sa3dhp>=999, and this is {__version__}", "--upgrade"),
    "zz-duplicates-an-id": (turned("taken"), (), "'taken', which good-turn 1.0 offers already", "uninstall one of"),
}
"""Source, requirements, what is said to be wrong, what is said to do."""


pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", BAD)
def test_a_bad_plugin_is_named_explained_and_left_out(name: str, call: Call, distribute: Distribute) -> None:
    source, requires, problem, hint = BAD[name]
    distribute(name, source, requires=requires)
    only = f"{distribute('good-turn', turned('taken'))},{name}"
    listed = json.loads(call("plugins", "list", "--json", only=only).stdout)
    assert [(c["id"], c["distribution"]) for c in listed["components"] if c["id"] == "taken"] == [
        ("taken", "good-turn")
    ]
    (broken,) = listed["broken"]
    assert broken["distribution"] == name and problem in broken["problem"] and hint in broken["hint"]
    strict = call("plugins", "list", "--strict-plugins", only=only)
    assert strict.returncode == 2 and name in strict.stderr and problem in strict.stderr
    checked = call("plugins", "check", name, only=only)
    assert checked.returncode == 1 and f"BROKEN plugin:{name}: is-accepted" in checked.stdout
    assert problem in checked.stdout and hint in checked.stdout and "Traceback" not in checked.stderr


def test_a_symmetry_that_is_broken_is_found(call: Call, distribute: Distribute) -> None:
    name = distribute("quarter-turn", turned(degrees=90.0))
    assert not json.loads(call("plugins", "list", "--json", only=name).stdout)["broken"]
    done = call("plugins", "check", name, only=name)
    assert done.returncode == 1
    assert "BROKEN relation:turned: twice-is-the-identity" in done.stdout and "1 broken" in done.stdout
    assert done.stdout.count("BROKEN ") == 1


def test_a_good_plugin_is_checked_by_its_name(call: Call, distribute: Distribute) -> None:
    name = distribute("half-turn", turned())
    done = call("plugins", "check", name, only=name)
    assert done.returncode == 0 and "every promise is kept" in done.stdout and "built" not in done.stdout
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("relation:turned")]
    assert int(row.split()[1]) > 15 and row.split()[2:4] == ["0", "0"]
    content = json.loads(call("plugins", "check", name, "--json", only=name).stdout)
    assert content["profile"] == "quick" and {o["status"] for o in content["outcomes"]} == {"kept"}
    unknown = call("plugins", "check", "half-tern", only=name)
    assert unknown.returncode == 2 and "did you mean 'half-turn'" in unknown.stderr


def test_an_expected_failure_is_printed_with_its_reason(call: Call, distribute: Distribute) -> None:
    known = 'expected_failures={"twice-is-the-identity": "a quarter only"}'
    name = distribute("known-quarter", turned(degrees=90.0, more=known))
    done = call("plugins", "check", name, only=name)
    assert done.returncode == 0 and "KNOWN TO FAIL relation:turned: twice-is-the-identity" in done.stdout
    assert "a quarter only" in done.stdout
    mended = call("plugins", "check", distribute("mended", turned("mended", more=known)), only="mended")
    assert mended.returncode == 1 and "but it is kept" in mended.stdout
    typo = distribute("typo", turned("typo", more='expected_failures={"twice-is-the-identit": "?"}'))
    refused = call("plugins", "check", typo, only=typo)
    assert refused.returncode == 1 and "did you mean 'twice-is-the-identity'" in refused.stdout


def test_a_source_folder_is_checked_without_being_installed(call: Call, distribute: Distribute, site: Path) -> None:
    installed = distribute("folder-turn", "raise RuntimeError('the installed one')")
    folder = site / "sources"
    folder.mkdir()
    (folder / "folder_turn_source.py").write_text(turned().replace("\n    ", "\n"), encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "folder-turn"\nversion = "3"\nentry-points.sa3dhp.turn = "folder_turn_source"\n', "utf-8"
    )
    for argument in (str(folder), "./sources", "sources"):
        done = call("plugins", "check", argument, only=installed if argument == "sources" else "none")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "relation:turned" in done.stdout
    empty = call("plugins", "check", str(site), only="none")
    assert empty.returncode == 2 and "no source folder of a plugin" in empty.stderr


def test_without_any_plugin_there_is_nothing_to_check(call: Call) -> None:
    done = call("plugins", "check", only="none")
    assert done.returncode == 2 and "no plugin is installed" in done.stderr and "sa3dhp[all]" in done.stderr


@pytest.mark.parametrize("library", ["hypothesis", "pytest"])
def test_without_the_kits_libraries_it_says_what_to_install(process: Call, toy: str, library: str) -> None:
    program = f"import sys; sys.modules[{library!r}] = None; from sa3dhp_core.cli import main; main()"
    done = process(program, "plugins", "check", toy, only=toy)
    assert done.returncode == 2 and f"checking needs {library}" in done.stderr, done.stderr
    assert 'pip install "sa3dhp[testing]"' in done.stderr


def test_progress_is_shown_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for terminal, shown in ((False, ""), (True, "\r\x1b[2Krelation:flip\r\x1b[2K")):
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
        with console.progress() as say:
            say("relation:flip")
        assert capsys.readouterr().err == shown
