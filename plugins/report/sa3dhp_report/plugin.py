"""What this plugin offers: descriptors alone; importing it imports neither torch nor plotly."""

from __future__ import annotations

from collections.abc import Sequence

from sa3dhp_core.components import Component
from sa3dhp_core.hookspecs import hookimpl


@hookimpl
def sa3dhp_sinks() -> Sequence[Component]:
    """The HTML report and TensorBoard."""
    return (
        Component(
            noun="sink",
            id="report",
            summary="One self-contained HTML page about the run, written when it closes.",
            config="sa3dhp_report.config:ReportConfig",
            target="sa3dhp_report.sink:ReportSink",
            capabilities=frozenset(("keeps-results",)),
        ),
        Component(
            noun="sink",
            id="tensorboard",
            summary="Scalars and results as TensorBoard event files.",
            config="sa3dhp_report.config:TensorBoardConfig",
            target="sa3dhp_report.tensorboard:TensorBoardSink",
            capabilities=frozenset(("keeps-results",)),
        ),
    )
