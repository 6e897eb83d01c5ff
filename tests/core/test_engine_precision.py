"""Precisions: each trains, clips and resumes here; draws, losses and averages do not suffer; others are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sa3dhp_core.engine import Engine, precision
from sa3dhp_core.engine.averaging import MovingAverage
from sa3dhp_core.engine.checkpoint import WEIGHTS, load_checkpoint
from sa3dhp_core.engine_config import PRECISIONS, EngineConfig
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.protocols.task import Update
from sa3dhp_core.sinks import SinkBoard
from sa3dhp_core.types import Shard

CPU = torch.device("cpu")
WEIGHT_TYPES = {"bf16-true": torch.bfloat16, "64-true": torch.float64}


class Pictures:
    """A network of images and a frozen one; notes what numbers the loss is made of."""

    clip_norm: float | None = 0.5
    ema: float | None = None
    steps = 4
    sharded: tuple[str, ...] = ("network",)

    def __init__(self, stop_at: int = -1, rate: float = 1e-2, adam: bool = True, factor: float = 1.0) -> None:
        torch.manual_seed(1)
        layers = (nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 2))
        self.modules: dict[str, nn.Module] = {
            "network": nn.Sequential(*layers),
            "teacher": nn.Sequential(nn.Flatten(), nn.Linear(48, 2)).requires_grad_(False),
        }
        self._stop_at, self._rate, self._adam, self._factor = stop_at, rate, adam, factor
        self.drawn: list[Tensor] = []
        self.seen: set[torch.dtype] = set()

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        weights = self.modules["network"].parameters()
        family: Any = torch.optim.Adam if self._adam else torch.optim.SGD
        return {"network": (family(weights, lr=self._rate), None)}

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        if step == self._stop_at:
            raise KeyboardInterrupt
        images = torch.rand(6, 3, 4, 4, generator=generator)
        self.drawn.append(images)
        found, wanted = self.modules["network"](images), self.modules["teacher"](images)
        distance = (found @ torch.eye(2).to(found) - wanted).norm(dim=-1).mean()
        self.seen |= {found.dtype, wanted.dtype, distance.dtype}
        yield Update("network", self._factor * distance)


def engine(name: str, **config: Any) -> Engine:
    return Engine(EngineConfig(device="cpu", precision=name, checkpoint_every=2, **config), 3, SinkBoard(()))  # type: ignore[arg-type]


def trained(name: str, folder: Path, task: Pictures | None = None) -> dict[str, Tensor]:
    engine(name).train(task or Pictures(), "stage", folder)
    return load_file(folder / WEIGHTS)


@pytest.mark.parametrize("name", get_args(PRECISIONS))
def test_every_precision_draws_alike_and_loses_nothing_in_the_loss(tmp_path: Path, name: str) -> None:
    task, usual = Pictures(factor=0.01), Pictures(factor=0.01)  # no gradient that float16 cannot hold
    weights, expected = trained(name, tmp_path / "this", task), trained("32-true", tmp_path / "usual", usual)
    assert task.seen == {engine(name).dtype}
    assert all(torch.equal(a, b) for a, b in zip(task.drawn, usual.drawn, strict=True))
    assert weights["network.0.weight"].dtype == WEIGHT_TYPES.get(name, torch.float32)
    begun = Pictures().modules["network"].get_parameter("4.weight").detach()
    ended, found = (one["network.4.weight"].float() for one in (expected, weights))
    share = float((found - ended).abs().mean() / (ended - begun).abs().mean())
    assert share < (1e-4 if name in ("32-true", "64-true") else 0.3)
    assert (share == 0) == (name == "32-true")


@pytest.mark.parametrize("name", get_args(PRECISIONS))
@pytest.mark.parametrize("stop_at", [2, 3])
def test_resumed_training_gives_the_same_bits(tmp_path: Path, name: str, stop_at: int) -> None:
    whole = trained(name, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(name, tmp_path / "halves", Pictures(stop_at))
    halves = trained(name, tmp_path / "halves")
    assert [key for key in whole if not torch.equal(whole[key], halves[key])] == []


def test_the_scale_of_gradients_is_kept_and_begins_anew_with_every_training(tmp_path: Path) -> None:
    """A gradient that overflows float16 halves the scale; the next training must not inherit that."""
    machine = engine("16-mixed")
    with pytest.raises(KeyboardInterrupt):
        machine.train(Pictures(stop_at=3, factor=100.0), "stage", tmp_path / "kept")
    found = load_checkpoint(tmp_path / "kept")
    assert found is not None and found[1]["scale"]["scale"] < 2.0**16
    machine.train(Pictures(), "stage", tmp_path / "second")
    alone = trained("16-mixed", tmp_path / "alone")
    assert all(torch.equal(alone[key], value) for key, value in load_file(tmp_path / "second" / WEIGHTS).items())


def test_gradients_are_clipped_after_their_scale_is_taken_off(tmp_path: Path) -> None:
    """Of a scaled gradient the clipped step would be thousands of times shorter."""
    task = Pictures(rate=1.0, adam=False)
    before = {name: weight.detach().clone() for name, weight in task.modules["network"].named_parameters()}
    task.steps, task.clip_norm = 3, 0.01
    after = trained("16-mixed", tmp_path, task)
    moved = torch.cat([(after[f"network.{name}"] - weight).flatten() for name, weight in before.items()]).norm()
    assert 0.005 < float(moved) <= 0.0301


def test_averages_of_half_weights_move(tmp_path: Path) -> None:
    layer = nn.Linear(4, 4).to(torch.bfloat16)
    average = MovingAverage({"layer": layer}, 0.999)
    begun = average.average["layer.weight"].clone()
    with torch.no_grad():
        layer.weight.mul_(1.5)
    for step in range(20):
        average.update({"layer": layer}, 10_000 + step)
    share = (average.average["layer.weight"] - begun) / (layer.weight - begun)
    assert torch.allclose(share, torch.full_like(share, 1 - 0.999**20), rtol=1e-3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is what the test wants missing")
def test_a_device_without_a_precision_is_refused_with_what_it_has() -> None:
    with pytest.raises(RecipeError) as caught:
        precision.need("bf16-mixed", torch.device("cuda"))
    for fact in ("engine.precision", "'bf16-mixed' on cuda", "engine.device=auto"):
        assert fact in str(caught.value)
    precision.need("bf16-mixed", CPU)


def test_the_nearest_precision_that_is_there() -> None:
    assert set(precision.offered(CPU)) == set(get_args(PRECISIONS))
    assert precision.closest("16-mixed", ("32-true", "bf16-mixed")) == "bf16-mixed"
    assert precision.closest("bf16-true", ("32-true", "16-mixed")) == "16-mixed"
    assert precision.closest("64-true", ("32-true",)) == "32-true"
    assert precision.closest("64-true", ()) is None


def test_strategies_that_shard_bring_their_own_plugin() -> None:
    assert precision.arguments(EngineConfig(precision="bf16-mixed", strategy="fsdp")) == {"precision": "bf16-mixed"}
    assert isinstance(precision.arguments(EngineConfig(device="cpu", precision="64-true"))["plugins"], precision.Double)
