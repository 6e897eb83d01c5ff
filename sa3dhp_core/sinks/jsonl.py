"""Metrics as JSON lines in the run directory: one line a report, flushed at once. It never reads another's file."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

METRICS = "metrics.jsonl"
RESERVED = ("stage", "step", "time")

Series = tuple[str, frozenset[str]]


class JsonLinesSink:
    """Appends ``{"stage", "step", "time", <scalars>}`` to ``metrics.jsonl``.

    A resumed run repeats the steps since its last checkpoint, a changed one whole stages. Both replace what the file
    holds of them: when a series (a stage and the names of its scalars) reports for the first time in this process,
    its lines from that step on are removed. A line that a kill cut short is removed on opening.

    Args:
        folder: the run directory.

    Raises:
        OSError: the file cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / METRICS
        self._earlier = _read(self.path)
        self._started: set[Series] = set()
        if self.path.exists():
            self._rewrite()
        self._file = self.path.open("a", encoding="utf-8")

    def stage_started(self, stage: str, steps: int | None) -> None:
        """Nothing is stored of a start."""

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        """Store one line; a value that is not finite is stored as null."""
        values = {name: _plain(value) for name, value in scalars.items() if name not in RESERVED}
        series = (stage, frozenset(values))
        if series not in self._started:
            self._started.add(series)
            self._forget(series, step)
        record = {"stage": stage, "step": int(step), "time": round(time.time(), 3), **values}
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def stage_finished(self, stage: str, seconds: float, cached: bool) -> None:
        """Nothing is stored of an end."""

    def result(self, record: Mapping[str, object]) -> None:
        """Results have a file of their own."""

    def close(self) -> None:
        """Close the file; further reports would raise."""
        self._file.close()

    def _forget(self, series: Series, step: int) -> None:
        kept = [record for record in self._earlier if _series(record) != series or record["step"] < step]
        if len(kept) == len(self._earlier):
            return
        # Lines written by this process stay: `_earlier` is what was there when it began.
        own = _read(self.path)[len(self._earlier) :]
        self._file.close()
        self._earlier = kept
        self._rewrite(own)
        self._file = self.path.open("a", encoding="utf-8")

    def _rewrite(self, own: list[dict[str, Any]] | None = None) -> None:
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(record) + "\n" for record in [*self._earlier, *(own or [])])
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)


def _series(record: Mapping[str, Any]) -> Series:
    return record["stage"], frozenset(record) - frozenset(RESERVED)


def _plain(value: float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _read(path: Path) -> list[dict[str, Any]]:
    """Whole records of a metrics file; lines that are no record (cut short by a kill) are left out."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict) and isinstance(record.get("stage"), str) and isinstance(record.get("step"), int):
            records.append(record)
    return records
