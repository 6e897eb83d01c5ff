"""Fixtures of the core's tests: throw-away distributions with real entry points, calls of `sa3dhp`, small recipes."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import pytest

import sa3dhp_core
from sa3dhp_core.cli import main

Distribute = Callable[..., str]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on `sys.path` that acts as site-packages; its modules are forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def distribute(site: Path) -> Distribute:
    """Install a distribution of one module: ``distribute(name, source, version=…, requires=…)``; returns its name."""

    def install(name: str, source: str, version: str = "1.0", requires: Sequence[str] = (), module: str = "") -> str:
        module = module or name.replace("-", "_")
        (site / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[sa3dhp]\n{name} = {module}\n", encoding="utf-8")
        importlib.invalidate_caches()
        return name

    return install


@attrs.frozen
class Done:
    """What a call left behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def call(site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """``call(*arguments, only="a,b")`` runs `main` in this process, with the plugins of `site`."""

    def run(*arguments: str, only: str = "") -> Done:
        monkeypatch.setenv("SA3DHP_PLUGINS", only)
        monkeypatch.chdir(site)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


@pytest.fixture
def process(site: Path) -> Callable[..., Done]:
    """``process(program, *arguments, only="a,b")`` runs a Python program in a process of its own."""

    def run(program: str, *arguments: str, only: str = "") -> Done:
        path = os.pathsep.join([str(site), str(Path(sa3dhp_core.__file__).parent.parent)])
        environment = {**os.environ, "PYTHONPATH": path, "SA3DHP_PLUGINS": only, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=site)
        return Done(done.returncode, done.stdout, done.stderr)

    return run


GOOD = """
    import attrs
    from collections.abc import Mapping
    from typing import Any, Literal
    from sa3dhp_core.components import Component
    from sa3dhp_core.hookspecs import hookimpl

    @attrs.frozen
    class Loss:
        relation: str = attrs.field(metadata={"help": "which relation"})
        temperature: float = attrs.field(default=0.1, validator=attrs.validators.gt(0))
        kind: Literal["hard", "soft"] = "hard"

    @attrs.frozen
    class Encoder:
        backbone: Mapping[str, Any] = attrs.field(
            factory=lambda: {"use": "toy-backbone"}, metadata={"component": "backbone"})
        latent: int = 8

    @attrs.frozen
    class Backbone:
        widths: tuple[int, ...] = (4, 8)

    @attrs.frozen
    class Row:
        name: str

    @attrs.frozen
    class Method:
        steps: int = 10
        row_config = Row

    def build(config, **parts):
        return config, parts

    def offer(noun, id, config):
        return Component(noun, id, f"the {id}", f"{__name__}:{config}", f"{__name__}:build")

    @hookimpl
    def sa3dhp_alignment_losses():
        return [offer("alignment_loss", "toy-loss", "Loss")]

    @hookimpl
    def sa3dhp_backbones():
        return [offer("backbone", "toy-backbone", "Backbone")]

    @hookimpl
    def sa3dhp_image_encoders():
        return [offer("image_encoder", "toy-encoder", "Encoder")]

    @hookimpl
    def sa3dhp_methods():
        return [offer("method", "toy-method", "Method")]
"""
"""A plugin with a loss, a backbone, an encoder that nests it, and a method with rows."""


@pytest.fixture
def toy(distribute: Distribute) -> str:
    """The plugin `GOOD`, installed as ``toy-plugin``."""
    return distribute("toy-plugin", GOOD)


RECIPE = """\
id = "toy"
method = "toy-method"
summary = "a recipe for tests"
seed = 3

# the comment that a copy keeps
[encoder]
use = "toy-encoder"
[encoder.backbone]
use = "toy-backbone"
widths = [2, 3]

[[losses]]
use = "toy-loss"
relation = "flip"

[[losses]]
use = "toy-loss"
relation = "slow"
temperature = 1

[[rows]]
name = "adapted"

[settings]
steps = 5
"""


@pytest.fixture
def recipe_path(tmp_path: Path) -> Path:
    """A recipe for the plugin of `toy`."""
    path = tmp_path / "toy.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path
