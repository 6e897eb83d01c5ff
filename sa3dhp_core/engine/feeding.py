"""Batches drawn ahead of the step that needs them, and how long the loop waited for them. It trains nothing.

What a task draws is a function of (seed, stage, step) alone, so drawing early, and for several steps at a time, changes
no bit. Every step has a generator of its own; a batch is handed on with the generator that drew it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import attrs
import torch
from torch import Tensor

from sa3dhp_core.errors import Sa3dhpError
from sa3dhp_core.protocols.task import Fed, Task, Update
from sa3dhp_core.types import Shard

AHEAD = 2
"""Batches drawn ahead for an accelerator, if the recipe does not say how many."""


@attrs.frozen
class Served:
    """What a step begins from.

    Attributes:
        generator: of the step; what `Fed.draw` took from it is gone.
        updates: starts the step's updates.
    """

    generator: torch.Generator
    updates: Callable[[], Iterator[Update]]


class Feed:
    """A task's steps in their order, with batches where the task draws them apart (`Fed`).

    Args:
        task: the training problem.
        generator: of each step, freshly seeded.
        stage: what errors name.
        first: the first step.
        shard: this rank's part.
        device: where batches go.
        ahead: batches drawn before they are needed, each in a thread of its own; 0 draws in the loop.
    """

    def __init__(
        self,
        task: Task,
        generator: Callable[[int], torch.Generator],
        stage: str,
        first: int,
        shard: Shard,
        device: torch.device,
        ahead: int,
    ) -> None:
        self._task, self._generator, self._stage = task, generator, stage
        self._shard, self._device, self._ahead = shard, device, ahead
        self._fed: Fed | None = task if isinstance(task, Fed) else None
        self._next, self._began, self._waited = first, time.perf_counter(), 0.0
        self._coming: deque[Future[tuple[torch.Generator, Any]]] = deque()
        self._threads: ThreadPoolExecutor | None = None
        if self._fed is not None and ahead > 0:
            same = torch.get_num_threads()  # sums of another number of threads have other last bits
            self._threads = ThreadPoolExecutor(ahead, "feed", torch.set_num_threads, (same,))

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads is not None:  # whoever ends early does not wait for batches that nobody will take
            self._threads.shutdown(wait=error is None, cancel_futures=True)

    def take(self, step: int) -> Served:
        """The next step; waits for its batch if it is not there yet.

        Raises:
            Sa3dhpError: what drawing raised, with the step that it was drawn for.
        """
        task, fed, shard = self._task, self._fed, self._shard
        if fed is None:
            generator = self._generator(step)
            return Served(generator, lambda: task.updates(step, generator, shard))
        began = time.perf_counter()
        drew, batch = self._drawn(fed, step)
        batch = placed(batch, self._device)
        self._waited += time.perf_counter() - began
        return Served(drew, lambda: fed.updates_from(batch, step, drew, shard))

    def speed(self, steps: int) -> dict[str, float]:
        """Steps and samples a second since the beginning, and the share of the time spent waiting for batches.

        Args:
            steps: done since then.
        """
        passed = time.perf_counter() - self._began
        found = {"steps_per_s": steps / passed}
        if samples := getattr(self._task, "samples", 0):
            found["samples_per_s"] = samples * found["steps_per_s"]
        if self._fed is not None:
            found["waiting_share"] = self._waited / passed
        return found

    def _drawn(self, fed: Fed, step: int) -> tuple[torch.Generator, Any]:
        try:
            if self._threads is None:
                return self._draw(fed, step)
            while self._next < min(self._task.steps, step + 1 + self._ahead):
                self._coming.append(self._threads.submit(self._draw, fed, self._next))
                self._next += 1
            return self._coming.popleft().result()
        except Sa3dhpError as error:
            what = f"{error.what} (in what step {step + 1} of stage {self._stage!r} draws)"
            facts = (error.where, error.found, error.expected, error.hint)
            names = ("where", "found", "expected", "hint")
            raise type(error)(what, **dict(zip(names, facts, strict=True))) from error  # type: ignore[arg-type]

    @torch.no_grad()
    def _draw(self, fed: Fed, step: int) -> tuple[torch.Generator, Any]:
        generator = self._generator(step)
        batch = fed.draw(step, generator, self._shard)
        if self._threads is not None and self._device.type == "cuda":
            batch = mapped(batch, torch.Tensor.pin_memory)
        return generator, batch


def batches_ahead(prefetch: int | None, device: torch.device) -> int:
    """What ``engine.prefetch`` means on a device: by default nothing on a CPU, whose cores the step needs itself."""
    if prefetch is not None:
        return prefetch
    return 0 if device.type == "cpu" else AHEAD


def placed(batch: Any, device: torch.device) -> Any:
    """The batch on a device; from pinned memory without waiting for the copy."""
    return mapped(batch, lambda tensor: tensor.to(device, non_blocking=True))


def mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same batch with every tensor changed: in tuples, lists, mappings and attrs values, however deep."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: mapped(item, change) for key, item in value.items()}
    if isinstance(value, tuple | list):
        items = [mapped(item, change) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if attrs.has(type(value)):
        fields = [field.name for field in attrs.fields(type(value))]
        return attrs.evolve(value, **{name: mapped(getattr(value, name), change) for name in fields})
    return value
