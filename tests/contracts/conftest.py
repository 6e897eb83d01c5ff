"""Fixtures of the contracts: wheels of all parts, new environments, this one's libraries without anything of sa3dhp."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[2]


@attrs.frozen
class Installed:
    """A new environment, and a folder far from the checkout to call it from."""

    python: Path
    elsewhere: Path

    def run(self, *words: str | Path, code: int = 0) -> str:
        """Standard output of a program of the environment, or of its interpreter with these words; `code` must fit."""
        program = self.python.with_name(str(words[0]))
        command = [program, *words[1:]] if program.is_file() else [self.python, *words]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SA3DHP"))}
        run = subprocess.run(command, cwd=self.elsewhere, env=clean, capture_output=True, text=True, timeout=280)
        assert run.returncode == code, run.stdout + run.stderr
        return run.stdout

    def install(self, *words: str | Path) -> None:
        """Install wheels or folders, without a look at any index."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "-q", "--no-index", "--no-deps"]
        pip += ["--no-build-isolation", "--disable-pip-version-check"]
        run = subprocess.run([*pip, *words], cwd=self.elsewhere, capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of links to all that is installed here, less everything of sa3dhp and every `.pth` file.

    On the path of an interpreter that reads no site-packages of its own, it is an environment before `pip install`.
    """
    folder = tmp_path_factory.mktemp("libraries")
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    for path in sorted(entry for site in paths for entry in Path(site).iterdir()):
        if not path.name.startswith(("sa3dhp", "_sa3dhp")) and path.suffix != ".pth" and path.name != "__pycache__":
            (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="session")
def build_wheel(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """``build_wheel(home)`` builds the wheel of a source folder."""

    def build(home: Path) -> Path:
        out = tmp_path_factory.mktemp("wheel")
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
        run = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, run.stdout + run.stderr
        (wheel,) = out.glob("*.whl")
        return wheel

    return build


@pytest.fixture(scope="session")
def wheels(build_wheel: Callable[[Path], Path]) -> dict[Path, Path]:
    """The wheel of the core and of every plugin, built from this checkout, by source folder."""
    homes = [ROOT, *sorted(path.parent for path in (ROOT / "plugins").glob("[!_]*/pyproject.toml"))]
    return {home: build_wheel(home) for home in homes}


@pytest.fixture(scope="session")
def environment(
    wheels: dict[Path, Path], libraries: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Installed]:
    """``environment()`` is a new one that has the libraries of this one, and of sa3dhp the wheels alone."""

    def make() -> Installed:
        home = tmp_path_factory.mktemp("environment")
        venv.create(home, symlinks=True, with_pip=False)
        (site,) = home.glob("lib/python*/site-packages")
        (site / "libraries.pth").write_text(f"{libraries}\n", encoding="utf-8")
        made = Installed(home / "bin" / "python", tmp_path_factory.mktemp("elsewhere"))
        made.install(*wheels.values())
        return made

    return make
