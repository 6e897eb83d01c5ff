"""Keypoint files of the user's, opened by the component that reads them; other kinds of input are refused by name."""

from __future__ import annotations

import mimetypes
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sa3dhp_core.errors import DataError

if TYPE_CHECKING:
    from sa3dhp_ites.method import Ites

READER = "lifting-npz"
"""The component that reads the user's files."""

POINTS = "data_2d_*.npz"
SPLIT = "train"
"""The one split that all subjects are in."""

WHOLE = {"test": [], "validation_subjects": [], "validation": 0.0, "truth": "", "cameras": ""}
"""Keys that make one split of all subjects, with the files beside."""


KINDS = {"video": "a video", "image": "an image", "zip": "a zip archive"}


def table_of(method: Ites, role: str) -> dict[str, Any]:
    """The reader's table: the run's own keys where it learned from such files, else the defaults; all in one split."""
    own = method.recipe.data[role]
    return {**(own if own["use"] == READER else {"use": READER}), **WHOLE}


@contextmanager
def opened(method: Ites, table: Mapping[str, Any], where: str) -> Iterator[tuple[Any, Path]]:
    """`KeypointData` of files, and the temporary folder that they are prepared in, which ends with the context."""
    files = method.host.build("keypoint_data", table, where, host=method.host)
    with tempfile.TemporaryDirectory(prefix="sa3dhp-keypoints-") as room:
        files.prepare(Path(room))
        yield files, Path(room)


def need_keypoints(source: Path) -> None:
    """Raise `DataError` unless a path is an npz file or a folder with keypoints; says what it is instead."""
    if not source.exists():
        raise DataError("no such file or folder", where=str(source))
    if source.is_dir() and not list(source.glob(POINTS)):
        kinds = {_kind(path) for path in source.iterdir()}
        kind = next((f"a folder of {name}s" for name in ("video", "image") if name in kinds), "a folder of other files")
    elif source.is_file() and source.suffix.lower() != ".npz":
        kind = KINDS.get(_kind(source), "a file of another kind")
    else:
        return
    raise DataError(
        "this run lifts 2D keypoints and reads nothing else",
        where=str(source),
        found=kind,
        expected=f"an npz file of positions_2d as VideoPose3D lays them out, or a folder with one {POINTS}",
        hint="unpack it first" if kind == "a zip archive" else "a 2D estimator makes keypoints of images",
    )


def _kind(path: Path) -> str:
    """``video``, ``image``, ``zip`` or something else, by the name."""
    kind, _, detail = (mimetypes.guess_type(path.name)[0] or "").partition("/")
    return detail if detail == "zip" else kind
