"""What lies in an HDF5 file, also as MATLAB writes it: numbers, text, cells and structs. Never leaves the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.errors import DataError, nearest

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_DEEPEST = 32


def contents(path: str, keys: Sequence[str], turned: bool) -> dict[str, Any]:
    """The named data sets or groups of a file.

    Args:
        path: of the file.
        keys: their names; ``group/name`` leads into a group.
        turned: whether axes are reversed, to MATLAB's order.

    Raises:
        DataError: one is missing, lies outside the file or holds no numbers or text.
        Exception: any, where the file is damaged.
    """
    with h5py.File(path, "r", locking=False) as file:
        return {key: _value(_found(file, key.split("/"), path), f"{path}: {key}", turned, 0) for key in keys}


def nested(values: NDArray[Any], build: Callable[[Any], Any]) -> list[Any]:
    """Lists in lists, as the array's axes, of what is built of each element."""
    return [build(item) if values.ndim == 1 else nested(item, build) for item in values]


def _found(group: Any, names: Sequence[str], where: str) -> Any:
    for name in names:
        inside = sorted(each for each in group if not each.startswith("#")) if isinstance(group, h5py.Group) else []
        link = group.get(name, getlink=True) if inside else None
        if link is None:
            found, hint = ", ".join(inside) or "nothing of this kind", nearest(name, inside)
            raise DataError(f"the variable {name!r} is missing", where=where, found=found, hint=hint)
        if not isinstance(link, h5py.HardLink):
            raise _refused("a link that leads elsewhere", f"{where}: {name}", type(link).__name__)
        group, where = group[name], f"{where}: {name}"
    return group


def _refused(what: str, where: str, found: object) -> DataError:
    return DataError(f"{what} is not followed", where=where, found=found, expected="data in the file itself")


def _value(item: Any, where: str, turned: bool, depth: int) -> Any:
    if depth > _DEEPEST:
        raise DataError("cells or structs are nested too deep", where=where, expected=f"{_DEEPEST} at most")
    if isinstance(item, h5py.Group):
        return {name: _value(_found(item, [name], where), f"{where}.{name}", turned, depth + 1) for name in item}
    if not isinstance(item, h5py.Dataset):
        raise DataError("neither data nor a struct", where=where, found=type(item).__name__, expected="numbers or text")
    if item.is_virtual or item.external:
        raise _refused("data that lies elsewhere", where, "virtual" if item.is_virtual else "external")
    if h5py.check_ref_dtype(item.dtype) is h5py.Reference:
        cells = np.asarray(item[()], dtype=object)
        return nested(
            np.atleast_1d(cells.T if turned else cells),
            lambda cell: _value(item.file[cell], f"{where}{{}}", turned, depth + 1),
        )
    if item.dtype.kind not in "biufc" or item.shape is None:
        raise DataError("data of another kind", where=where, found=item.dtype, expected="numbers or text")
    return _plain(np.asarray(item[()]), item.attrs, turned)


def _plain(values: NDArray[Any], attributes: Any, turned: bool) -> Any:
    """An array as MATLAB means it: empty where only its size is stored, or text where it is letters."""
    kind = attributes.get("MATLAB_class")
    if attributes.get("MATLAB_empty", 0):
        sizes = [int(size) for size in values.ravel()]
        values = np.zeros(sizes if turned else sizes[::-1], dtype=np.float64)
        return "" if kind == b"char" else [] if kind in (b"cell", b"struct") else values
    if kind == b"char":
        rows = ["".join(map(chr, row)) for row in values.reshape(len(values), -1).T]
        return rows[0] if len(rows) == 1 else rows
    return np.ascontiguousarray(values.T) if turned else values
