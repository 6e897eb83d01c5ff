"""A training problem: what the engine loops over. Tasks draw batches and yield losses; they never step or backward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import attrs
import torch
from torch import Tensor, nn

from sa3dhp_core.types import Shard


@attrs.frozen
class Update:
    """One parameter update: the engine back-propagates `loss` and steps the named optimiser.

    Attributes:
        optimizer: key of `Task.optimizers`.
        loss: scalar to minimise.
        logs: scalars to show and store, by name.
        partial: whether this is a part of the gradient alone: more of it follows, and the optimiser waits for the
            first update that is not partial. So a task may let go of activations early.
    """

    optimizer: str
    loss: Tensor
    logs: Mapping[str, Tensor | float] = attrs.field(factory=dict)
    partial: bool = False


class Task(Protocol):
    """One training problem.

    Attributes:
        steps: number of steps.
        modules: all modules that are trained or carry state, by name; saved, and set up for devices by the engine.
            Read a module through this mapping at every step: the engine replaces its entries by wrapped ones.
        clip_norm: gradient norm to clip to, or None.
        ema: decay of an exponential moving average of the modules' weights, or None; the averaged weights are what
            `Engine.train` leaves in the modules at the end.
        sharded: names of modules whose `forward` is called on this rank's shard only, so that their gradients must
            be averaged over ranks; every other module sees the same (gathered) input on all ranks and stays equal.
    """

    steps: int
    modules: dict[str, nn.Module]
    clip_norm: float | None
    ema: float | None
    sharded: tuple[str, ...]

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        """Optimisers by name, each with a learning-rate scheduler stepped after each of its updates, or None."""
        ...

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """Yield this step's updates; each is applied before the next is computed.

        Everything random comes from `generator`, a CPU generator seeded by (seed, stage, step). Carried state other
        than module weights must live in a module's buffers, or a resumed run could not repeat.
        """
        ...
