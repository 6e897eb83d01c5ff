"""npz archives whose arrays hold Python objects, read without running anything that is in them.

Such files are pickles, and a pickle may call whatever it names. Here only what makes arrays of numbers and text may be
named; anything else is refused by name before it is looked up.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from sa3dhp_core.errors import DataError, nearest


def _array(kind: object, shape: Any, code: Any) -> Any:
    """What an array's state is then put into; pickles make it empty."""
    return np.ndarray((0,), dtype="b")


def _number(dtype: Any, data: bytes) -> Any:
    if np.dtype(dtype).hasobject:
        raise pickle.UnpicklingError("a single object in the guise of a number")
    return np.frombuffer(data, dtype=dtype, count=1)[0]


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Any:
    return np.frombuffer(data, dtype=dtype).reshape(shape, order=order)


def _bytes(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in an encoding {encoding!r}")
    return text.encode("latin1")


_ROOMS = ("numpy.core", "numpy._core")
ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _bytes,
    **{(f"{room}.multiarray", "_reconstruct"): _array for room in _ROOMS},
    **{(f"{room}.multiarray", "scalar"): _number for room in _ROOMS},
    **{(f"{room}.numeric", "_frombuffer"): _from_buffer for room in _ROOMS},
}
"""All that a pickle may name, and what stands for it."""


class _Refused(Exception):
    """A name that is not allowed."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("a persistent id")


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
    where = str(path)
    if not zipfile.is_zipfile(path):
        found = repr(path.read_bytes()[:6]) if path.is_file() else "no such file"
        raise DataError("not an npz file", where=where, found=found, expected="a whole zip archive of arrays")
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            for key in keys:
                if key not in names:
                    known = ", ".join(names) or "an empty archive"
                    raise DataError(f"the array {key!r} is missing", where=where, found=known, hint=nearest(key, names))
            return {key: _read(io.BytesIO(archive.read(f"{key}.npy"))) for key in keys}
    except DataError:
        raise
    except _Refused as error:
        raise DataError(
            "a pickle that names more than arrays is refused; it could run code",
            where=where,
            found=str(error),
            expected="arrays, dicts, lists, numbers and text",
        ) from None
    except Exception as error:  # zlib, EOF, struct, memory, pickle: all that a damaged archive can cause
        raise DataError(f"a damaged npz file: {error}", where=where, hint="copy the file again") from error


def _read(stream: io.BytesIO) -> Any:
    version = npy.read_magic(stream)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    _, _, dtype = read_header(stream)
    if not dtype.hasobject:
        stream.seek(0)
        return npy.read_array(stream, allow_pickle=False)
    array = _Unpickler(stream, encoding="latin1").load()
    return array.item() if isinstance(array, np.ndarray) and array.shape == () else array
