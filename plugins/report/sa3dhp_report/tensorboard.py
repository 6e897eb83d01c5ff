"""Scalars and results as TensorBoard event files, one writer a stage. It never reads them back."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from sa3dhp_report.config import TensorBoardConfig


class TensorBoardSink:
    """Writes each stage's scalars under ``<run>/<subfolder>/<stage>``.

    A resumed run repeats steps; the stage's writer is told the first of them, and TensorBoard then discards what older
    event files hold from there on. A folder that can no longer be written to is named once on standard error, and what
    comes after it is dropped: training goes on.

    Args:
        config: subfolder and flush interval.
        folder: the run directory.
    """

    def __init__(self, config: TensorBoardConfig, folder: Path) -> None:
        self.folder, self.flush_seconds = folder / config.subfolder, config.flush_seconds
        self._writers: dict[str, SummaryWriter] = {}
        self._lost = False

    def stage_started(self, stage: str, steps: int | None) -> None:
        """Nothing is stored of a start."""

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        """Store the scalars under their names."""
        with self._trouble_told():
            writer = self._writer(stage, step)
            for name, value in scalars.items():
                writer.add_scalar(name, float(value), step)

    def stage_finished(self, stage: str, seconds: float, cached: bool) -> None:
        """Close the stage's writer."""
        with self._trouble_told():
            if (writer := self._writers.pop(stage, None)) is not None:
                writer.close()

    def result(self, record: Mapping[str, object]) -> None:
        """Store one figure under ``split/protocol/row``."""
        value = record.get("value")
        if isinstance(value, (int, float)):
            tag = "/".join(str(record.get(key, "")) for key in ("split", "protocol", "row"))
            with self._trouble_told():
                self._writer("results", 0).add_scalar(tag.replace(" ", "-"), float(value), 0)

    def close(self) -> None:
        """Flush and close all writers."""
        for stage in list(self._writers):
            self.stage_finished(stage, 0.0, False)

    @contextmanager
    def _trouble_told(self) -> Iterator[None]:
        """Say once what cannot be written; the writer that failed is given up."""
        try:
            yield
        except OSError as error:
            self._writers.clear()
            if not self._lost:
                print(f"TensorBoard's files cannot be written: {error}", file=sys.stderr, flush=True)
            self._lost = True

    def _writer(self, stage: str, step: int) -> SummaryWriter:
        if stage not in self._writers:
            folder = self.folder / stage.replace("/", "_")
            self._writers[stage] = SummaryWriter(str(folder), purge_step=step, flush_secs=self.flush_seconds)
        return self._writers[stage]
