"""What is found in files of motion alone: counts, rates, bones, and motion that nobody makes. Opens no file itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs
import numpy as np

from sa3dhp_core.cards import skeleton
from sa3dhp_core.protocols.data_files import CameraCheck, DataCheck
from sa3dhp_datasets.bone_check import implausible, lengths_of, measured
from sa3dhp_datasets.lens import Array

FASTEST = 15.0
"""Metres a second, beside the root, that no joint reaches: a javelin leaves the hand at 30, the hand moves at half."""

NAMED = 3
"""Clips that one sentence names."""

_PER_SECOND = 10.0
"""Frames a second whose bones are measured."""


@attrs.frozen
class Moved:
    """One clip: its name and subject, number of frames and rate, and what makes it doubtful."""

    name: str
    subject: str
    frames: int
    fps: float
    speed: float
    upright: bool


def checked(clips: Iterable[tuple[str, Array, float]]) -> DataCheck:
    """Read all clips once, holding a few bone lengths of each; splits are the caller's.

    Args:
        clips: name, ``positions (T, J, 3)`` metres with z up, frames a second; all finite.
    """
    moved: list[Moved] = []
    bones: dict[str, list[Array]] = {}
    for name, positions, fps in clips:
        subject = name.rpartition("/")[0]
        moved.append(_moved(name, subject, positions, fps))
        thinned = positions[:: max(1, round(fps / _PER_SECOND))]
        bones.setdefault(subject, []).append(lengths_of(thinned).astype(np.float32))
    lengths = list(measured({subject: np.concatenate(rows) for subject, rows in bones.items()}))
    subjects: dict[str, int] = {}
    for one in moved:
        subjects[one.subject] = subjects.get(one.subject, 0) + one.frames
    rates = tuple(sorted({one.fps for one in moved}))
    every = CameraCheck("", len(moved), len(moved), sum(one.frames for one in moved), rates, None, None)
    return DataCheck(
        tuple(sorted(subjects.items())),
        (),
        (every,),
        tuple(lengths),
        (*implausible(lengths), *_of_motion(moved)),
    )


def _moved(name: str, subject: str, positions: Array, fps: float) -> Moved:
    body = skeleton()
    relative = positions - positions[:, body.index(body.root), None]
    steps = np.linalg.norm(np.diff(relative, axis=0), axis=-1)
    speed = float(np.quantile(steps.max(axis=1), 0.99)) * fps if len(steps) else 0.0
    height = np.median(positions[:, body.index("head"), 2] - positions[:, body.index(body.root), 2])
    return Moved(name, subject, len(positions), fps, speed, bool(height > 0))


def _of_motion(moved: list[Moved]) -> Iterator[str]:
    if len(hanging := [one.name for one in moved if not one.upright]) > len(moved) / 2:
        yield f"in {_some(hanging)} heads are below hips: is another axis up?"
    if fast := [one for one in moved if one.speed > FASTEST]:
        most = max(one.speed for one in fast)
        yield f"in {_some([one.name for one in fast])} joints move at up to {most:.0f} m/s: is the rate right?"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more clips" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
