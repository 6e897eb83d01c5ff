"""Skeletons drawn into pictures, where the people of a film are. Reads and writes no film."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.geometry import project
from sa3dhp_core.protocols.people import Draw
from sa3dhp_core.protocols.prediction import PosedClip
from sa3dhp_core.types import Skeleton

COLOURS = {"left": (66, 165, 245), "right": (255, 138, 61), "middle": (240, 240, 240)}
"""RGB of a bone, by its side."""

WIDTH = 1 / 250
"""Of a line, over the picture's height."""

THINNEST_PX = 2.0
RIM_PX = 1.0


@attrs.frozen(eq=False)
class _Figure:
    """A person's joints in pixels ``(T, J, 2)``, and the picture ``(T,)`` of each moment."""

    points: NDArray[np.float64]
    frames: NDArray[np.int64]
    bones: tuple[tuple[int, int, tuple[int, int, int]], ...]


def painter(clips: Sequence[PosedClip]) -> Draw:
    """What draws everyone who is in a picture of a film; between two moments, the pose of the earlier one.

    Args:
        clips: all of one film, `PosedClip.filmed` told.
    """
    figures = [_figure(clip) for clip in clips if clip.filmed is not None]

    def draw(number: int, picture: NDArray[Any]) -> None:
        for figure in figures:
            if figure.frames[0] <= number <= figure.frames[-1]:
                moment = int(np.searchsorted(figure.frames, number, side="right")) - 1
                _draw(picture, figure.points[moment], figure)

    return draw


def side_of(skeleton: Skeleton, joint: int) -> str:
    """``left``, ``right`` or ``middle``."""
    name = skeleton.joints[joint]
    sides = [side for pair in skeleton.pairs for side, one in zip(("left", "right"), pair, strict=True) if one == name]
    return sides[0] if sides else "middle"


def line(
    picture: NDArray[Any],
    start: NDArray[Any],
    end: NDArray[Any],
    colour: Sequence[int],
    width: float,
    rim: float = 0.0,
) -> None:
    """Draw a line with smooth edges and round ends into ``(H, W, 3)`` uint8; what lies outside is left out.

    Args:
        picture: changed in place.
        start: ``(2,)`` pixels, x and y from the picture's corner.
        end: ``(2,)``.
        colour: RGB.
        width: pixels.
        rim: pixels of black around it.
    """
    ends, reach = np.stack([start, end]), width / 2 + rim + 1
    if not np.isfinite(ends).all():
        return
    limit = np.asarray(picture.shape[1::-1])
    low = np.clip(np.floor(ends.min(0) - reach), 0, limit).astype(int)
    high = np.clip(np.ceil(ends.max(0) + reach), 0, limit).astype(int)
    if (high <= low).any():
        return
    x = (np.arange(low[0], high[0])[None] + 0.5 - start[0]).astype(np.float32)
    y = (np.arange(low[1], high[1])[:, None] + 0.5 - start[1]).astype(np.float32)
    along = (end - start).astype(np.float32)
    part = np.clip((x * along[0] + y * along[1]) / max(float(along @ along), 1e-9), 0, 1)
    away = np.sqrt((x - part * along[0]) ** 2 + (y - part * along[1]) ** 2)
    place = picture[low[1] : high[1], low[0] : high[0]]
    near = away < reach
    cover = np.clip(width / 2 + 0.5 - away[near], 0, 1)[:, None]
    under = 1 - np.clip(width / 2 + rim + 0.5 - away[near], 0, 1)[:, None] if rim else 1 - cover
    place[near] = np.round(place[near] * under + np.asarray(colour) * cover)


def _figure(clip: PosedClip) -> _Figure:
    assert clip.filmed is not None
    body = clip.skeleton
    points = project(clip.poses + clip.filmed.roots[:, None], clip.filmed.film.intrinsics).double().numpy()
    bones = tuple((body.parent_indices[bone], bone, COLOURS[side_of(body, bone)]) for bone in body.bones)
    return _Figure(points, clip.filmed.frames.numpy(), bones)


def _draw(picture: NDArray[Any], points: NDArray[np.float64], figure: _Figure) -> None:
    width = max(THINNEST_PX, WIDTH * picture.shape[0])
    for parent, bone, colour in figure.bones:
        line(picture, points[parent], points[bone], colour, width, RIM_PX)
