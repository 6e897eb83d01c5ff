"""Every line has a room: docstrings, names, mirrored tests, and plugins that read as one family."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "sa3dhp_core"
NAMELESS = {"utils", "util", "common", "helpers", "helper", "misc"}


def packages() -> list[Path]:
    """The core's package and each plugin's, the template's too."""
    return [CORE, *sorted(path for path in (ROOT / "plugins").glob("*/sa3dhp_*") if path.is_dir())]


def modules() -> list[Path]:
    """Every module of the core and the plugins, and every benchmark and test."""
    found = [path for package in packages() for path in package.rglob("*.py")]
    found += [*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "tests").rglob("*.py"), ROOT / "conftest.py"]
    return sorted([*found, *(ROOT / "plugins").glob("*/tests/**/*.py")])


def without_docstring(paths: list[Path]) -> list[str]:
    """Names of the modules that do not say what they hold."""
    return [str(path) for path in paths if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]


def without_name(paths: list[Path]) -> list[str]:
    """Modules and packages whose name says nothing."""
    return [str(path) for path in paths if {part.removesuffix(".py").strip("_") for part in path.parts[-3:]} & NAMELESS]


def without_mirror(core: Path, tests: Path) -> list[str]:
    """Modules and sub-packages of the core without a test file that starts with their name."""
    nouns = [path.stem for path in core.glob("*.py") if not path.stem.startswith("__")]
    nouns += [path.parent.name for path in core.glob("*/__init__.py")]
    return [noun for noun in sorted(nouns) if not list(tests.rglob(f"test_{noun}*.py"))]


def test_every_module_says_what_it_holds() -> None:
    assert without_docstring(modules()) == []


def test_no_module_is_a_lumber_room() -> None:
    assert without_name([path.relative_to(ROOT) for path in modules()]) == []


def test_every_core_module_has_a_mirrored_test() -> None:
    assert without_mirror(CORE, ROOT / "tests" / "core") == []


def test_no_test_file_is_empty() -> None:
    files = [path for path in modules() if path.name.startswith("test_")]
    assert [str(path) for path in files if "def test_" not in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("package", packages()[1:], ids=lambda path: path.name)
def test_every_plugin_has_the_same_rooms(package: Path) -> None:
    home = package.parent
    assert [name for name in ("README.md", "pyproject.toml") if not (home / name).is_file()] == []
    assert (package / "plugin.py").is_file()
    assert (package / "py.typed").is_file()
    assert list((home / "tests").glob("test_*.py")), f"{home.name} has no test"


@pytest.mark.parametrize("package", packages()[1:], ids=lambda path: path.name)
def test_no_plugin_reaches_into_a_private_part_of_the_core(package: Path) -> None:
    private = []
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sa3dhp_core"):
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                private += [
                    f"{path}:{node.lineno} {name}"
                    for name in names
                    if name.startswith("_") and not name.startswith("__")
                ]
    assert private == []


def test_the_checks_reject_what_they_should(tmp_path: Path) -> None:
    (tmp_path / "core" / "engine").mkdir(parents=True)
    silent, lumber = tmp_path / "core" / "silent.py", tmp_path / "core" / "utils.py"
    silent.write_text("x = 1\n")
    lumber.write_text('"""Says something."""\n')
    (tmp_path / "core" / "engine" / "__init__.py").write_text("")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_silent.py").write_text("")
    assert without_docstring([silent, lumber]) == [str(silent)]
    assert without_name([silent, lumber]) == [str(lumber)]
    assert without_mirror(tmp_path / "core", tmp_path / "tests") == ["engine", "utils"]
