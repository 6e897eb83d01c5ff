"""Wheels of the core and of every plugin: whole, free of surprises, and enough to list all parts from anywhere."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[2]
HOMES = [ROOT, *sorted(path.parent for path in (ROOT / "plugins").glob("[!_]*/pyproject.toml"))]

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


@attrs.frozen
class Installed:
    """An environment with the wheels, and a folder far from the checkout to call it from."""

    python: Path
    elsewhere: Path

    def call(self, *words: str) -> str:
        """Standard output of the environment's interpreter; fails with its errors."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SA3DHP"))}
        run = subprocess.run(
            [self.python, *words], cwd=self.elsewhere, env=clean, capture_output=True, text=True, timeout=120
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout


def package_of(home: Path) -> str:
    return "sa3dhp_core" if home == ROOT else f"sa3dhp_{home.name}"


def files_of(folder: Path) -> set[str]:
    """What lies under a source folder, relative to where it stands."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder.parent).as_posix() for path in found}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of each package, built from this checkout."""
    found = {}
    for home in HOMES:
        out = tmp_path_factory.mktemp("wheel")
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
        run = subprocess.run(build, cwd=home, capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, run.stdout + run.stderr
        (found[package_of(home)],) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheels: dict[str, Path], libraries: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A new environment that has the libraries of this one, and of sa3dhp the wheels alone."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, symlinks=True, with_pip=False)
    python = home / "bin" / "python"
    (site,) = home.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(f"{libraries}\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-index", "--no-deps"]
    run = subprocess.run([*pip, *map(str, wheels.values())], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    return Installed(python, tmp_path_factory.mktemp("elsewhere"))


@pytest.mark.parametrize("home", HOMES, ids=package_of)
def test_a_wheel_holds_its_package_and_nothing_else(wheels: dict[str, Path], home: Path) -> None:
    package = package_of(home)
    with zipfile.ZipFile(wheels[package]) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    expected = files_of(home / package)
    if home == ROOT:
        expected |= {f"sa3dhp_core/{name}" for name in files_of(ROOT / "registry")}
    assert sorted(names) == sorted(expected)
    assert len(names) == len(set(names))


def test_all_parts_are_listed_from_another_folder(installed: Installed) -> None:
    sa3dhp = str(installed.python.with_name("sa3dhp"))
    components = json.loads(installed.call(sa3dhp, "plugins", "list", "--json", "--strict-plugins"))["components"]
    assert {part["distribution"] for part in components} == {
        f"sa3dhp-{home.name.replace('_', '-')}" for home in HOMES[1:]
    }
    recipes = installed.call(sa3dhp, "recipes", "list")
    assert all(path.stem in recipes for path in (ROOT / "registry" / "recipes").glob("*.toml"))


def test_the_registry_is_read_from_the_wheel(installed: Installed) -> None:
    folder, recipes, configs = json.loads(installed.call("-c", LOOK))
    assert Path(folder).parts[-3:] == ("site-packages", "sa3dhp_core", "registry")
    assert str(ROOT) not in folder and "quickstart" in recipes and configs > 0
