"""Predictions: the poses of one clip, as a run makes them of files that it was not made with."""

from __future__ import annotations

import attrs
from torch import Tensor

from sa3dhp_core.types import ClipName, Skeleton


@attrs.frozen(eq=False)
class PosedClip:
    """What a method's ``predict(folders, engine, source, changes) -> Iterator[PosedClip]`` gives: a clip of one person.

    Attributes:
        name: subject or track, clip and camera.
        fps: frames per second; the first frame is at time 0.
        skeleton: of the poses.
        poses: ``(T, J, 3)`` metres, root-relative, camera frame (x right, y down, z away), on the CPU.
        seen: ``(T, J)`` whether each joint was seen; where it was not, its place is the model's guess.
        licence: of what the poses were made of.
    """

    name: ClipName
    fps: float
    skeleton: Skeleton
    poses: Tensor
    seen: Tensor
    licence: str
