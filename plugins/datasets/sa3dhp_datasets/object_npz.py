"""npz archives whose arrays hold Python objects: read as `plain_pickle` reads, so that nothing in them runs."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from sa3dhp_core.errors import DataError, nearest
from sa3dhp_datasets.plain_pickle import load_plain
from sa3dhp_datasets.reading_process import read_apart


def read_objects(path: Path, *keys: str) -> dict[str, Any]:
    """The named arrays of an npz file; an array of one object is given as that object.

    Args:
        path: of the file.
        keys: of the arrays that are wanted and must be there.

    Returns:
        Key to arrays, dicts, lists, numbers and text.

    Raises:
        DataError: the file is none or damaged, lacks a key, or names anything but arrays of numbers and text.
    """
    found: dict[str, Any] = read_apart("sa3dhp_datasets.object_npz:load", path, *keys, kind="an npz file")
    return found


def load(path: str, *keys: str) -> dict[str, Any]:
    """What `read_objects` promises, in the process that reads."""
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            found = repr(file.read(6))
        raise DataError("not an npz file", where=path, found=found, expected="a whole zip archive of arrays")
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        for key in keys:
            if key not in names:
                known = ", ".join(names) or "an empty archive"
                raise DataError(f"the array {key!r} is missing", where=path, found=known, hint=nearest(key, names))
        return {key: _read(io.BytesIO(archive.read(f"{key}.npy")), path) for key in keys}


def _read(stream: io.BytesIO, where: str) -> Any:
    version = npy.read_magic(stream)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    _, _, dtype = read_header(stream)
    if not dtype.hasobject:
        stream.seek(0)
        return npy.read_array(stream, allow_pickle=False)
    array = load_plain(stream, where)
    return array.item() if isinstance(array, np.ndarray) and array.shape == () else array
