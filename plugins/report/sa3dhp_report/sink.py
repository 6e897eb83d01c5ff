"""The sink that leaves a report behind. It listens to nothing: the report is made from the run directory alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sa3dhp_report.config import ReportConfig


class ReportSink:
    """Builds ``report.html`` on closing, when the run directory holds results.

    Args:
        config: how much the report shows.
        folder: the run directory.
    """

    def __init__(self, config: ReportConfig, folder: Path) -> None:
        self.config, self.folder = config, folder

    def stage_started(self, stage: str, steps: int | None) -> None:
        """Nothing to do."""

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        """Nothing to do: curves are read from the metrics file."""

    def stage_finished(self, stage: str, seconds: float, cached: bool) -> None:
        """Nothing to do."""

    def result(self, record: Mapping[str, object]) -> None:
        """Nothing to do: results are read from their file."""

    def close(self) -> None:
        """Build the report; nothing happens where there is no ``results.json``."""
        from sa3dhp_report.build import build_report
        from sa3dhp_report.inputs import RESULTS

        if (self.folder / RESULTS).is_file():
            build_report(self.folder, self.config)
