"""BVH: a hierarchy with channel values, and its text. Reads no file, knows no rig and computes no position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.atomic import write_atomic

CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")
END = ".end"
"""How the names of End Sites end, which have none in the file."""


@attrs.frozen
class BvhJoint:
    """A joint: its name (an End Site is called ``parent.end``), parent index (-1: none), OFFSET, CHANNELS in order."""

    name: str
    parent: int
    offset: tuple[float, float, float]
    channels: tuple[str, ...]


@attrs.frozen
class Bvh:
    """A file: joints with parents first, ``values (T, all channels)`` in the file's units and degrees."""

    joints: tuple[BvhJoint, ...]
    frame_time_s: float
    values: NDArray[np.float64]


def write_bvh(path: Path, bvh: Bvh) -> None:
    """Write a file under a temporary name, line by line, then rename it."""
    write_bvh_blocks(path, bvh.joints, bvh.frame_time_s, len(bvh.values), [bvh.values])


def write_bvh_blocks(
    path: Path,
    joints: Sequence[BvhJoint],
    frame_time_s: float,
    frames: int,
    blocks: Iterable[NDArray[np.float64]],
) -> None:
    """`write_bvh` of values that come a block ``(T, all channels)`` at a time, `frames` rows in all."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(_head(joints, frame_time_s, frames))
            for values in blocks:
                file.writelines(_rows(values))

    write_atomic(path, write)


def format_bvh(bvh: Bvh) -> str:
    """The text of a file; numbers are written so that they are read back the same."""
    return "".join([*_head(bvh.joints, bvh.frame_time_s, len(bvh.values)), *_rows(bvh.values)])


def _head(joints: Sequence[BvhJoint], frame_time_s: float, frames: int) -> Iterator[str]:
    yield "HIERARCHY\n"
    yield from _joint(joints, 0, 0)
    yield f"MOTION\nFrames: {frames}\nFrame Time: {frame_time_s!r}\n"


def _rows(values: NDArray[np.float64]) -> Iterator[str]:
    for row in values:
        yield " ".join(map(repr, row.tolist())) + "\n"


def _joint(joints: Sequence[BvhJoint], index: int, depth: int) -> Iterator[str]:
    joint, pad = joints[index], "  " * depth
    end = joint.name.endswith(END)
    head = "End Site" if end else f"{'ROOT' if joint.parent < 0 else 'JOINT'} {joint.name}"
    yield f"{pad}{head}\n{pad}{{\n{pad}  OFFSET {' '.join(repr(float(x)) for x in joint.offset)}\n"
    if not end:
        yield f"{pad}  CHANNELS {len(joint.channels)} {' '.join(joint.channels)}\n"
    for child, other in enumerate(joints):
        if other.parent == index:
            yield from _joint(joints, child, depth + 1)
    yield f"{pad}}}\n"
