"""What the house promises on paper: licence, distributions, pins, cards, no data of others."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from sa3dhp_core.cards import card_ids, read_card, registry_folder, skeleton
from sa3dhp_core.host import Host
from sa3dhp_core.plugin_cards import PluginCard, card_of, load_plugin_card, plugin_card_from
from sa3dhp_core.source_folder import SourceFolder

ROOT = Path(__file__).resolve().parents[2]
HOMES = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
FIRST_PARTY = [home for home in HOMES if not home.name.startswith("_")]
DATA = {".npz", ".bvh", ".npy", ".mp4", ".safetensors", ".pt", ".pth", ".pkl"}


def settings_of(home: Path) -> dict[str, Any]:
    """A distribution's pyproject."""
    return tomllib.loads((home / "pyproject.toml").read_text(encoding="utf-8"))


def imported(paths: Iterable[Path]) -> set[str]:
    """Top-level names of everything that some modules import, wherever in them."""
    names: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add((node.module or "").split(".")[0])
    return names


EXTRAS = {"conformance": "testing", "export": "export"}
"""Rooms whose libraries come with an extra."""


def undeclared(home: Path, package: Path) -> list[str]:
    """What a package imports and neither the standard library, itself nor its distribution's requirements give.

    A room of `EXTRAS`, if there is one, may also import what its extra brings.
    """
    project = settings_of(home)["project"]
    texts, extras = project["dependencies"], project.get("optional-dependencies", {})
    rooms = {extra: set((package / room).rglob("*.py")) for room, extra in EXTRAS.items()}
    found = _foreign(set(package.rglob("*.py")).difference(*rooms.values()), package, texts)
    for extra, room in rooms.items():
        found |= _foreign(room, package, [*texts, *extras.get(extra, [])])
    return sorted(found)


DISTRIBUTIONS = {"PIL": "pillow"}
"""Modules whose distribution has another name."""


def _foreign(paths: Iterable[Path], package: Path, requirements: list[str]) -> set[NormalizedName]:
    declared = {canonicalize_name(Requirement(text).name) for text in requirements}
    given = {"sa3dhp-core" if name == "sa3dhp" else name for name in declared} | {canonicalize_name(package.name)}
    names = {DISTRIBUTIONS.get(name, name) for name in imported(paths) if name not in sys.stdlib_module_names}
    return set(map(canonicalize_name, names)) - given


