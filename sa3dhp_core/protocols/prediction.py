"""Predictions: the poses of one clip, as a run makes them of files that it was not made with."""

from __future__ import annotations

import attrs
from torch import Tensor

from sa3dhp_core.protocols.people import Film
from sa3dhp_core.types import ClipName, Skeleton


@attrs.frozen(eq=False)
class Filmed:
    """Where a clip's person is in a film.

    Attributes:
        film: the same for all its people.
        frames: ``(T,)`` number of the film's picture of each pose, never falling.
        roots: ``(T, 3)`` metres, camera frame: where the root stands if the person is as tall as the pose and fills the
            box in the picture.
    """

    film: Film
    frames: Tensor
    roots: Tensor


@attrs.frozen
class Part:
    """Where poses belong that are given a few at a time, so that no clip is too long to be held.

    The parts of one clip come one after another in time, those of other clips between them.

    Attributes:
        clip: number of the clip from 0; clips are listed in this order.
        first: number of the part's first pose in its clip.
    """

    clip: int
    first: int


@attrs.frozen(eq=False)
class PosedClip:
    """What a method's ``predict(folders, engine, source, changes) -> Iterator[PosedClip]`` gives: a clip of one person.

    T counts the poses of the clip, or of the part of it that this is.

    Attributes:
        name: subject or track, clip and camera.
        fps: frames per second.
        skeleton: of the poses.
        poses: ``(T, J, 3)`` metres, root-relative, camera frame (x right, y down, z away), on the CPU.
        seen: ``(T, J)`` whether each joint was seen; where it was not, its place is the model's guess.
        licence: of what the poses were made of.
        start_s: time of the clip's first pose, seconds.
        model: which of the run's models made them, where it has several.
        filmed: where they are seen, if they were made of a film.
        part: which part of which clip this is; None for a whole one.
    """

    name: ClipName
    fps: float
    skeleton: Skeleton
    poses: Tensor
    seen: Tensor
    licence: str
    start_s: float = 0.0
    model: str = ""
    filmed: Filmed | None = None
    part: Part | None = None
