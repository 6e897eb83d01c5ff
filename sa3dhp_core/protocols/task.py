"""A training problem: what the engine loops over. Tasks draw batches and yield losses; they never step or backward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

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


@runtime_checkable
class Fed(Protocol):
    """What a `Task` has beside `updates` if its batches may be drawn ahead, in other threads, and moved to the device.

    Its `updates` is `updates_from` of what `draw` gave.
    """

    def draw(self, step: int, generator: torch.Generator, shard: Shard) -> Any:
        """The step's batch on the CPU: tensors in tuples, lists, mappings and attrs values.

        Called for several steps at once and in any order, so it changes nothing that another call sees, and nothing of
        the weights may enter: they are still learning. Everything random comes from `generator`, as for `updates`.
        """
        ...

    def updates_from(self, batch: Any, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """As `Task.updates`, from the step's batch, which lies on the device or on the CPU, and its generator."""
        ...


@attrs.frozen
class Relief:
    """A key of the recipe that would make a step smaller, for whom it does not fit into memory.

    Attributes:
        key: its path, as ``--set`` takes it.
        now: what it holds.
        then: what it could hold.
        freed: share of what a step keeps for its backward pass that this would spare, 0 to 1.
    """

    key: str
    now: object
    then: object
    freed: float


def halved(key: str, now: int, share: float = 1.0, multiple: int = 1) -> Relief | None:
    """Half of a count, rounded up to a multiple; None where it cannot be less.

    Args:
        key: of the recipe. now: what it holds.
        share: of what a step keeps that grows with the count, 0 to 1.
        multiple: what the count must remain a multiple of.
    """
    then = multiple * max(1, -(-now // (2 * multiple)))
    return Relief(key, now, then, share * (1 - then / now)) if then < now and share > 0 else None


class Task(Protocol):
    """One training problem. Its class may say `samples`: how many items (images, poses, …) a step learns from.

    One that yields partial updates says ``in_parts = True``: then gradients are averaged over ranks after the last.
    It may have a ``reliefs() -> Iterable[Relief | None]``: the recipe's keys that would make a step smaller, for whom
    it does not fit into memory.

    Attributes:
        steps: number of steps.
        modules: all modules that are trained or carry state, by name; saved, and set up for devices by the engine.
            Read a module through this mapping at every step: the engine replaces its entries by wrapped ones.
        clip_norm: gradient norm to clip to, or None.
        ema: decay of an exponential moving average of the modules' weights, or None; the averaged weights are what
            `Engine.train` leaves in the modules at the end.
        sharded: names of modules whose `forward` is called on this rank's shard only, so that their gradients must
            be averaged over ranks; every other module sees the same (gathered) input on all ranks and stays equal. With
            the strategy ``fsdp`` these are what is split over the ranks, whether trained or not: then only their
            `forward` may be called, and their `state_dict` holds each rank's parts.
            They compute in the recipe's precision and return float32 (`Engine.dtype`), in which everything else is
            computed, so a task needs no autocast.
    """

    steps: int
    modules: dict[str, nn.Module]
    clip_norm: float | None
    ema: float | None
    sharded: tuple[str, ...]

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        """Optimisers by name, each with a learning-rate scheduler stepped after each of its updates, or None.

        Called once the modules are set up; made only here, for what `modules` then holds.
        """
        ...

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """Yield this step's updates; each is applied before the next is computed.

        Everything random comes from `generator`, a CPU generator seeded by (seed, stage, step). Carried state other
        than module weights must live in a module's buffers, or a resumed run could not repeat.
        """
        ...
