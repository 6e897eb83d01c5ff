"""Tasks that each break one promise, beside one that keeps all: for everything that is trained."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.protocols.task import Update
from sa3dhp_core.types import WHOLE, Shard

Loss = Callable[[torch.Generator], Tensor]
COUNT = itertools.count()


class Learning:
    """A few steps of Adam; implements `sa3dhp_core.protocols.task.Task`; a subclass breaks one thing."""

    steps = 4
    clip_norm: float | None = 1.0
    ema: float | None = None
    sharded: tuple[str, ...] = ()

    def __init__(self, key: str, module: nn.Module, loss: Loss) -> None:
        self.modules: dict[str, nn.Module] = {key: module}
        self._loss = loss
        self._optimizer = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], lr=1e-2)

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        return {"adam": (self._optimizer, None)}

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        loss = self._loss(generator)
        yield Update("adam", loss, {"loss": loss.detach()})


class Misnaming(Learning):
    """Its updates name an optimiser that it has not."""

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        yield Update("sgd", self._loss(generator))


class Impatient(Learning):
    """Steps by itself."""

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        for update in super().updates(step, generator, shard):
            update.loss.backward(retain_graph=True)
            self._optimizer.step()
            yield update


class Restless(Learning):
    """Its batches depend on how often it was asked in this process."""

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        yield from super().updates(step, torch.Generator().manual_seed(next(COUNT)), WHOLE)


class Global(Learning):
    """Draws its batches from the default generator."""

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        yield from super().updates(step, torch.default_generator, WHOLE)
