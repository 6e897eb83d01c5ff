"""The task of what needs no training, such as a relation network that computes its answer. Steps nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from sa3dhp_core.protocols.task import Update
from sa3dhp_core.types import Shard


class NoTraining:
    """A task of no steps; implements `sa3dhp_core.protocols.task.Task`."""

    steps = 0
    clip_norm: float | None = None
    ema: float | None = None
    sharded: tuple[str, ...] = ()

    def __init__(self, modules: dict[str, nn.Module]) -> None:
        self.modules = modules

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        """None."""
        return {}

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """Nothing."""
        yield from ()
