"""One process of two: trains, stops and resumes `Contrast` by several strategies, and writes what came of it."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from sa3dhp_core.engine import Engine
from sa3dhp_core.engine_config import EngineConfig
from tests.ranks.contrast import Contrast, Quiet


def engine(board: Quiet, strategy: str = "auto", devices: int = 1, precision: Any = "32-true") -> Engine:
    """On the CPU, with checkpoints every second step; ``fsdp`` splits what has at least 100 weights."""
    config = EngineConfig(
        device="cpu",
        devices=devices,
        strategy=strategy,
        precision=precision,
        shard_from=100,
        checkpoint_every=2,
        log_every=1,
    )
    return Engine(config, 3, board)


def train(
    folder: Path, strategy: str = "auto", devices: int = 1, stop_at: int = -1, precision: str = "32-true"
) -> tuple[list[float], int]:
    """Train in `folder`, or go on there; returns the losses, and how many weights this process steps."""
    board = Quiet()
    one = engine(board, strategy, devices, precision)
    task = Contrast(one.gather, stop_at)
    with contextlib.suppress(KeyboardInterrupt):
        one.train(task, "stage", folder)
    return board.seen, sum(p.numel() for p in task.adam.param_groups[0]["params"])


def gradients(strategy: str = "auto", devices: int = 1) -> dict[str, torch.Tensor]:
    """Of the contrast with respect to the encoder's weights, with all negatives."""
    one = engine(Quiet(), strategy, devices)
    task = Contrast(one.gather)
    raw = task.modules["encoder"]
    if devices > 1:
        task.modules["encoder"] = one.fabric.setup_module(raw)
    one.fabric.backward(task.loss(torch.Generator().manual_seed(0), one.shard))
    return {name: p.grad.contiguous() for name, p in raw.named_parameters() if p.grad is not None}


def main(folder: Path) -> None:
    """What both processes do; `folder` holds trainings that one process began."""
    losses, stepped = {}, {}
    for strategy in ("ddp", "fsdp"):
        losses[strategy], stepped[strategy] = train(folder / strategy, strategy, 2)
        train(folder / f"{strategy}-then-one", strategy, 2, stop_at=5)
        train(folder / f"one-then-{strategy}", strategy, 2)
    train(folder / "fsdp-then-ddp", "fsdp", 2, stop_at=3)
    train(folder / "fsdp-then-ddp", "ddp", 2)
    train(folder / "half", "fsdp", 2, precision="bf16-true")
    train(folder / "half-resumed", "fsdp", 2, stop_at=3, precision="bf16-true")
    train(folder / "half-resumed", "fsdp", 2, precision="bf16-true")
    found = gradients("ddp", 2)
    if engine(Quiet(), "ddp", 2).fabric.is_global_zero:
        save_file(found, folder / "gradients.safetensors")
        (folder / "seen.json").write_text(json.dumps({"losses": losses, "stepped": stepped}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
