"""Recipe keys of the plugin's components. Imports no torch."""

from __future__ import annotations

import attrs
from attrs import validators


@attrs.frozen
class Tilt:
    """The camera tilts."""

    angle: float = attrs.field(
        default=8.0,
        validator=validators.and_(validators.ge(-30.0), validators.le(30.0)),
        metadata={"help": "degrees; a positive angle moves the person up in the picture"},
    )
    name: str = attrs.field(
        default="",
        validator=validators.instance_of(str),
        metadata={"help": "name that losses use; `tilt(angle)` if empty"},
    )
