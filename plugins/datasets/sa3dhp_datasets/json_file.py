"""JSON files that others wrote, such as COCO's keypoints: a dict or a list, without NaN and without keys twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.layouts import neighbour


def read_object(path: Path) -> dict[str, Any]:
    """A file that holds a JSON object.

    Raises:
        DataError: no such file, no JSON, another value at its top, a key twice, NaN or Infinity, or nesting too
            deep.
    """
    value = _read(path)
    if not isinstance(value, dict):
        raise DataError("another value at the top", where=str(path), found=type(value).__name__, expected="an object")
    return value


def read_list(path: Path) -> list[Any]:
    """A file that holds a JSON array; raises `DataError` as `read_object` does."""
    value = _read(path)
    if not isinstance(value, list):
        raise DataError("another value at the top", where=str(path), found=type(value).__name__, expected="an array")
    return value


def _read(path: Path) -> Any:
    if not path.is_file():
        raise DataError("no such file", where=str(path), expected="a JSON file", hint=neighbour(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text, parse_constant=_refuse_number, object_pairs_hook=_without_twins)
    except (OSError, ValueError, RecursionError, MemoryError) as error:  # also UnicodeDecodeError and JSONDecodeError
        what = f"not readable as JSON: {error or type(error).__name__}"
        raise DataError(what, where=str(path), expected="a whole JSON file", hint="copy the file again") from error


def _refuse_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found
