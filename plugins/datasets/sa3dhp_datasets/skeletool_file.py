"""Skeletool camera calibration files (camera.calibration): pinhole cameras and how they stand. Knows no data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.lens import Lens
from sa3dhp_datasets.lines import Line, lines_of, read_text

Array = NDArray[np.float64]
HEADER = "Skeletool Camera Calibration File V1.0"
COUNTS = {"sensor": 2, "size": 2, "animated": 1, "intrinsic": 16, "extrinsic": 16, "radial": 1}
"""Lines of a camera, after its name, and how many numbers each has."""

SQUARE = 1e-3
"""How far a rotation may be from one: files have about seven digits."""


@attrs.frozen(eq=False)
class StudioCamera:
    """One camera of a studio.

    Attributes:
        lens: how it sees.
        turn: ``(3, 3)`` rotation from the world into the camera.
        place: ``(3,)`` what is added after turning, in the file's unit.
        width: of its picture, pixels.
        height: of its picture, pixels.
    """

    lens: Lens
    turn: Array
    place: Array
    width: int
    height: int


def read_skeletool(path: Path) -> Mapping[str, StudioCamera]:
    """Name to camera, in the file's order.

    Raises:
        DataError: no such file, another format, cut, or a camera that is no pinhole (animated, skewed or bent).
    """
    return parse_skeletool(read_text(path, HEADER), str(path))


def parse_skeletool(text: str, where: str) -> Mapping[str, StudioCamera]:
    """The cameras of a file's text; `where` names it in errors. Raises `DataError` as `read_skeletool`."""
    lines = list(lines_of(text, where))
    if not lines or lines[0].words != tuple(HEADER.split()):
        found = " ".join(lines[0].words)[:60] if lines else "an empty file"
        raise DataError("not a camera calibration", where=where, found=found, expected=HEADER)
    blocks: dict[str, dict[str, Line]] = {}
    for line in lines[1:]:
        _sort_in(blocks, line)
    if not blocks:
        raise DataError("no camera", where=where, expected="blocks of `name`, `intrinsic`, `extrinsic`, …")
    return {name: _camera(block, f"{where}: camera {name}") for name, block in blocks.items()}


def _sort_in(blocks: dict[str, dict[str, Line]], line: Line) -> None:
    key = line.words[0]
    if key == "name":
        name = line.word(1, "name NUMBER")
        if name in blocks:
            raise line.error("two cameras have one name", name, "names that differ")
        blocks[name] = {}
    elif key not in COUNTS:
        raise line.error("an unknown word", key[:60], ", ".join(COUNTS))
    elif not blocks:
        raise line.error("stands before the first camera", key, "name NUMBER")
    elif key in (block := blocks[next(reversed(blocks))]):
        raise line.error(f"{key} stands twice in a camera", key, "one each")
    else:
        block[key] = line


def _camera(block: Mapping[str, Line], where: str) -> StudioCamera:
    if missing := [key for key in COUNTS if key not in block]:
        raise DataError(f"a camera without `{missing[0]}`", where=where, found=", ".join(block) or "its name alone")
    values = {key: _numbers(line, COUNTS[key]) for key, line in block.items()}
    for key in ("animated", "radial"):
        if values[key].any():
            raise block[key].error("a camera that moves or bends is not read", values[key].tolist(), f"{key} 0")
    width, height = values["size"].tolist()
    if min(width, height) < 1 or width % 1 or height % 1:
        raise block["size"].error("no size of a picture", values["size"].tolist(), "two whole numbers")
    turn, place = _stand(values["extrinsic"].reshape(4, 4), block["extrinsic"])
    return StudioCamera(
        _lens(values["intrinsic"].reshape(4, 4), block["intrinsic"]), turn, place, int(width), int(height)
    )


def _numbers(line: Line, count: int) -> Array:
    values = line.numbers(1, f"{line.words[0]}: {count} numbers")
    if len(values) != count:
        raise line.error("another number of values", len(values), f"{line.words[0]}: {count} numbers")
    return np.asarray(values, dtype=np.float64)


def _lens(matrix: Array, line: Line) -> Lens:
    lens = Lens(np.array([matrix[0, 0], matrix[1, 1]]), np.array([matrix[0, 2], matrix[1, 2]]))
    plain = np.eye(4)
    plain[[0, 1], [0, 1]], plain[:2, 2] = lens.focal_px, lens.centre_px
    if not np.array_equal(matrix, plain) or (lens.focal_px <= 0).any():
        raise line.error("intrinsics are no pinhole camera", matrix.tolist(), "f 0 x 0 0 f y 0 0 0 1 0 0 0 0 1, f > 0")
    return lens


def _stand(matrix: Array, line: Line) -> tuple[Array, Array]:
    turn = matrix[:3, :3]
    apart = np.abs(turn @ turn.T - np.eye(3)).max()
    if apart > SQUARE or np.linalg.det(turn) < 0 or not np.array_equal(matrix[3], [0, 0, 0, 1]):
        raise line.error("extrinsics are no rotation and place", matrix.tolist(), "a rotation, a place, 0 0 0 1")
    return turn, matrix[:3, 3]
