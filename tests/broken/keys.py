"""Config classes of the components of these tests. Imports no torch, as no config may."""

from __future__ import annotations

import attrs


@attrs.frozen
class Keys:
    """No keys."""


@attrs.frozen
class PathKeys:
    """One key."""

    path: str = attrs.field(default="", metadata={"help": "folder of the input"})


@attrs.frozen
class FrameKeys:
    """One number."""

    frames: int = attrs.field(default=5, metadata={"help": "frames of a sequence"})
