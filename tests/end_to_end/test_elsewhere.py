"""Recipes train, score and predict on a device that is not the CPU, with the CPU's results: nothing is left behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sa3dhp_core import runner
from sa3dhp_core.atomic import read_json
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import load_recipe
from sa3dhp_self_adaptation import photometric
from tests.end_to_end.conftest import TINY, Content, Start
from tests.recipes.shrinking import lowering

ROOT = Path(__file__).parents[2]

CHECKS = """
import pytest, torch
from torch import nn
from tests.end_to_end.elsewhere import DEVICE, Generator, Places, Values, leave
with Values(), Places():
    near, far = torch.rand(3, 4), torch.rand(3, 4).to(DEVICE)
    linear = nn.Linear(4, 2)
    put = lambda: far.index_put_((torch.tensor([0]),), near[:1])
    for mixed in (lambda: near + far, lambda: torch.cat([near, far]), lambda: linear(far), lambda: near[far > 0], put):
        with pytest.raises(RuntimeError, match="on one device"):
            mixed()
    ours, theirs = torch.Generator(), Generator(DEVICE)
    for wrong in (lambda: torch.rand(2, device=DEVICE, generator=ours), lambda: near.normal_(generator=theirs)):
        with pytest.raises(RuntimeError, match="generator"):
            wrong()
    with pytest.raises((TypeError, RuntimeError)):
        far.numpy()
    assert torch.equal((far[:, [2, 0]] * torch.tensor(2.0)).cpu(), 2 * far.cpu()[:, [2, 0]])
    for made in (torch.zeros(2, device=DEVICE), far.new_tensor([1.0]), torch.tensor([1], device=DEVICE)):
        assert made.device == DEVICE
    lstm = nn.LSTM(4, 5, bidirectional=True, batch_first=True)
    there = nn.LSTM(4, 5, bidirectional=True, batch_first=True)
    there.load_state_dict(lstm.state_dict())
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    there.to(DEVICE)
    for net, value in ((lstm, near), (there, near.to(DEVICE))):
        net(value.expand(2, 3, 4))[0].square().sum().backward()
    for one, other in zip(lstm.parameters(), there.parameters(), strict=True):
        assert other.grad.device == DEVICE and torch.allclose(one.grad, other.grad.cpu(), atol=1e-5)
print("as a GPU does")
leave()
"""


DETECTOR = """
import attrs, sys, torch
from pathlib import Path
from sa3dhp_backbones.config import TransformersDetectorConfig
from sa3dhp_backbones.detector import build_detector
from sa3dhp_backbones.detector_example import small_rt_detr
config, images = TransformersDetectorConfig(**small_rt_detr(Path(sys.argv[1]))), torch.rand(2, 3, 48, 80)
near = build_detector(attrs.evolve(config, device="cpu"))(images)
from tests.end_to_end.elsewhere import COMPUTED, Places, Values, leave
torch.__future__.set_overwrite_module_params_on_conversion(True)
with Values(), Places():
    there = build_detector(attrs.evolve(config, device="elsewhere"))(images)
    for one, other in zip(near, there, strict=True):
        assert len(one.boxes) and torch.allclose(one.boxes, other.boxes, atol=1e-3)
        assert torch.allclose(one.scores, other.scores, atol=1e-4)
