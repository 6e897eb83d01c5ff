"""Skeletons drawn into pictures, where the people of a film are. Reads and writes no film."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray

from sa3dhp_core.canvas import Canvas
from sa3dhp_core.geometry import project
from sa3dhp_core.pose_spool import SpooledClip
from sa3dhp_core.protocols.people import Draw
from sa3dhp_core.types import Skeleton

COLOURS = {"left": (66, 165, 245), "right": (255, 138, 61), "middle": (240, 240, 240)}
"""RGB of a bone, by its side."""

WIDTH = 1 / 250
"""Of a line, over the picture's height."""

THINNEST_PX = 2.0
RIM_PX = 1.0


@attrs.frozen(eq=False)
class _Block:
    """A person's joints in pixels ``(T, J, 2)``, and the picture ``(T,)`` of each moment; T > 0."""

    points: NDArray[np.float64]
    frames: NDArray[np.int64]


class _Figure:
    """A person of a film, followed picture by picture; two blocks of moments are in memory while it is seen."""

    def __init__(self, clip: SpooledClip) -> None:
        body = clip.facts.skeleton
        self.bones = tuple((body.parent_indices[bone], bone, COLOURS[side_of(body, bone)]) for bone in body.bones)
        self._first, self._last = clip.span
        self._blocks = _blocks(clip)
        self._now: _Block | None = None
        self._next: _Block | None = None

    def at(self, number: int) -> NDArray[np.float64] | None:
        """Joints ``(J, 2)`` in a picture that is not before the last one asked for; None if nobody is there."""
        if not self._first <= number <= self._last:
            self._now = self._next = None
            return None
        if self._now is None:
            self._now, self._next = next(self._blocks), next(self._blocks, None)
        while self._next is not None and self._next.frames[0] <= number:
            self._now, self._next = self._next, next(self._blocks, None)
        moment = int(np.searchsorted(self._now.frames, number, side="right")) - 1
        return self._now.points[moment]


def painter(clips: Sequence[SpooledClip]) -> Draw:
    """What draws everyone who is in a picture of a film; between two moments, the pose of the earlier one.

    Args:
        clips: all of one film, `PosedClip.filmed` told.
    """
    figures = [_Figure(clip) for clip in clips if clip.facts.filmed is not None]

    def draw(number: int, canvas: Canvas) -> None:
        for figure in figures:
            if (points := figure.at(number)) is not None:
                _draw(canvas, points, figure)

    return draw


def side_of(skeleton: Skeleton, joint: int) -> str:
    """``left``, ``right`` or ``middle``."""
    name = skeleton.joints[joint]
    sides = [side for pair in skeleton.pairs for side, one in zip(("left", "right"), pair, strict=True) if one == name]
    return sides[0] if sides else "middle"


def _blocks(clip: SpooledClip) -> Iterator[_Block]:
    assert clip.facts.filmed is not None
    camera = clip.facts.filmed.film.intrinsics
    for rows in clip.blocks():
        places = torch.from_numpy(rows["poses"] + rows["root_m"][:, None])
        yield _Block(project(places, camera).double().numpy(), rows["frame_number"])


def _draw(canvas: Canvas, points: NDArray[Any], figure: _Figure) -> None:
    width = max(THINNEST_PX, WIDTH * canvas.height)
    for parent, bone, colour in figure.bones:
        canvas.line(points[parent], points[bone], colour, width, RIM_PX)
