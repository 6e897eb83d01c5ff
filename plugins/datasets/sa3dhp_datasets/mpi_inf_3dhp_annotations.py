"""What annot.mat of MPI-INF-3DHP's training set tells of a camera, mended as the card says. Opens no file itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.cards import read_card
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.expected_arrays import array_of, need_equal, need_unit, whole_numbers
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.mpi_inf_3dhp_frames import MM
from sa3dhp_datasets.shots import house

CARD = "mpi-inf-3dhp"


@attrs.frozen(eq=False)
class Seen:
    """What one camera's annotations tell of F frames; 28 joints in the order of the card's columns.

    Attributes:
        frames: ``(F,)`` numbers of pictures, from 0.
        points: ``(F, 28, 2)`` pixels.
        joints: ``(F, 28, 3)`` metres, camera frame.
    """

    frames: NDArray[np.int64]
    points: Array
    joints: Array

    def rows(self, chosen: NDArray[Any]) -> Seen:
        """Of some frames, by a mask or their places."""
        return Seen(self.frames[chosen], self.points[chosen], self.joints[chosen])


@cache
def card() -> dict[str, Any]:
    """The set's card."""
    return read_card("datasets", CARD)


def seen_by(told: Mapping[str, Any], camera: str, truth: str, where: str) -> Seen:
    """What a camera's cells of annot.mat tell.

    Args:
        told: the file's `annot2`, `cameras`, `frames` and the variable that `truth` names.
        camera: its number.
        truth: ``annot3`` or ``univ_annot3``.
        where: the file, for messages.

    Raises:
        DataError: no such camera, cells of other shapes or lengths, numbers that are not finite, another unit.
    """
    columns = len(card()["columns"])
    cameras = _numbers(told["cameras"], f"{where}: cameras").tolist()
    if int(camera) not in cameras:
        raise DataError(f"camera {camera} is missing", where=f"{where}: cameras", found=cameras)
    cells = {}
    for key, axes in (("annot2", 2), (truth, 3)):
        cell = _cell(told[key], cameras.index(int(camera)), len(cameras), f"{where}: {key}")
        what = f"{columns} joints in {'pixels' if axes == 2 else 'millimetres'}"
        cells[key] = array_of(cell, (None, axes * columns), f"{where}: {key}{{{camera}}}", what)
    frames = _numbers(told["frames"], f"{where}: frames")
    need_equal({"frames": len(frames), **{key: len(cell) for key, cell in cells.items()}}, f"{where}: camera {camera}")
    if not len(frames) or frames[0] < 0 or (np.diff(frames) <= 0).any():
        raise DataError("frames are not numbered", where=f"{where}: frames", found=frames[:9], expected="0, 1, 2, …")
    joints = cells[truth].reshape(len(frames), columns, 3)
    need_unit(house(joints, CARD, where), "millimetre", f"{where}: {truth}{{{camera}}}")
    return Seen(frames, cells["annot2"].reshape(len(frames), columns, 2), joints / MM)


def _numbers(value: Any, where: str) -> NDArray[np.int64]:
    """A row or a column of whole numbers."""
    numbers = whole_numbers(value, (None, None), where, "whole numbers")
    if min(numbers.shape) != 1:
        raise DataError("neither a row nor a column", where=where, found=numbers.shape, expected="numbers in a row")
    return numbers.ravel()


def _cell(cells: Any, number: int, count: int, where: str) -> Any:
    """One of the cells ``(count, 1)``."""
    rows = cells if isinstance(cells, list) else []
    if len(rows) != count or not all(isinstance(row, list) and len(row) == 1 for row in rows):
        found = f"{len(rows)} rows of cells" if rows else type(cells).__name__
        raise DataError("cells of another form", where=where, found=found, expected=f"{count} x 1 cells, one a camera")
    return rows[number][0]


def mended(name: str, camera: str, seen: Seen, count: int) -> Seen:
    """A camera's annotations as the card mends them.

    Args:
        name: of the recording (``S1/Seq1``).
        camera: its number.
        seen: what the file tells.
        count: of the recording's pictures; annotations beyond have none.

    Returns:
        The same without the frames that have no picture or that the card excludes, and with the card's corrections.
    """
    kept = seen.frames < count
    for entry in card()["exclusions"]:
        if entry["recording"] == name and entry["camera"] == camera:
            kept &= ~_between(seen.frames, entry)
    seen = seen.rows(kept)
    for entry in card()["corrections"]:
        if entry["recording"] == name:
            wrong, order = _between(seen.frames, entry)[:, None, None], _exchanged(card()["columns"])
            points = np.where(wrong, seen.points[:, order], seen.points)
            seen = Seen(seen.frames, points, np.where(wrong, seen.joints[:, order], seen.joints))
    return seen


def _between(frames: NDArray[np.int64], entry: Mapping[str, Any]) -> NDArray[np.bool_]:
    return (frames >= entry["first"]) & (frames <= entry["last"])


def _exchanged(names: Sequence[str]) -> list[int]:
    """For each column the one of the other side; those of the middle stay."""
    other = {"left": "right", "right": "left"}
    sides = [name.partition("_") for name in names]
    return [
        names.index(f"{other[side]}_{rest}" if side in other else name)
        for (side, _, rest), name in zip(sides, names, strict=True)
    ]