print(COMPUTED["aten.convolution.default"] > 0)
leave()
"""


def computed(code: str, *words: object) -> str:
    """Standard output of Python in a process of its own: the device that is registered there stays there."""
    call = [sys.executable, "-c", code, *map(str, words)]
    ended = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture
def elsewhere(start: Start, tmp_path: Path) -> Start:
    """As `start`, there; ``facts.json`` then tells how often each operator computed there."""
    return partial(start, launcher=(sys.executable, str(ROOT / "tests/end_to_end/elsewhere.py"), "facts.json"))


def test_the_device_refuses_what_a_gpu_refuses() -> None:
    assert computed(CHECKS) == "as a GPU does\n"


def test_a_detector_looks_there_at_pictures_that_lie_here(tmp_path: Path) -> None:
    assert computed(DETECTOR, tmp_path) == "True\n"


def figures(results: Any) -> dict[tuple[str, str, str], float]:
    """Every figure by what it is of."""
    return {(r["row"], r["protocol"], r["split"]): r["value"] for r in results["records"]}


def drawn_apart(shape: tuple[int, ...], generator: torch.Generator, like: torch.Tensor) -> torch.Tensor:
    """White noise as it is drawn for another device: by a generator of its own."""
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(like)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "learnt"),
    [
        ("quickstart", ("convolution_backward", "_fused_adam_")),
        ("sa3dhp-paper", ("convolution_backward", "_fused_adam_", "_thnn_fused_lstm_cell")),
        ("ites-world", ("mm", "threshold_backward")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_recipe_computes_there_what_it_computes_on_the_cpu(
    recipe: str, learnt: Sequence[str], elsewhere: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is left on the CPU ends the run; what the engine would not move would not learn."""
    monkeypatch.setattr(photometric, "_white", drawn_apart)
    host = Host.load()
    changes = lowering(recipe, host)
    runner.run(load_recipe(recipe, changes), host, tmp_path / "cpu")
    settings = [word for change in changes for word in ("--set", change)]
    process = elsewhere("run", recipe, *settings, "--out", "there")
    assert process.finish() == 0, process.stderr
    counts = read_json(tmp_path / "facts.json")
    expected, found = (figures(read_json(tmp_path / name / "results.json")) for name in ("cpu", "there"))
    assert found.keys() == expected.keys() and len(found) > 20
    for figure, value in expected.items():
        assert found[figure] == pytest.approx(value, rel=1e-4, abs=1e-4), figure
    assert {f"aten.{name}.default" for name in learnt} <= counts.keys(), counts


@pytest.mark.slow
def test_a_run_that_is_killed_there_goes_on_as_if_it_had_not_been(
    elsewhere: Start, content: Content, tmp_path: Path
) -> None:
    process = elsewhere("run", TINY.name, "--out", "whole")
    assert process.finish() == 0, process.stderr
    shutil.copytree(tmp_path / "whole", tmp_path / "run")
    adapted = next((tmp_path / "run" / "stages").glob("row-adapted-*"))
    shutil.rmtree(adapted)
    (tmp_path / "run" / "results.json").unlink()
    process = elsewhere("resume", "run")
    process.wait_for((adapted / "checkpoint.safetensors").exists)
    assert process.popen.poll() is None, process.stderr
    process.popen.kill()
    process.popen.wait()
    assert not (adapted / "weights.safetensors").exists()
    process = elsewhere("resume", "run")
    assert process.finish() == 0, process.stderr
    assert content(tmp_path / "run") == content(tmp_path / "whole")


@pytest.mark.slow
def test_poses_of_a_film_are_those_of_the_cpu(
    start: Start, elsewhere: Start, uninterrupted: Path, tmp_path: Path
) -> None:
    shutil.copytree(uninterrupted, tmp_path / "run")
    clips = ("--look", "mild", "--clips", "1", "--size", "160x120", "--seconds", "1")
    process = start("world", "render", *clips, "--out", "film")
    assert process.finish() == 0, process.stderr
    (video,) = (tmp_path / "film").glob("*.mp4")
    for out, begin in (("cpu", start), ("there", elsewhere)):
        process = begin("predict", "run", str(video), "--out", out)
        assert process.finish() == 0, process.stderr
    (one,), (other,) = ((tmp_path / name).glob("*.npz") for name in ("cpu", "there"))
    expected, found = np.load(one), np.load(other)
    assert expected.files == found.files
    assert read_json(tmp_path / "facts.json")["aten.convolution.default"] > 0
    for name in expected.files:
        if expected[name].dtype.kind == "f":
            assert np.allclose(found[name], expected[name], rtol=1e-4, atol=1e-4, equal_nan=True), name
