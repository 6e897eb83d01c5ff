"""A stranger's plugin, from nothing to a run, in a new environment and with no change to the core; and the tutorial."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sa3dhp_core.host import Host
from sa3dhp_core.recipe import to_toml
from sa3dhp_core.source_folder import SourceFolder
from tests.recipes.shrinking import shrunk

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "your_own_relation.md"
TINY = ROOT / "tests" / "end_to_end" / "tiny.toml"
MOST = 25
"""Lines that one may have to write by hand."""

slow = pytest.mark.slow
patient = pytest.mark.timeout(900)
with_hatchling = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None, reason="no hatchling: pip install 'sa3dhp[dev]'"
)


@slow
@patient
@with_hatchling
def test_a_new_plugins_wheel_is_listed_checked_and_run(
    environment: Callable[[], Any], build_wheel: Callable[[Path], Path]
) -> None:
    there = environment()
    there.run("sa3dhp", "plugins", "new", "sway", "--kind", "relation", "--out", "sources")
    there.install(build_wheel(there.elsewhere / "sources"))
    listed = json.loads(there.run("sa3dhp", "plugins", "list", "--json", "--strict-plugins"))["components"]
    (own,) = [part for part in listed if part["distribution"] == "sway"]
    assert (own["noun"], own["id"], own["version"]) == ("relation", "sway", "0.1.0")
    outcomes = json.loads(there.run("sa3dhp", "plugins", "check", "sway", "--json"))["outcomes"]
    assert {outcome["status"] for outcome in outcomes} == {"kept"} and len(outcomes) > 15
    recipe = TINY.read_text(encoding="utf-8").replace('use = "slow"', 'use = "sway"').replace('name = "slow"', "")
    (there.elsewhere / "swaying.toml").write_text(recipe, encoding="utf-8")
    results = json.loads(there.run("sa3dhp", "run", "swaying.toml", "--out", "out", "--json"))
    assert {"relation tilt(8)", "adapted"} <= {record["row"] for record in results["records"]}


def hand_written(text: str) -> int:
    """How many lines the tutorial's reader writes."""
    return sum(line.startswith("+") for block in fenced(text, "diff") for line in block.splitlines())


def fenced(text: str, *languages: str) -> list[str]:
    """The fenced blocks in these languages, in order; with several languages, each block has its own before it."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    named = len(languages) > 1
    return [f"{language}\n{block}" if named else block for language, block in found if language in languages]


def change(folder: Path, block: str) -> None:
    """Make the changes that a block shows: hunks after ``@@``, or a whole file where there is none."""
    head, *hunks = re.split(r"^@@\n", block, flags=re.MULTILINE)
    name, *new = head.removeprefix("--- ").splitlines()
    path = folder / name
    if not hunks:
        path.write_text("".join(f"{line[1:]}\n" for line in new), encoding="utf-8")
        return
    text = path.read_text(encoding="utf-8")
    for hunk in hunks:
        old, new_ = ("".join(f"{line[1:]}\n" for line in hunk.splitlines() if line[:1] != other) for other in "+-")
        assert text.count(old) == 1, f"{name} has {text.count(old)} times\n{old}"
        text = text.replace(old, new_)
    path.write_text(text, encoding="utf-8")


def calls(block: str) -> Iterator[tuple[list[str], list[str]]]:
    """The words of each call, and the lines that are shown below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        yield shlex.split(line), shown.splitlines()


def differs(shown: list[str], printed: list[str]) -> str | None:
    """What is shown and not printed, in order; ``…`` stands for any lines."""
    rest = iter(printed)
    for line in shown:
        if line != "…" and line not in rest:
            return line
    return None if "…" in shown or shown == printed else "more is printed than shown"


def test_the_tutorial_counts_its_lines() -> None:
    text = TUTORIAL.read_text(encoding="utf-8")
    assert f"{hand_written(text)} lines written by hand" in " ".join(text.split())
    assert 10 < hand_written(text) <= MOST


def test_the_reader_of_the_tutorial_is_strict(tmp_path: Path) -> None:
    assert differs(["a", "…", "c"], ["a", "b", "c"]) is None and differs(["a"], ["a"]) is None
    assert differs(["c", "…", "a"], ["a", "b", "c"]) == "a" and differs(["a"], ["a", "b"])
    (tmp_path / "x.py").write_text("one\ntwo\n", encoding="utf-8")
    change(tmp_path, "--- x.py\n@@\n one\n-two\n+three\n")
    assert (tmp_path / "x.py").read_text(encoding="utf-8") == "one\nthree\n"
    with pytest.raises(AssertionError, match="0 times"):
        change(tmp_path, "--- x.py\n@@\n-two\n+three\n")
    change(tmp_path, "--- y.py\n+new\n+\n")
    assert (tmp_path / "y.py").read_text(encoding="utf-8") == "new\n\n"
    assert hand_written("```diff\n--- y\n+new\n+\n-old\n```\n") == 2


@slow
@patient
@with_hatchling
def test_the_tutorial_works(environment: Callable[[], Any]) -> None:
    there = environment()
    for block in fenced(TUTORIAL.read_text(encoding="utf-8"), "diff", "session"):
        language, _, content = block.partition("\n")
        if language == "diff":
            change(there.elsewhere, content)
            continue
        for words, shown in calls(content):
            printed = obey(there, words, 1 if shown[-1:] == ["1 broken"] else 0)
            assert differs(shown, [line.rstrip() for line in printed.splitlines()]) is None, f"{words}\n{printed}"


def obey(there: Any, words: list[str], code: int) -> str:
    """Run a call of the tutorial; a recipe is made small first."""
    if words[:2] == ["pip", "install"]:
        there.install(*words[2:])
        return ""
    if words[:2] == ["sa3dhp", "run"]:
        shrink(there.elsewhere / words[2], there.elsewhere / "nod-plugin")
    if words[0] == "python":
        words = words[1:]
    printed: str = there.run(*words, code=code)
    return printed


def shrink(recipe: Path, plugin: Path) -> None:
    """Write the recipe anew, with everything in it that costs time made small."""
    before, path = set(sys.modules), list(sys.path)
    try:
        host = Host.load(folders=[SourceFolder(plugin)])
        recipe.write_text(to_toml(shrunk(str(recipe), host)), encoding="utf-8")
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "nod":
                del sys.modules[name]
