"""MATLAB files: arrays, text, cells and structs of versions 5 to 7 through scipy, of version 7.3 through h5py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sa3dhp_core.errors import DataError, nearest
from sa3dhp_datasets.hdf5_content import SIGNATURE, contents, nested
from sa3dhp_datasets.reading_process import read_apart

_KIND, _KIND_73 = "a MATLAB file of version 5 to 7", "a MATLAB file of version 7.3"
_HEADER = 128


def read_mat(path: Path, *keys: str) -> dict[str, Any]:
    """The named variables of a MATLAB file of version 5, 6 or 7.

    Args:
        path: of the file.
        keys: of the variables that are wanted and must be there.

    Returns:
        Key to value: arrays with MATLAB's shape (at least two axes), text as `str` (of several rows: a list), cells as
        nested lists (``(F, P)``: F lists of P), structs as dicts (an array of structs: nested lists of them).

    Raises:
        DataError: no such file, another format or version, damaged, or a variable that is missing or of another kind
            (sparse, function, object).
    """
    found: dict[str, Any] = read_apart("sa3dhp_datasets.mat_file:load", path, *keys, kind=_KIND)
    return found


def read_mat73(path: Path, *keys: str) -> dict[str, Any]:
    """The named variables of a MATLAB file of version 7.3, or data sets of another HDF5 file.

    Args:
        path: of the file.
        keys: of the variables that are wanted and must be there; ``group/name`` leads into a struct.

    Returns:
        Key to value, as `read_mat` gives, but **with axes in h5py's order**: what is ``(2, F)`` in MATLAB is
        ``(F, 2)``; cells are nested lists in that order too.

    Raises:
        DataError: no such file, another format or version, damaged, or a variable that is missing, lies outside the
            file (links, virtual and external data are never followed) or holds no numbers or text.
    """
    found: dict[str, Any] = read_apart("sa3dhp_datasets.mat_file:load_73", path, *keys, kind=_KIND_73)
    return found


def read_matlab(path: Path, *keys: str) -> dict[str, Any]:
    """The named variables of a MATLAB file of any version from 5 on, with MATLAB's axes in all of them.

    Raises:
        DataError: as `read_mat` and `read_mat73`.
    """
    if not is_mat73(path):
        return read_mat(path, *keys)
    found: dict[str, Any] = read_apart("sa3dhp_datasets.mat_file:load_73_turned", path, *keys, kind=_KIND_73)
    return found


def is_mat73(path: Path) -> bool:
    """Whether a file is HDF5, as MATLAB writes it or plain; False where there is none."""
    try:
        with path.open("rb") as file:
            start = file.read(4 * _HEADER + len(SIGNATURE))
    except OSError:
        return False
    return start.startswith(SIGNATURE) or start.endswith(SIGNATURE) and len(start) > 4 * _HEADER


def load(path: str, *keys: str) -> dict[str, Any]:
    """What `read_mat` promises, in the process that reads."""
    from scipy.io import loadmat, whosmat

    _check_header(path)
    content = loadmat(path, variable_names=list(keys), verify_compressed_data_integrity=True)
    for key in keys:
        if key not in content:
            names = [name for name, _, _ in whosmat(path)]
            found = ", ".join(names) or "no variable"
            raise DataError(f"the variable {key!r} is missing", where=path, found=found, hint=nearest(key, names))
    return {key: _plain(content[key], f"{path}: {key}") for key in keys}


def load_73(path: str, *keys: str) -> dict[str, Any]:
    """What `read_mat73` promises, in the process that reads."""
    if not is_mat73(Path(path)):
        with open(path, "rb") as file:
            _refuse(path, file.read(_HEADER), _KIND_73)
    return contents(path, keys, turned=False)


def load_73_turned(path: str, *keys: str) -> dict[str, Any]:
    """What `read_matlab` promises of a file of version 7.3, in the process that reads."""
    return contents(path, keys, turned=True)


def _check_header(path: str) -> None:
    if is_mat73(Path(path)):
        raise DataError(
            "a MATLAB file of version 7.3, which is HDF5", where=path, expected=_KIND, hint="save(..., '-v7')"
        )
    with open(path, "rb") as file:
        header = file.read(_HEADER)
    if header[124:128] not in (b"\x00\x01IM", b"\x01\x00MI"):
        _refuse(path, header, _KIND)


def _refuse(path: str, header: bytes, kind: str) -> None:
    what = "an empty file" if not header else "another format"
    raise DataError(what, where=path, found=repr(header[:20]), expected=kind)


def _plain(value: Any, where: str) -> Any:
    if type(value) is not np.ndarray or value.dtype.kind not in "biufcUOV":
        found = value.dtype if type(value) is np.ndarray else type(value).__name__
        raise DataError("a value of another kind", where=where, found=found, expected="numbers or text")
    if value.dtype.names is not None:
        structs = nested(value, lambda item: {name: _plain(item[name], f"{where}.{name}") for name in item.dtype.names})
        return structs[0][0] if value.shape == (1, 1) else structs
    if value.dtype.kind == "U":
        return str(value.item()) if value.size == 1 else value.ravel().tolist() if value.size else ""
    return nested(value, lambda item: _plain(item, where)) if value.dtype.hasobject else value
