"""Which frames of a person make clips, at the rate that a table asks for. Opens no file."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.errors import RecipeError
from sa3dhp_datasets.shots import Person, Shot

EVEN = 1e-3
"""Share by which two frame rates may differ and count as the same."""

Rows = NDArray[np.int64]


def rows_of(shot: Shot, person: Person, fps: float | None, shortest: int) -> Iterator[Rows]:
    """Rows of a person that make clips, none shorter than `shortest` frames.

    Where the shot's rate is a multiple of `fps`, those pictures are kept whose number the multiple divides. Else each
    tick k / fps has the picture nearest in time, so that cameras that saw a recording at once stay together.

    Args:
        shot: of the person.
        person: whose frames; where pictures are missing between them a clip ends.
        fps: frames per second that remain; None for all.
        shortest: frames of the shortest clip.

    Raises:
        RecipeError: more frames per second than the shot has.
    """
    multiple = 1.0 if fps is None else shot.fps / fps
    stride = round(multiple)
    if multiple < 1 - EVEN:
        where = f"fps, for {shot.title}"
        raise RecipeError("more frames per second than there are", where=where, found=fps, expected=f"{shot.fps:g}")
    if abs(multiple - stride) <= EVEN * multiple:
        found = _every(person.frames, stride)
    else:
        found = (rows for run in _every(person.frames, 1) for rows in _ticks(person.frames, run, multiple))
    yield from (rows for rows in found if len(rows) >= shortest)


def fps_of(shot: Shot, fps: float | None) -> float:
    """Frames per second that remain of a shot."""
    return shot.fps if fps is None else fps


def _every(frames: Rows, stride: int) -> Iterator[Rows]:
    """Rows of every n-th picture, split where one is missing."""
    kept = np.flatnonzero(frames % stride == 0)
    if len(kept):
        yield from np.split(kept, np.flatnonzero(np.diff(frames[kept]) != stride) + 1)


def _ticks(frames: Rows, run: Rows, multiple: float) -> Iterator[Rows]:
    """Of a run without gaps, the rows nearest to whole multiples of so many pictures."""
    low, high = int(frames[run[0]]), int(frames[run[-1]])
    ticks = np.arange(math.ceil(low / multiple - EVEN), math.floor(high / multiple + EVEN) + 1) * multiple
    nearest = np.clip(np.ceil(ticks - 0.5 - EVEN), low, high).astype(np.int64)
    if len(nearest):
        yield run[nearest - low]
