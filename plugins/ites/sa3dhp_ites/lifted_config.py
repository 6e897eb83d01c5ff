"""Recipe keys of `lifted-poses`. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs
from attrs.validators import and_, deep_iterable, gt, in_, lt

Mirror = Literal["no", "yes", "upright"]
_ELEVATIONS = (
    "how far the camera of each clip looks down, repeated over the clips; empty: all alike, so that people stand "
    "upright on the mean"
)
_MIRROR = "whether all poses are mirrored in depth; upright: where people then stand better under `elevations_deg`"


def _needs_elevations(config: LiftedPosesConfig, field: Any, value: str) -> None:
    if value == "upright" and not config.elevations_deg:
        raise ValueError("'upright' needs elevations_deg to tell a pose from its mirror image")


def _key(default: Any, text: str, *checks: Any) -> Any:
    return attrs.field(default=default, validator=list(checks), metadata={"help": text})


@attrs.frozen
class LiftedPosesConfig:
    """Poses that a finished run's lifter makes of 2D keypoints."""

    run: str = _key("runs/ites-world", "directory of a run whose method trains a lifter")
    keypoints: Mapping[str, Any] | None = attrs.field(
        default=None,
        metadata={"component": "keypoint_data", "help": "what is lifted; absent: what the run learned from"},
    )
    elevations_deg: tuple[float, ...] = _key((), _ELEVATIONS, deep_iterable(and_(gt(-90.0), lt(90.0))))
    mirror: Mirror = _key("no", _MIRROR, in_(("no", "yes", "upright")), _needs_elevations)
