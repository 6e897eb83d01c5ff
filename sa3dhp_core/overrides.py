"""Changing a recipe's plain data: ``extends`` merges tables, ``--set`` replaces one value. Knows no component."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from sa3dhp_core.errors import RecipeError, nearest

USE = "use"


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` upon `base`: tables merge deeply, everything else (arrays too) is replaced.

    A table that names another component than its base (``use``) keeps of the base only the components nested in it,
    because the other keys belonged to the old one.
    """
    if USE in over and USE in base and over[USE] != base[USE]:
        base = _nested_components(base)
    merged = dict(base)
    for key, value in over.items():
        before = merged.get(key)
        merged[key] = merge(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return merged


def override(data: Mapping[str, Any], assignment: str, known: Sequence[str]) -> dict[str, Any]:
    """Apply one ``a.b.0.c=value`` and return the changed data; `data` stays as it is.

    Setting a ``use`` to another component drops the keys of the old one (nested components stay).

    Raises:
        RecipeError: no ``=``, an unknown top-level key, or a path that leads nowhere.
    """
    path, equals, text = assignment.partition("=")
    keys = [key for key in re.split(r"[.\[\]]+", path.strip()) if key]
    if not equals or not keys:
        raise RecipeError(
            "an override needs a path and a value", where=f"--set {assignment}", expected="losses.0.weight=0.5"
        )
    if keys[0] not in known:
        raise RecipeError(
            f"unknown key {keys[0]!r}",
            where=f"--set {assignment}",
            expected=f"one of {', '.join(known)}",
            hint=nearest(keys[0], known),
        )
    changed = _placed(data, keys, _value(text.strip()), assignment)
    assert isinstance(changed, dict)
    return changed


def _placed(node: Any, keys: Sequence[str], value: Any, assignment: str) -> Any:
    """A copy of `node` with `value` at `keys`."""
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    where = f"--set {assignment}"
    if isinstance(node, list):
        if not key.isdecimal() or int(key) >= len(node):
            raise RecipeError(
                f"no item {key!r} in this list", where=where, expected=f"0 to {len(node) - 1}" if node else "no item"
            )
        index = int(key)
        return [_placed(item, rest, value, assignment) if i == index else item for i, item in enumerate(node)]
    if not isinstance(node, Mapping):
        raise RecipeError(f"{key!r} lies below a value, not a table", where=where, found=repr(node))
    if key not in node and rest:
        if key.isdecimal():
            raise RecipeError(f"no list has an item {key}", where=where, hint=nearest(key, node))
        close = nearest(key, node)
        if close is not None and close.startswith("did you mean"):
            raise RecipeError(f"no table {key!r}", where=where, hint=close)
        if rest[0].isdecimal():
            raise RecipeError(f"no list {key!r} in this recipe", where=where, hint=close)
    kept: Mapping[str, Any] = node
    if key == USE and not rest and node.get(USE, value) != value:
        kept = _nested_components(node)
    return {**kept, key: _placed(node.get(key, {}), rest, value, assignment)}


def _nested_components(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if isinstance(value, Mapping) and USE in value}


def _value(text: str) -> Any:
    """A TOML value; what is none is taken as a bare string."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if set(parsed) == {"value"} else text
