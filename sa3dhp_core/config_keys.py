"""The keys of a component's table in words: name, type, default and meaning. Builds nothing and reads no recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

import attrs

from sa3dhp_core.structuring import expectation


@attrs.frozen
class Key:
    """One key.

    Attributes:
        key: its path below the table, ``outer.inner`` for a nested one.
        type: what it takes, in words.
        default: as one would write it in a recipe; ``required``, ``computed``, or empty for a table, whose keys follow.
        help: what it means.
    """

    key: str
    type: str
    default: str
    help: str


def keys_of(config: type[Any], above: str = "", instance: Any = None) -> Iterator[Key]:
    """The keys of an attrs class; those of a nested class follow its own key, those of an optional one too.

    Args:
        config: an attrs class.
        above: path of the table that it describes, with its dot.
        instance: a value whose fields are the defaults, where the class's own are not.
    """
    for field in attrs.fields(attrs.resolve_types(config)):
        if not field.init:
            continue
        default = _default(field) if instance is None else getattr(instance, field.name)
        inner = type(default) if attrs.has(type(default)) else _table_of(field.type)
        given = default if isinstance(default, inner or ()) else None
        words = "a table" if inner is not None else expectation(field.type)
        shown = "" if given is not None else as_toml(default)
        yield Key(f"{above}{field.name}", words, shown, str(field.metadata.get("help", "")))
        if inner is not None and inner is not config:
            yield from keys_of(inner, f"{above}{field.name}.", given)


def as_toml(value: Any) -> str:
    """A default as one would write it in a recipe; what is None is left out there."""
    if value is attrs.NOTHING:
        return "required"
    if value is _COMPUTED:
        return "computed"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {as_toml(item)}" for key, item in value.items()) + "}"
    return repr(value)


_COMPUTED = object()
"""Stands for a default that depends on other keys."""


def _default(field: attrs.Attribute[Any]) -> Any:
    default: Any = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return _COMPUTED if default.takes_self else default.factory()
    return default


def _table_of(kind: Any) -> type[Any] | None:
    """The attrs class that a key's type is, or may be; None where there is none."""
    members = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return next((member for member in members if isinstance(member, type) and attrs.has(member)), None)
