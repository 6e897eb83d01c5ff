"""Folders of data sets: found, told from archives and from one another. Opens no file but to see what it is."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path

from sa3dhp_core.errors import DataError, nearest
from sa3dhp_datasets.joint_names import table

_MOST_LOOKED_AT = 20_000


def data_folder(path: str, layout: str) -> Path:
    """The folder that a path names.

    Args:
        path: as the recipe says it.
        layout: what should be there, for errors.

    Raises:
        DataError: no path, nothing there, or a file, named where it is an archive.
    """
    if not path:
        raise DataError("no input path is given", expected=f"`path`: a folder with {layout}")
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder
    if not folder.exists():
        raise DataError("no such folder", where=path, expected=layout, hint=neighbour(folder))
    if is_archive(folder):
        raise DataError("an archive where a folder is due", where=path, expected=layout, hint="unpack it first")
    raise DataError("a file where a folder is due", where=path, expected=layout)


def neighbour(path: Path) -> str | None:
    """A hint for a path that is missing: the nearest name beside it."""
    parent = path.parent
    return nearest(path.name, (p.name for p in parent.iterdir())) if parent.is_dir() else f"{parent} does not exist"


def is_archive(path: Path) -> bool:
    """Whether a file is a packed folder (zip or tar, by its content; an npz is none)."""
    try:
        return path.suffix != ".npz" and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))
    except OSError:
        return False


def files_under(folder: Path, suffix: str) -> list[Path]:
    """All files below a folder whose names end in `suffix`, in any case, sorted; links to folders are not followed."""
    return sorted(path for path in _walk(folder) if path.name.lower().endswith(suffix))


def _walk(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(here, name) for name in sorted(names))


def looks_like(folder: Path, suffix: str = "") -> str | None:
    """A sentence that names the data set that lies in a folder, or None where none is known by it.

    Args:
        folder: where to look, at any depth.
        suffix: of files that are wanted beside one another; where such lie deeper, the sentence says so instead.
    """
    paths = [path.relative_to(folder).as_posix() for path in islice(_walk(folder), _MOST_LOOKED_AT)]
    for entry in table("layouts.toml").values():
        sign = next((path for sign in entry["signs"] for path in paths if fnmatch(path, sign)), None)
        if sign and suffix and f"*{suffix}" in entry["signs"]:
            return f"they lie deeper: path = {str((folder / sign).parent)!r}"
        if sign:
            use = f'; use = "{entry["use"]}" reads it' if "use" in entry else ""
            return f"this looks like {entry['name']}{use}"
    packed = next((path for path in paths if path.endswith((".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2"))), None)
    return f"unpack {packed}" if packed else None


def nothing_found(folder: Path, layout: str) -> DataError:
    """The error for a folder without the files that are due: says what is there, and which data set that is."""
    inside = sorted(path.name for path in folder.iterdir())
    found = ", ".join(inside[:8]) + (" …" if len(inside) > 8 else "") or "an empty folder"
    hint = looks_like(folder)
    return DataError(
        "the folder does not hold this data set", where=str(folder), found=found, expected=layout, hint=hint
    )
