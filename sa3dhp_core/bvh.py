"""BVH: a hierarchy with channel values, and its text. Reads no file, knows no rig and computes no position."""

from __future__ import annotations

from collections.abc import Iterator
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

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(bvh_lines(bvh))

    write_atomic(path, write)


def format_bvh(bvh: Bvh) -> str:
    """The text of a file; numbers are written so that they are read back the same."""
    return "".join(bvh_lines(bvh))


def bvh_lines(bvh: Bvh) -> Iterator[str]:
    """The lines of a file."""
    yield "HIERARCHY\n"
    yield from _joint(bvh, 0, 0)
    yield f"MOTION\nFrames: {len(bvh.values)}\nFrame Time: {bvh.frame_time_s!r}\n"
    for row in bvh.values:
        yield " ".join(map(repr, row.tolist())) + "\n"


def _joint(bvh: Bvh, index: int, depth: int) -> Iterator[str]:
    joint, pad = bvh.joints[index], "  " * depth
    end = joint.name.endswith(END)
    head = "End Site" if end else f"{'ROOT' if joint.parent < 0 else 'JOINT'} {joint.name}"
    yield f"{pad}{head}\n{pad}{{\n{pad}  OFFSET {' '.join(repr(float(x)) for x in joint.offset)}\n"
    if not end:
        yield f"{pad}  CHANNELS {len(joint.channels)} {' '.join(joint.channels)}\n"
    for child, other in enumerate(bvh.joints):
        if other.parent == index:
            yield from _joint(bvh, child, depth + 1)
    yield f"{pad}}}\n"
