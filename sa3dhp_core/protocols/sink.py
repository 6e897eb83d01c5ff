"""Sinks: where metrics, progress and pictures go.

Component target: ``target(config, folder=Path) -> Sink``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

SPEEDS = ("steps_per_s", "samples_per_s", "waiting_share")
"""Scalars of `Sink.progress` that say how fast a stage is, not how well it learns: they differ between equal runs.
The last is the share of the time that training waited for batches."""


@runtime_checkable
class Sink(Protocol):
    """Receives what a run reports. A sink never raises into training; it reports its own trouble once."""

    def stage_started(self, stage: str, steps: int | None) -> None:
        """A stage begins; `steps` where it is known."""
        ...

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        """A step is done."""
        ...

    def stage_finished(self, stage: str, seconds: float, cached: bool) -> None:
        """A stage ended, or was found done."""
        ...

    def result(self, record: Mapping[str, object]) -> None:
        """One record of `results.json`."""
        ...

    def close(self) -> None:
        """Flush."""
        ...