def pins() -> dict[str, Version]:
    """constraints.txt by distribution."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    split = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in split}


def test_the_licence_is_apache_2_everywhere() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert {settings_of(home)["project"]["license"] for home in [ROOT, *HOMES]} == {"Apache-2.0"}


def test_the_readme_keeps_the_two_commands_and_the_makefile_has_them() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in ("make demo", "make test"):
        assert command in readme
    for target in ("setup", "demo", "test", "bench", "lint"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.name)
def test_a_plugin_is_a_distribution_that_the_host_finds(home: Path) -> None:
    project = settings_of(home)["project"]
    name = home.name.strip("_")
    assert project["name"] == f"sa3dhp-{name.replace('_', '-')}"
    assert project["entry-points"]["sa3dhp"] == {name: f"sa3dhp_{name}.plugin"}
    assert project["requires-python"] == settings_of(ROOT)["project"]["requires-python"]
    assert any(Requirement(text).name == "sa3dhp" for text in project["dependencies"])


@pytest.mark.parametrize("home", [ROOT, *HOMES], ids=lambda home: home.name)
def test_every_import_is_declared(home: Path) -> None:
    package = ROOT / "sa3dhp_core" if home == ROOT else home / f"sa3dhp_{home.name.strip('_')}"
    assert undeclared(home, package) == []


def test_an_undeclared_import_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["torch>=2.6"]\n')
    package = tmp_path / "sa3dhp_odd"
    package.mkdir()
    (package / "part.py").write_text("def late():\n    import os, torch, scipy.io\n    import sa3dhp_odd\n")
    assert undeclared(tmp_path, package) == ["scipy"]
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["torch>=2.6"]\noptional-dependencies.testing = ["scipy", "pytest"]\n'
    )
    (package / "conformance").mkdir()
    (package / "conformance" / "part.py").write_text("import pytest, einops\n")
    assert undeclared(tmp_path, package) == ["einops", "scipy"]


def test_the_root_knows_every_first_party_plugin() -> None:
    root = settings_of(ROOT)
    offered = {Requirement(text).name for text in root["project"]["optional-dependencies"]["all"]}
    assert offered == {settings_of(home)["project"]["name"] for home in FIRST_PARTY}
    packages = {f"sa3dhp_{home.name}" for home in FIRST_PARTY}
    tools = root["tool"]
    assert {"sa3dhp_core", *packages} == set(tools["importlinter"]["root_packages"])
    contracts = {contract["id"]: contract for contract in tools["importlinter"]["contracts"]}
    assert packages <= set(contracts["core-imports-no-plugin"]["forbidden_modules"])
    assert packages == set(contracts["plugins-are-independent"]["modules"])
    assert {f"plugins/{home.name}" for home in HOMES} <= set(tools["mypy"]["mypy_path"])


def test_every_requirement_is_pinned_within_its_range() -> None:
    pinned = pins()
    assert pinned["torch"] == Version("2.13.0")
    problems = []
    for home in [ROOT, *HOMES]:
        project = settings_of(home)["project"]
        extras = [text for texts in project.get("optional-dependencies", {}).values() for text in texts]
        for requirement in map(Requirement, [*project["dependencies"], *extras]):
            name = canonicalize_name(requirement.name)
            if not name.startswith("sa3dhp") and not requirement.specifier.contains(pinned.get(name, Version("0"))):
                problems.append(f"{home.name}: {requirement} against pin {pinned.get(name)}")
    assert problems == []


def required(text: str) -> set[str]:
    """Distributions that a requirement brings into this environment, its own among them."""
    brought: set[str] = set()
    waiting = [(Requirement(text), "")]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        if name.startswith("sa3dhp") or (name in brought and not requirement.extras):
            continue
        brought.add(name)
        try:
            own = [Requirement(line) for line in metadata.requires(name) or ()]
        except metadata.PackageNotFoundError:  # an extra that is not installed here: its own pin is still wanted
            own = []
        waiting += [(needed, wanted) for needed in own for wanted in ("", *requirement.extras)]
    return brought


def test_constraints_pin_all_that_an_installation_brings() -> None:
    pinned, free = pins(), set()
    for home in [ROOT, *HOMES]:
        project = settings_of(home)["project"]
        extras = [text for texts in project.get("optional-dependencies", {}).values() for text in texts]
        for text in [*project["dependencies"], *extras, *settings_of(home)["build-system"]["requires"]]:
            free |= required(text) - set(pinned)
    # builds of torch differ in what they bring, and each names it exactly; some bring setuptools
    assert {name for name in free if not name.startswith(("nvidia-", "cuda-", "triton", "setuptools"))} == set()


def card_problems(cards: Mapping[str, Any], offered: Mapping[str, Any]) -> list[str]:
    """Distributions whose card is missing, belongs to none, or says something else than they offer."""
    names = {*cards, *offered}
    return sorted(name for name in names if cards.get(name) != offered.get(name))


def test_cards_of_plugins_and_installed_entry_points_are_equal() -> None:
    """In both directions; after a change of a component: python docs/generate.py."""
    cards = {name: load_plugin_card(name) for name in card_ids("plugins")}
    host = Host.load(only=[settings_of(home)["project"]["name"] for home in FIRST_PARTY])
    offered: dict[str, PluginCard] = {}
    for home in FIRST_PARTY:
        folder = SourceFolder(home)
        own = [offer.component for offer in host.offers if offer.distribution == folder.name]
        written = read_card("plugins", folder.name) if folder.name in cards else None
        offered[folder.name] = card_of(folder, own, f"plugins/{home.name}", written)
    assert card_problems(cards, offered) == [], "run: python docs/generate.py"


def test_a_card_that_drifts_is_noticed() -> None:
    assert card_problems({"a": 1, "b": 2}, {"a": 1, "b": 2}) == []
    assert card_problems({"a": 1, "b": 2}, {"a": 3, "c": 2}) == ["a", "b", "c"]


def test_the_card_that_the_documents_show_fits_the_schema() -> None:
    page = (ROOT / "docs" / "plugin_cards.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert plugin_card_from(tomllib.loads(shown), "page").components[0].known_gaps


def test_every_card_parses() -> None:
    kinds = [path.name for path in registry_folder().iterdir() if path.is_dir()]
    cards = [(kind, card) for kind in kinds for card in card_ids(kind)]
    assert ("skeletons", "h36m-17") in cards
    for kind, card in cards:
        assert read_card(kind, card), f"{kind}/{card} is empty"


@pytest.mark.parametrize("card", card_ids("skeletons"))
def test_every_skeleton_hangs_together(card: str) -> None:
    bones = skeleton(card)
    assert len(bones.bones) == len(bones) - 1
    assert [bones.mirror[i] for i in bones.mirror] == list(range(len(bones)))
    assert set(bones.bone_lengths_m) == set(bones.joints) - {bones.root}
    for left, right in bones.pairs:
        assert bones.bone_lengths_m[left] == pytest.approx(bones.bone_lengths_m[right])


def test_the_registry_holds_no_code() -> None:
    assert list(registry_folder().rglob("*.py")) == []


def test_the_repository_holds_no_large_or_foreign_data() -> None:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    tracked = [ROOT / name for name in listing.stdout.split("\0") if name]
    large = [path for path in tracked if path.is_file() and path.stat().st_size > 100_000]
    assert [str(path) for path in large if path.suffix in DATA] == []
    assert [str(path) for path in tracked if "shared" in path.relative_to(ROOT).parts[:1]] == []
