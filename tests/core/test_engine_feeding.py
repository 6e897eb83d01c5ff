"""Batches drawn ahead: the same bits, the same errors, nothing drawn too much, nobody kept waiting at the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sa3dhp_core.engine import Engine
from sa3dhp_core.engine.checkpoint import WEIGHTS
from sa3dhp_core.engine.feeding import AHEAD, Feed, batches_ahead, mapped, placed
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.errors import DataError
from sa3dhp_core.protocols.sink import SPEEDS
from sa3dhp_core.protocols.task import Fed, Update
from sa3dhp_core.types import WHOLE, Shard

STEPS = 7
SLOW_S = 30.0
"""Longer than any test would wait for a draw that it does not need."""


class Board:
    """Keeps the last scalars."""

    scalars: Mapping[str, float] = {}

    def stage_started(self, stage: str, steps: int | None) -> None:
        pass

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        self.scalars = scalars


class Alone:
    """Draws and learns at once, with dropout from the default generators."""

    clip_norm: float | None = None
    ema: float | None = 0.9
    steps = STEPS
    sharded: tuple[str, ...] = ("network",)

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.modules: dict[str, nn.Module] = {
            "network": nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        }

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        return {"network": (torch.optim.Adam(self.modules["network"].parameters(), lr=0.1), None)}

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        return self.learned(torch.randn(6, 3, generator=generator)[shard.rank :: shard.world], generator)

    def learned(self, inputs: Tensor, generator: torch.Generator) -> Iterator[Update]:
        noise = 0.1 * torch.randn(len(inputs), 1, generator=generator)  # goes on from where the draw ended
        found = self.modules["network"](inputs)
        yield Update("network", (found - inputs.sum(dim=1, keepdim=True) - noise).square().mean())


class Apart(Alone):
    """The same, in two parts; draws of early steps take longer than those of later ones."""

    samples = 6

    def __init__(self, stop_at: int = -1, broken_at: int = -1) -> None:
        super().__init__()
        self.drawn: list[int] = []
        self._stop_at, self._broken_at = stop_at, broken_at

    def draw(self, step: int, generator: torch.Generator, shard: Shard) -> dict[str, Tensor]:
        self.drawn.append(step)
        threading.Event().wait(0.002 * (step % 3 == 0))
        if step == self._broken_at:
            raise DataError("the shard is truncated", where="train.tar", found="3 bytes", hint="copy it again")
        return {"inputs": torch.randn(6, 3, generator=generator)[shard.rank :: shard.world]}

    def updates_from(
        self, batch: dict[str, Tensor], step: int, generator: torch.Generator, shard: Shard
    ) -> Iterator[Update]:
        if step == self._stop_at:
            raise KeyboardInterrupt
        return self.learned(batch["inputs"], generator)


def trained(task: Alone, folder: Path, prefetch: int | None, board: Board | None = None) -> dict[str, Tensor]:
    config = EngineConfig(device="cpu", checkpoint_every=2, prefetch=prefetch)
    Engine(config, 3, board or Board()).train(task, "stage", folder)
    return load_file(folder / WEIGHTS)


def assert_equal(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert [key for key in expected if not torch.equal(found[key], expected[key])] == []


@pytest.mark.parametrize("prefetch", [0, 1, 3, 20])
def test_no_bit_depends_on_how_far_ahead_batches_are_drawn(tmp_path: Path, prefetch: int) -> None:
    task = Apart()
    found = trained(task, tmp_path / "apart", prefetch)
    assert_equal(found, trained(Alone(), tmp_path / "alone", 0))
    assert sorted(task.drawn) == list(range(STEPS)), "each step once, none beyond the last"
    if prefetch == 0:
        assert task.drawn == sorted(task.drawn)


@pytest.mark.parametrize("prefetch", [0, 3])
def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path: Path, prefetch: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(Apart(stop_at=5), tmp_path / "halves", prefetch)
    rest = Apart()
    found = trained(rest, tmp_path / "halves", prefetch)
    assert_equal(found, trained(Alone(), tmp_path / "alone", 0))
    assert min(rest.drawn) == 4, "from the checkpoint on"


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_what_drawing_raises_names_the_step_wherever_it_was_drawn(tmp_path: Path, prefetch: int) -> None:
    with pytest.raises(DataError) as caught:
        trained(Apart(broken_at=4), tmp_path, prefetch)
    assert str(caught.value).splitlines() == [
        "train.tar: the shard is truncated (in what step 5 of stage 'stage' draws)",
        "  found: 3 bytes",
        "  try: copy it again",
    ]
    assert (tmp_path / "checkpoint.safetensors").exists(), "the steps before were learned"


def test_nobody_waits_for_batches_that_nobody_takes(tmp_path: Path) -> None:
    release = threading.Event()

    class Slow(Apart):
        def draw(self, step: int, generator: torch.Generator, shard: Shard) -> dict[str, Tensor]:
            if step > 0:
                release.wait(SLOW_S)
            return super().draw(step, generator, shard)

    task = Slow(stop_at=0)
    try:
        with pytest.raises(KeyboardInterrupt):
            trained(task, tmp_path, 2)
        assert task.drawn == [0], "the others are still being drawn"
    finally:
        release.set()


def test_the_loop_waits_for_what_is_not_there_yet() -> None:
    release = threading.Event()

    class Late(Apart):
        def draw(self, step: int, generator: torch.Generator, shard: Shard) -> dict[str, Tensor]:
            release.wait(SLOW_S)
            return super().draw(step, generator, shard)

    seeded = lambda step: torch.Generator().manual_seed(step)  # noqa: E731
    task = Late()
    threading.Timer(0.05, release.set).start()
    with Feed(task, seeded, "stage", 0, WHOLE, torch.device("cpu"), 2) as feed:
        (update,) = feed.take(0).updates()
        assert release.is_set() and bool(update.loss.isfinite())
        assert 0.0 < feed.speed(1)["waiting_share"] <= 1.0


def test_speed_and_waiting_are_told(tmp_path: Path) -> None:
    board = Board()
    trained(Apart(), tmp_path / "apart", 2, board)
    assert set(SPEEDS) <= set(board.scalars)
    assert 0.0 <= board.scalars["waiting_share"] <= 1.0
    assert board.scalars["samples_per_s"] == pytest.approx(6 * board.scalars["steps_per_s"])
    trained(Alone(), tmp_path / "alone", 2, board)
    assert set(SPEEDS) & set(board.scalars) == {"steps_per_s"}, "who draws and learns at once cannot tell"


def test_two_parts_are_what_it_takes() -> None:
    assert isinstance(Apart(), Fed) and not isinstance(Alone(), Fed)


def test_by_default_a_cpu_draws_in_the_loop_and_an_accelerator_ahead() -> None:
    cpu, other = torch.device("cpu"), torch.device("cuda")
    assert (batches_ahead(None, cpu), batches_ahead(None, other)) == (0, AHEAD)
    assert (batches_ahead(3, cpu), batches_ahead(0, other)) == (3, 0)


class Pair(NamedTuple):
    """Two values."""

    first: Tensor
    second: str


@attrs.frozen
class Held:
    """A value with two others."""

    value: Tensor | None
    beside: Any


def test_tensors_are_found_wherever_they_are() -> None:
    draws = torch.Generator()
    batch: list[Any] = [Held(torch.zeros(2), {"pair": Pair(torch.zeros(1), "x")}), (draws, None, torch.zeros(3))]
    moved = mapped(batch, lambda tensor: tensor + 1)
    assert torch.equal(moved[0].value, torch.ones(2)) and torch.equal(moved[1][2], torch.ones(3))
    assert moved[0].beside["pair"].second == "x" and torch.equal(moved[0].beside["pair"].first, torch.ones(1))
    assert moved[1][0] is draws and moved[1][1] is None
    assert torch.equal(batch[0].value, torch.zeros(2))
    assert placed(batch, torch.device("meta"))[0].value.device.type == "meta"
