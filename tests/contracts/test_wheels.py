"""Wheels of the core and of every plugin: whole, free of surprises, and enough to list all parts from anywhere."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOMES = [ROOT, *sorted(path.parent for path in (ROOT / "plugins").glob("[!_]*/pyproject.toml"))]

SHIPPED = {"registry": "registry", "plugins/_template": "template", "docs/nouns": "nouns"}
"""Folders of data that the core's wheel holds, and where in the package."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="no hatchling: pip install 'sa3dhp[dev]'"),
]

LOOK = """
import json
from sa3dhp_core.cards import card_ids, registry_folder
from sa3dhp_core.host import Host
host = Host.load(strict=True)
configs = [offer.component.load_config().__name__ for offer in host.offers]
print(json.dumps([str(registry_folder()), card_ids("recipes"), len(configs)]))
"""


def package_of(home: Path) -> str:
    return "sa3dhp_core" if home == ROOT else f"sa3dhp_{home.name}"


def files_of(folder: Path) -> set[str]:
    """What lies under a source folder, relative to where it stands."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder.parent).as_posix() for path in found}


@pytest.fixture(scope="module")
def installed(environment: Callable[[], Any]) -> Any:
    """A new environment with the wheels."""
    return environment()


@pytest.mark.parametrize("home", HOMES, ids=package_of)
def test_a_wheel_holds_its_package_and_nothing_else(wheels: dict[Path, Path], home: Path) -> None:
    package = package_of(home)
    with zipfile.ZipFile(wheels[home]) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    expected = files_of(home / package)
    if home == ROOT:
        for source, inside in SHIPPED.items():
            names_of = (name.partition("/")[2] for name in files_of(ROOT / source))
            expected |= {f"sa3dhp_core/{inside}/{name}" for name in names_of}
    assert sorted(names) == sorted(expected)
    assert len(names) == len(set(names))


def test_all_parts_are_listed_from_another_folder(installed: Any) -> None:
    components = json.loads(installed.run("sa3dhp", "plugins", "list", "--json", "--strict-plugins"))["components"]
    assert {part["distribution"] for part in components} == {
        f"sa3dhp-{home.name.replace('_', '-')}" for home in HOMES[1:]
    }
    recipes = installed.run("sa3dhp", "recipes", "list")
    assert all(path.stem in recipes for path in (ROOT / "registry" / "recipes").glob("*.toml"))


def test_the_registry_is_read_from_the_wheel(installed: Any) -> None:
    folder, recipes, configs = json.loads(installed.run("-c", LOOK))
    assert Path(folder).parts[-3:] == ("site-packages", "sa3dhp_core", "registry")
    assert str(ROOT) not in folder and "quickstart" in recipes and configs > 0
