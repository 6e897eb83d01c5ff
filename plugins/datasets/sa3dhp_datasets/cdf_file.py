"""CDF files, such as Human3.6M's poses: the named variables as arrays of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.errors import DataError, nearest
from sa3dhp_datasets.reading_process import read_apart

_KIND = "a CDF file"
_MAGIC = (b"\xcd\xf3\x00\x01", b"\xcd\xf2\x60\x02", b"\x00\x00\xff\xff")


def read_cdf(path: Path, *variables: str) -> dict[str, NDArray[Any]]:
    """The named variables of a CDF file.

    Args:
        path: of the file.
        variables: that are wanted and must be there.

    Returns:
        Name to array ``(records, ...)``; Human3.6M's `Pose` is ``(1, T, 96)``.

    Raises:
        DataError: no such file, another format, damaged, or a variable that is missing or holds no numbers.
    """
    found: dict[str, NDArray[Any]] = read_apart("sa3dhp_datasets.cdf_file:load", path, *variables, kind=_KIND)
    return found


def load(path: str, *variables: str) -> dict[str, NDArray[Any]]:
    """What `read_cdf` promises, in the process that reads."""
    from cdflib import CDF

    with open(path, "rb") as file:
        start = file.read(8)
    if start[:4] not in _MAGIC:
        what = "another format" if start else "an empty file"
        raise DataError(what, where=path, found=repr(start), expected=_KIND)
    file = CDF(Path(path))
    info = file.cdf_info()
    names = [*info.rVariables, *info.zVariables]
    for name in variables:
        if name not in names:
            found = ", ".join(names) or "no variable"
            raise DataError(f"the variable {name!r} is missing", where=path, found=found, hint=nearest(name, names))
    return {name: _numbers(file.varget(name), f"{path}: {name}") for name in variables}


def _numbers(value: Any, where: str) -> NDArray[Any]:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
        found = getattr(value, "dtype", type(value).__name__)
        raise DataError("a variable of another kind", where=where, found=found, expected="numbers")
    return value
