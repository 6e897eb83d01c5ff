"""The training loop: interrupted anywhere and resumed it gives the same bits; it stops where numbers stop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from sa3dhp_core.engine import Engine
from sa3dhp_core.engine.averaging import MovingAverage, load_named, named_state
from sa3dhp_core.engine.checkpoint import CHECKPOINT, WEIGHTS, load_checkpoint, load_weights, save_checkpoint
from sa3dhp_core.engine.training import not_finite
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.errors import PluginError, RecipeError, RunError, TrainingError
from sa3dhp_core.protocols.task import Update
from sa3dhp_core.types import Shard

STEPS = 7


class Board:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def stage_started(self, stage: str, steps: int | None) -> None:
        self.total = steps

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        self.steps.append(step)


class Regression:
    """Two networks, two optimisers, dropout, running statistics, a counter, an average: all that a resume must keep."""

    clip_norm: float | None = 0.5
    ema: float | None = 0.9
    steps = STEPS
    sharded: tuple[str, ...] = ("first",)

    def __init__(self, stop_at: int = -1, nan_at: int = -1) -> None:
        torch.manual_seed(1)
        self.modules: dict[str, nn.Module] = {
            "first": nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1)),
            "second": nn.Linear(3, 1),
        }
        self._stop_at, self._nan_at = stop_at, nan_at

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        first = torch.optim.AdamW(self.modules["first"].parameters(), lr=0.1)
        second = torch.optim.SGD(self.modules["second"].parameters(), lr=0.1, momentum=0.9)
        schedule = torch.optim.lr_scheduler.LambdaLR(first, lambda step: 1 / (1 + step))
        return {"first": (first, schedule), "second": (second, None)}

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        if step == self._stop_at:
            raise KeyboardInterrupt
        inputs = torch.randn(6, 3, generator=generator)
        wanted = inputs.sum(dim=1, keepdim=True)
        loss = (self.modules["first"](inputs) - wanted).square().mean()
        yield Update("first", loss, {"share": 0.5})
        factor = float("nan") if step == self._nan_at else 1.0
        yield Update("second", factor * (self.modules["second"](inputs) - wanted).square().mean())


class Penalised(Regression):
    """Pulls the first network towards zero, in an update of its own or in a part of the one that follows."""

    def __init__(self, apart: bool) -> None:
        super().__init__()
        self._apart = self.in_parts = apart

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        first, second = super().updates(step, generator, shard)
        penalty = torch.stack([p.square().sum() for p in self.modules["first"].parameters()]).sum()
        if self._apart:
            yield Update("first", penalty, {"penalty": penalty.detach()}, partial=True)
            yield first
        else:
            yield Update("first", first.loss + penalty)
        yield second


class Fused(Regression):
    """Its weights lie channels last and its optimiser is fused: a kernel that reads storages as they lie."""

    def __init__(self, stop_at: int = -1) -> None:
        super().__init__(stop_at)
        convolution = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.modules["first"] = nn.Sequential(nn.Unflatten(1, (3, 1, 1)), nn.Upsample(3), convolution, nn.Flatten())

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        fused = torch.optim.AdamW(self.modules["first"].parameters(), lr=0.1, fused=True)
        return {**super().optimizers(), "first": (fused, None)}


class Lost(Regression):
    """Its second optimiser steps a network that it tells nobody of."""

    def __init__(self) -> None:
        super().__init__()
        self._own = nn.Linear(3, 2)

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        return {**super().optimizers(), "second": (torch.optim.SGD(self._own.parameters(), lr=0.1), None)}


def engine(board: Board | None = None, **config: Any) -> Engine:
    config = {"device": "cpu", "checkpoint_every": 2, "log_every": 3, **config}
    return Engine(EngineConfig(**config), 3, board or Board())


def trained(folder: Path, task: Regression | None = None, **config: Any) -> dict[str, torch.Tensor]:
    task = task or Regression()
    engine(**config).train(task, "stage", folder)
    assert not (folder / CHECKPOINT).exists()
    return load_file(folder / WEIGHTS)


def assert_equal(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [key for key in expected if not torch.equal(found[key], expected[key])] == []


def test_weights_that_would_be_stepped_unseen_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"Lost\.optimizers\(\)\['second'\](.|\n)*2 of 2 tensors(.|\n)*\(2, 3\)"):
        trained(tmp_path, Lost())


@pytest.mark.parametrize("stop_at", range(1, STEPS))
@pytest.mark.parametrize("task", [Regression, Fused])
def test_resumed_at_any_step_gives_the_same_bits(tmp_path: Path, task: type[Regression], stop_at: int) -> None:
    whole = trained(tmp_path / "whole", task())
    with pytest.raises(KeyboardInterrupt):
        engine().train(task(stop_at), "stage", tmp_path / "halves")
    assert (tmp_path / "halves" / CHECKPOINT).exists() == (stop_at >= 2)
    torch.rand(stop_at)  # another process has other random numbers behind it
    assert_equal(trained(tmp_path / "halves", task()), whole)


def test_a_partial_update_adds_its_gradient_to_the_next(tmp_path: Path) -> None:
    apart, together = (trained(tmp_path / str(apart), Penalised(apart)) for apart in (True, False))
    for key, value in together.items():
        torch.testing.assert_close(apart[key], value)
    assert any(not torch.equal(value, apart[key]) for key, value in trained(tmp_path / "plain").items())
    unannounced = Penalised(True)
    unannounced.in_parts = False
    with pytest.raises(PluginError, match=r"Penalised: a task yields partial updates(.|\n)*in_parts = True"):
        trained(tmp_path / "unannounced", unannounced)


def test_intervals_of_checkpoints_and_logs_change_nothing(tmp_path: Path) -> None:
    often = trained(tmp_path / "often", checkpoint_every=1, log_every=1)
    assert_equal(trained(tmp_path / "never", checkpoint_every=99, log_every=99), often)


def test_seed_and_stage_decide(tmp_path: Path) -> None:
    one = trained(tmp_path / "one")
    engine().train(Regression(), "other stage", tmp_path / "other")
    assert not torch.equal(load_file(tmp_path / "other" / WEIGHTS)["second.weight"], one["second.weight"])


def test_a_finished_training_is_loaded(tmp_path: Path) -> None:
    weights = trained(tmp_path)
    task, board = Regression(stop_at=0), Board()
    engine(board).train(task, "stage", tmp_path)
    assert_equal(named_state(task.modules), weights)
    assert board.steps == []


def test_the_modules_hold_the_averaged_weights_on_return(tmp_path: Path) -> None:
    task = Regression()
    weights = trained(tmp_path, task)
    assert isinstance(task.modules["first"], nn.Sequential), "the wrapper is taken off"
    assert_equal(named_state(task.modules), weights)
    plain = Regression()
    plain.ema = None
    engine().train(plain, "stage", tmp_path / "plain")
    assert not torch.equal(weights["second.weight"], plain.modules["second"].get_parameter("weight"))


def test_progress_comes_at_intervals_and_at_the_end(tmp_path: Path) -> None:
    board = Board()
    engine(board, checkpoint_every=99).train(Regression(), "stage", tmp_path)
    assert (board.total, board.steps) == (STEPS, [3, 6, 7])


@pytest.mark.parametrize(("nan_at", "noticed", "known"), [(0, "step 2", "none yet"), (4, "step 6", CHECKPOINT)])
def test_nan_stops_and_names_where(tmp_path: Path, nan_at: int, noticed: str, known: str) -> None:
    with pytest.raises(TrainingError) as caught:
        engine().train(Regression(nan_at=nan_at), "some-stage", tmp_path)
    for fact in ("some-stage", noticed, "loss/second", known):
        assert fact in str(caught.value)
    assert not (tmp_path / WEIGHTS).exists()
    found = load_checkpoint(tmp_path)
    if nan_at:
        assert found is not None and found[0] == 4
        assert all(torch.isfinite(value).all() for value in found[1]["modules"].values())
    else:
        assert found is None


def test_weights_that_are_not_finite_are_never_kept(tmp_path: Path) -> None:
    """The loss is measured before the update that breaks the weights, so it cannot tell."""

    class Breaks(Regression):
        def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
            yield from super().updates(step, generator, shard)
            if step == 3:
                with torch.no_grad():
                    self.modules["second"].get_parameter("weight").fill_(torch.inf)

    with pytest.raises(TrainingError, match="weight second.weight"):
        engine().train(Breaks(), "stage", tmp_path)
    found = load_checkpoint(tmp_path)
    assert found is not None and found[0] == 2


def test_not_finite_names_the_first_bad_weight() -> None:
    layer = nn.Linear(2, 2)
    assert not_finite({"layer": layer}) == {}
    with torch.no_grad():
        layer.bias[1] = torch.nan
    assert list(not_finite({"layer": layer})) == ["weight layer.bias"]


@pytest.mark.parametrize("damage", ["cut", "text"])
def test_a_damaged_checkpoint_is_named_with_what_to_do(tmp_path: Path, damage: str) -> None:
    save_checkpoint(tmp_path, 2, {"a": torch.zeros(3)})
    path = tmp_path / CHECKPOINT
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"not a checkpoint at all")
    with pytest.raises(RunError, match="delete it to begin this stage again") as caught:
        engine().train(Regression(), "stage", tmp_path)
    assert str(path) in str(caught.value)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        engine().train(Regression(5), "stage", tmp_path)
    other = Regression()
    other.modules["second"] = nn.Linear(3, 2)
    with pytest.raises(RunError, match="begin this stage again"):
        engine().train(other, "stage", tmp_path)


def test_checkpoints_keep_every_kind_of_state(tmp_path: Path) -> None:
    state = {
        "numbers": {0: 1, 1: 0.1, 2: None, 3: True, 4: "x"},
        "pair": (torch.arange(3), [torch.ones(1, dtype=torch.bool)]),
        "empty": {"list": [], "dict": {}, "tuple": ()},
    }
    save_checkpoint(tmp_path, 4, state)
    found = load_checkpoint(tmp_path)
    assert found is not None
    step, again = found
    assert step == 4
    assert again["numbers"] == state["numbers"] and again["empty"] == state["empty"]
    assert torch.equal(again["pair"][0], torch.arange(3)) and again["pair"][1][0].dtype == torch.bool
    assert load_checkpoint(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("modules", "complaint"),
    [
        ({"second": nn.Linear(3, 2)}, "another shape"),
        ({"second": nn.Linear(3, 1, bias=False)}, "left over"),
        ({"second": nn.Sequential(nn.Linear(3, 1))}, "missing"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path: Path, modules: dict[str, nn.Module], complaint: str) -> None:
    trained(tmp_path)
    with pytest.raises(RunError, match=complaint):
        load_weights(tmp_path, modules)


def test_averages_follow_and_counters_are_copied() -> None:
    layer = nn.BatchNorm1d(2)
    average = MovingAverage({"layer": layer}, 0.5)
    with torch.no_grad():
        layer.weight.fill_(3.0)
        layer.get_buffer("num_batches_tracked").fill_(9)
    average.update({"layer": layer}, 1000)
    assert torch.allclose(average.average["layer.weight"], torch.full((2,), 2.0))
    assert int(average.average["layer.num_batches_tracked"]) == 9
    load_named({"layer": layer}, average.average)
    assert torch.allclose(layer.weight, torch.full((2,), 2.0))


def test_one_process_gathers_what_it_has() -> None:
    values = torch.arange(4.0)
    assert engine().gather(values) is values
    assert engine().shard == Shard(0, 1)


@pytest.mark.parametrize("wrong", [{"device": "abacus"}, {"strategy": "telepathy"}])
def test_a_device_or_strategy_that_is_not_here_is_named_before_any_work(wrong: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=next(iter(wrong.values()))) as caught:
        Engine(EngineConfig(**wrong), 0, Board())
    assert "sa3dhp doctor" in caught.value.render()


@pytest.mark.skipif(torch.cuda.is_available(), reason="only a machine without CUDA shows how its absence is refused")
def test_cuda_where_there_is_none_is_refused() -> None:
    with pytest.raises(RecipeError, match="cuda"):
        Engine(EngineConfig(device="cuda"), 0, Board())
