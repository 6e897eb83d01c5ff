"""What does a step cost beyond its network? The engine with sinks against a bare loop, and what a resume costs.

A small network of convolutions learns images of 64 pixels, once through the engine (its checks, console, JSON lines and
checkpoints as by default) and once in a loop of forward, backward and optimiser alone, in turns. A resume is measured
from the call to the first step, in steps; so is a start from nothing.

    python benchmarks/engine_overhead.py [--steps 200] [--rounds 5] [--batch 32] [--no-record]
"""

from __future__ import annotations

import argparse
import datetime
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import torch
from _machine import command, loaded_machine
from rich.console import Console
from torch import Tensor, nn

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.engine import Engine
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.protocols.task import Update
from sa3dhp_core.sinks import ConsoleSink, JsonLinesSink, SinkBoard
from sa3dhp_core.types import WHOLE, Shard

SIZE, STORED, OUT = 64, 256, 48


def network() -> nn.Sequential:
    """Four convolutions and a head."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for last, width in ((3, 16), (16, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(last, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 16, OUT))


class Regression:
    """`Task`: numbers from images, all of them in memory."""

    clip_norm: float | None = None
    ema: float | None = None
    sharded: tuple[str, ...] = ("network",)

    def __init__(self, steps: int, batch: int, stop_at: int = -1) -> None:
        draws = generator_for("overhead")
        self.images = torch.rand(STORED, 3, SIZE, SIZE, generator=draws)
        self.wanted = torch.randn(STORED, OUT, generator=draws)
        self.modules: dict[str, nn.Module] = {"network": network()}
        self.steps, self.samples, self._stop_at = steps, batch, stop_at
        self.began: Tensor | None = None

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        """Adam, as in every recipe."""
        return {"network": (torch.optim.Adam(self.modules["network"].parameters(), lr=1e-3, fused=True), None)}

    def draw(self, step: int, generator: torch.Generator, shard: Shard) -> tuple[Tensor, Tensor]:
        """A batch."""
        rows = torch.randint(STORED, (self.samples,), generator=generator)
        return self.images[rows], self.wanted[rows]

    def loss(self, images: Tensor, wanted: Tensor) -> Tensor:
        """What both loops compute."""
        found: Tensor = self.modules["network"](images)
        return (found - wanted).square().mean()

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """One update a step."""
        return self.updates_from(self.draw(step, generator, shard), step, generator, shard)

    def updates_from(
        self, batch: tuple[Tensor, Tensor], step: int, generator: torch.Generator, shard: Shard
    ) -> Iterator[Update]:
        """The update of a batch; notes when the first one begins."""
        self.began = now() if self.began is None else self.began
        if step == self._stop_at:
            raise KeyboardInterrupt
        loss = self.loss(*batch)
        yield Update("network", loss, {"error": loss.detach()})


def now() -> Tensor:
    """Seconds by the clock, and of computing: on a busy machine the second is the one to go by."""
    return torch.tensor([time.perf_counter(), time.process_time()], dtype=torch.float64)


def bare(steps: int, batch: int) -> Tensor:
    """Seconds a step of forward, backward and optimiser."""
    task = Regression(steps, batch)
    optimizer, _ = task.optimizers()["network"]
    began = now()
    for step in range(steps):
        loss = task.loss(*task.draw(step, generator_for("overhead", step), WHOLE))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (now() - began) / steps


def through_engine(folder: Path, steps: int, batch: int, stop_at: int = -1) -> tuple[Tensor, Tensor]:
    """Seconds a step of a whole training, and seconds before its first one."""
    task = Regression(steps, batch, stop_at)
    with (folder / "console.txt").open("w") as text, SinkBoard() as board:
        board.add("console", lambda: ConsoleSink(Console(file=text)))
        board.add("jsonl", lambda: JsonLinesSink(folder))
        engine = Engine(EngineConfig(), 0, board)
        began = now()
        try:
            engine.train(task, "stage", folder)
        except KeyboardInterrupt:
            assert stop_at >= 0
    assert task.began is not None
    return (now() - began) / steps, task.began - began


def resumed(batch: int) -> tuple[Tensor, Tensor]:
    """Seconds from the call to the first step, of a start from nothing and of a resume after 100 steps."""
    with tempfile.TemporaryDirectory() as room:
        _, fresh = through_engine(Path(room), 102, batch, stop_at=101)
        _, again = through_engine(Path(room), 102, batch)
    return fresh, again


def main() -> None:
    """Measure in turns, print, append."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/engine_overhead.jsonl")
    parser.add_argument("--no-record", action="store_true")
    options, loaded = parser.parse_args(), loaded_machine()
    bare(20, options.batch)
    alone, whole, starts = [], [], []
    for _ in range(options.rounds):
        alone.append(bare(options.steps, options.batch))
        with tempfile.TemporaryDirectory() as room:
            whole.append(through_engine(Path(room), options.steps, options.batch)[0])
        starts.append(resumed(options.batch))
    names, found = ("by the clock", "by computing time"), {}
    for k, name in enumerate(names):
        step = median(float(a[k]) for a in alone)
        found[name] = {
            "bare_ms": round(1000 * step, 3),
            "engine_ms": round(1000 * median(float(w[k]) for w in whole), 3),
            "overhead_share": round(median(float(w[k] / a[k]) for w, a in zip(whole, alone, strict=True)) - 1, 4),
            "start_steps": round(median(float(fresh[k]) for fresh, _ in starts) / step, 2),
            "resume_steps": round(median(float(again[k]) for _, again in starts) / step, 2),
        }
        row = found[name]
        print(f"{name}: a step {row['bare_ms']} ms, through engine and sinks {row['engine_ms']} ms, ", end="")
        print(f"{100 * row['overhead_share']:+.1f} % (median of {options.rounds} rounds in turns)")
        print(f"  before the first step: {row['start_steps']} steps from nothing, {row['resume_steps']} when resumed")
    if not options.no_record:
        told = {"command": command(), "machine": loaded, "threads": torch.get_num_threads(), "batch": options.batch}
        with options.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"date": datetime.date.today().isoformat(), **told, **found}) + "\n")


if __name__ == "__main__":
    main()
