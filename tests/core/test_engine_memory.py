"""Memory that runs out: real allocations that are refused, and the keys that are named for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from torch import nn

from sa3dhp_core.engine import memory
from sa3dhp_core.engine.checkpoint import CHECKPOINT, load_checkpoint
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.errors import TrainingError
from sa3dhp_core.protocols.task import Relief, Update, halved
from sa3dhp_core.types import Shard
from tests.core.test_engine_training import Regression, engine

TOO_MUCH = 1 << 50
CPU = torch.device("cpu")
REFUSED: dict[str, Callable[[], object]] = {
    "torch": lambda: torch.empty(TOO_MUCH, dtype=torch.uint8),
    "numpy": lambda: np.empty(TOO_MUCH, dtype=np.uint8),
    "python": lambda: bytearray(sys.maxsize - 1),
    "overflow": lambda: torch.empty(1 << 62),
}


class Greedy(Regression):
    """Asks for too much at one step; two keys scale its batch, one does not matter."""

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        if step == 4:
            torch.empty(TOO_MUCH, dtype=torch.uint8)
        return super().updates(step, generator, shard)

    def reliefs(self) -> tuple[Relief | None, ...]:
        return (halved("small", 4, 0.2), halved("large", 6, 0.8), halved("nothing", 8, 0.001), halved("one", 1))


def test_a_step_that_does_not_fit_names_what_helps_most_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        engine().train(Greedy(), "some-stage", tmp_path)
    told = caught.value.render()
    for fact in ("'some-stage', step 5, on cpu", "1,048,576 GiB asked for", "free", "weights and gradients hold"):
        assert fact in told
    named = ("engine.precision=bf16-mixed (now 32-true", "large=3 (now 6: 40% less)", "small=2 (now 4: 10% less)")
    assert [told.index(key) for key in named] == sorted(told.index(key) for key in named)
    assert "nothing" not in told and "one=" not in told
    assert str(tmp_path / CHECKPOINT) in told
    found = load_checkpoint(tmp_path)
    assert found is not None and found[0] == 4
    assert caught.value.exit_code == 3 and isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize("ask", REFUSED.values(), ids=REFUSED)
def test_every_refusal_is_known_for_what_it_is(ask: Callable[[], object], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="stage 'x', on cpu: out of memory"):
        with memory.explained("x", None, CPU, EngineConfig(), None, tmp_path):
            ask()


def test_how_much_was_asked_for_is_read_from_the_refusal() -> None:
    for name, gib in (("torch", 2.0**20), ("numpy", 2.0**20)):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            REFUSED[name]()
        assert memory.asked_gib(caught.value) == gib
    told = "CUDA out of memory. Tried to allocate 20.50 MiB. GPU 0 has a total capacity of 15.77 GiB of which 12.50 MiB"
    assert memory.asked_gib(torch.OutOfMemoryError(told)) == pytest.approx(20.5 / 1024)
    assert memory.is_shortage(torch.OutOfMemoryError(told))


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    for error in (RuntimeError("shapes differ"), ValueError("out of memory"), KeyboardInterrupt("now")):
        with pytest.raises(type(error), match=str(error)) as caught:
            with memory.explained("x", 0, CPU, EngineConfig(), None, tmp_path):
                raise error
        assert caught.value is error


def test_precision_is_named_only_where_it_is_not_in_use() -> None:
    def keys(config: Any) -> dict[str, Relief]:
        return {one.key: one for one in memory.engine_reliefs(config, CPU, Regression())}

    assert keys(EngineConfig())["engine.precision"].then == "bf16-mixed"
    assert "engine.precision" not in keys(EngineConfig(precision="bf16-mixed"))


def test_blocks_that_could_be_computed_again_are_named_where_the_engine_has_the_key() -> None:
    @attrs.frozen
    class Later(EngineConfig):
        checkpointing: tuple[str, ...] = ()

    task = Regression()
    assert "engine.checkpointing" not in {one.key for one in memory.engine_reliefs(Later(), CPU, task)}
    task.modules["first"].blocks = {}  # type: ignore[assignment]
    (found,) = (one for one in memory.engine_reliefs(Later(), CPU, task) if one.key == "engine.checkpointing")
    assert found.freed == memory.RECOMPUTED
    again = memory.engine_reliefs(Later(checkpointing=("all",)), CPU, task)
    assert "engine.checkpointing" not in {one.key for one in again}


def test_norms_that_could_be_folded_are_named_where_they_learn_no_statistics() -> None:
    def named(config: EngineConfig = EngineConfig()) -> bool:  # noqa: B008
        return "engine.fold_norms" in {one.key for one in memory.engine_reliefs(config, CPU, task)}

    task = Regression()
    assert not named()
    task.modules["third"] = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    assert not named()
    task.modules["third"].eval()
    assert named() and not named(EngineConfig(fold_norms=True))
    task.modules["third"].requires_grad_(False)
    assert not named()


@pytest.mark.parametrize(("now", "multiple", "then"), [(8, 1, 4), (7, 1, 4), (6, 2, 4), (4, 4, None), (1, 1, None)])
def test_halved_stays_a_multiple_and_never_grows(now: int, multiple: int, then: int | None) -> None:
    found = halved("key", now, 0.5, multiple)
    assert (found.then if found else None) == then
    assert found is None or found.freed == pytest.approx(0.5 * (1 - found.then / now))  # type: ignore[operator]
    assert halved("key", now, 0.0, multiple) is None


def test_what_a_training_holds_is_counted_once() -> None:
    task = Regression()
    task.modules["again"] = task.modules["second"]
    numbers = sum(value.numel() for value in task.modules["first"].parameters()) + 4
    kept = sum(value.nbytes for value in task.modules["first"].buffers())
    assert memory.held_gib(task) == pytest.approx((4 * numbers + kept) / 2**30)
    for value in task.modules["second"].parameters():
        value.grad = torch.zeros_like(value)
    assert memory.held_gib(task) == pytest.approx((4 * (numbers + 4) + kept) / 2**30)
