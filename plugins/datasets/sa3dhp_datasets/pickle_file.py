"""Pickles of Python 2 and 3 that hold arrays and builtins, such as 3DPW's sequences; nothing in them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.plain_pickle import load_plain
from sa3dhp_datasets.reading_process import read_apart


def read_pickle(path: Path) -> Any:
    """What a pickle holds.

    Args:
        path: of a file of any protocol; text of Python 2 is read as latin1.

    Returns:
        Arrays, dicts, lists, tuples, sets, numbers, text and bytes.

    Raises:
        DataError: no such file, no pickle, damaged, or one that names anything but arrays (chumpy's are refused).
    """
    return read_apart("sa3dhp_datasets.pickle_file:load", path, kind="a pickle of arrays")


def load(path: str) -> Any:
    """What `read_pickle` promises, in the process that reads."""
    with open(path, "rb") as file:
        if not file.peek(1):
            raise DataError("an empty file", where=path, expected="a pickle of arrays")
        return load_plain(file, path)
