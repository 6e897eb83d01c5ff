"""Cameras in a JSON file as VideoPose3D knows them: intrinsics one a camera, extrinsics one a subject and camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.atomic import read_json
from sa3dhp_core.errors import DataError, nearest
from sa3dhp_datasets.lens import Lens

Array = NDArray[np.float64]
FORM = "{'intrinsic': [{'focal_length': [2], 'center': [2], …}], 'extrinsic': {subject: [{'orientation': [4], …}]}}"


@attrs.frozen(eq=False)
class Cameras:
    """Where cameras stand and how they see.

    Attributes:
        lenses: one a camera.
        turns: subject to ``(3, 3)`` rotations from the world into each camera.
        where: the file, for messages.
        names: one a camera; those after the last go by their number.
    """

    lenses: tuple[Lens, ...]
    turns: Mapping[str, tuple[Array, ...]]
    where: str
    names: tuple[str, ...] = ()

    def name(self, number: int) -> str:
        """What a camera is called."""
        return self.names[number] if number < len(self.names) else str(number)

    def lens(self, number: int, what: str) -> Lens:
        """A camera's lens; raises `DataError` where the file has fewer cameras than `what`."""
        if number >= len(self.lenses):
            found = f"{len(self.lenses)} intrinsics"
            raise DataError(f"{what} has more cameras than the file", where=self.where, found=found)
        return self.lenses[number]

    def turn(self, subject: str, number: int) -> Array:
        """Rotation from the world into a subject's camera; raises `DataError` where there is none."""
        turns = self.turns.get(subject, ())
        if number >= len(turns):
            raise DataError(
                f"subject {subject!r} has no camera {number}",
                where=self.where,
                found=f"{len(turns)} extrinsics of {subject}",
                expected="one orientation for each camera whose truth is read",
                hint=nearest(subject, self.turns) if not turns else None,
            )
        return turns[number]


def read_cameras(path: Path) -> Cameras:
    """The cameras of a file; raises `DataError` where it is missing or of another form."""
    content = read_json(path)
    try:
        lenses = tuple(_lens(entry) for entry in content["intrinsic"])
        names = tuple(str(entry.get("id", number)) for number, entry in enumerate(content["intrinsic"]))
        turns = {
            subject: tuple(_turn(entry["orientation"]) for entry in entries if entry)
            for subject, entries in content.get("extrinsic", {}).items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        found = f"{type(error).__name__}: {error}"
        raise DataError("cameras in another form", where=str(path), found=found, expected=FORM) from error
    return Cameras(lenses, turns, str(path), names)


def plain_camera(focal_px: float, size_px: Sequence[float]) -> Cameras:
    """One camera without distortion that looks at the middle of its image, for every clip."""
    return Cameras((Lens(np.full(2, focal_px), np.asarray(size_px, dtype=np.float64) / 2),), {}, "focal_px")


def _lens(entry: Mapping[str, Any]) -> Lens:
    return Lens(
        _numbers(entry["focal_length"], 2),
        _numbers(entry["center"], 2),
        _numbers(entry.get("radial_distortion") or [0, 0, 0], 3),
        _numbers(entry.get("tangential_distortion") or [0, 0], 2),
    )


def _numbers(values: Any, count: int) -> Array:
    found = np.asarray(values, dtype=np.float64)
    if found.shape != (count,) or not np.isfinite(found).all():
        raise ValueError(f"{values!r} is not {count} numbers")
    return found


def _turn(quaternion: Any) -> Array:
    """World to camera, from the quaternion (w, x, y, z) of camera to world."""
    w, x, y, z = _numbers(quaternion, 4) / np.linalg.norm(_numbers(quaternion, 4))
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
            [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
            [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
