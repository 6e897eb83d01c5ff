"""Settings of the report and of the TensorBoard sink. Imports no torch."""

from __future__ import annotations

import attrs
from attrs import validators


@attrs.frozen
class ReportConfig:
    """How much the report shows."""

    samples: int = attrs.field(
        default=12, validator=validators.ge(0), metadata={"help": "at most this many sample crops with skeletons"}
    )
    curve_points: int = attrs.field(
        default=400, validator=validators.ge(2), metadata={"help": "at most this many points a training curve"}
    )


@attrs.frozen
class TensorBoardConfig:
    """Where event files go and how often they are flushed."""

    subfolder: str = attrs.field(
        default="tensorboard",
        validator=validators.min_len(1),
        metadata={"help": "folder of the event files, inside the run directory"},
    )
    flush_seconds: int = attrs.field(
        default=30, validator=validators.gt(0), metadata={"help": "seconds between two flushes to disk"}
    )
