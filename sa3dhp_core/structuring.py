"""Plain TOML data to attrs values, strictly, with errors that name the path. Knows no recipe and no plugin.

Strict means: a bool is no number, an int counts as a float, text is no number, and unknown keys are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs
from cattrs import (
    AttributeValidationNote,
    BaseConverter,
    BaseValidationError,
    Converter,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.cols import list_structure_factory, mapping_structure_factory
from cattrs.gen import make_dict_structure_fn

from sa3dhp_core.errors import RecipeError, nearest

T = TypeVar("T")
_Factory = Callable[[Any, BaseConverter], Any]
_WORDS = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    Path: "a path",
    NoneType: "none",
}


class Mismatch(ValueError):
    """A value that does not fit its type; carries what was found and expected."""

    def __init__(self, what: str, found: object, expected: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.found, self.expected, self.hint = f"{found!r}", expected, hint


@attrs.frozen
class Problem:
    """One thing wrong with a table: the path below it, and the facts of the error."""

    path: str
    what: str
    found: str | None = None
    expected: str | None = None
    hint: str | None = None


def structure(cls: type[T], data: Mapping[str, Any], path: str, source: str) -> T:
    """Make an instance of the attrs class `cls` from plain data.

    Args:
        cls: an attrs class; nested classes, tuples, lists, mappings, Literal, Optional and unions are understood.
        data: a TOML table.
        path: where the table stands in its file (``losses[2]``); empty for the whole file.
        source: name of the file, for messages.

    Raises:
        RecipeError: a key is unknown or missing, or a value has the wrong type or is out of range; all that is wrong
            with the table is named.
    """
    try:
        return _CONVERTER.structure(data, cls)
    except Exception as error:  # a third party's validator may raise anything
        problems = list(_problems(error, (), data))
        raise joined(
            [located(problem, path, source) for problem in problems if not _misspelt(problem, problems)]
        ) from error


def located(problem: Problem, path: str, source: str) -> RecipeError:
    """The problem as an error of the table at `path` of `source`."""
    where = f"{path}{problem.path}" if path else problem.path.removeprefix(".")
    place = ": ".join(part for part in (source, where) if part)
    return RecipeError(
        problem.what, where=place or None, found=problem.found, expected=problem.expected, hint=problem.hint
    )


def joined(errors: Sequence[RecipeError]) -> RecipeError:
    """One error of several: the only one, or all of them under a count."""
    if len(errors) == 1:
        return errors[0]
    lines = "\n".join(f"  {line}" for error in errors for line in error.render().splitlines())
    return RecipeError(f"{len(errors)} problems\n{lines}")


def expectation(kind: Any) -> str:
    """A type in words: ``an integer``, ``a list of (a number)``, ``one of 'a', 'b'``."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in _WORDS:
        return _WORDS[kind]
    if origin is Literal:
        return "one of " + ", ".join(repr(choice) for choice in arguments)
    if origin in (Union, UnionType):
        return " or ".join(expectation(member) for member in arguments if member is not NoneType)
    if origin is tuple and Ellipsis not in arguments and arguments:
        return f"a list of {len(arguments)}: " + ", ".join(expectation(member) for member in arguments)
    if origin in (tuple, list, Sequence) or kind in (tuple, list):
        return f"a list of ({expectation(arguments[0])})" if arguments else "a list"
    if origin in (dict, Mapping) or kind in (dict, Mapping):
        inner = arguments[1] if arguments else Any
        return "a table" if inner is Any else f"a table whose values are ({expectation(inner)})"
    return f"a table of {getattr(kind, '__name__', kind)}" if attrs.has(kind) else "any value"


def _strict(accepted: tuple[type, ...], make: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def hook(value: Any, kind: Any) -> Any:
        if type(value) not in accepted:
            raise Mismatch("wrong type", value, expectation(kind))
        return make(value)

    return hook


def _guarded(accepted: tuple[type, ...], factory: _Factory) -> _Factory:
    """A hook factory that looks at the value's shape before the library's own hook takes it apart."""

    def guarded_factory(kind: Any, converter: BaseConverter) -> Any:
        inner = factory(kind, converter)

        def hook(value: Any, _: Any) -> Any:
            if not isinstance(value, accepted):
                raise Mismatch("wrong type", value, expectation(kind))
            return inner(value, kind)

        return hook

    return guarded_factory


def _literal(value: Any, kind: Any) -> Any:
    choices = get_args(kind)
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        hint = _close(value, [c for c in choices if isinstance(c, str)]) if isinstance(value, str) else None
        raise Mismatch("not one of the choices", value, expectation(kind), hint)
    return value


def _union(kind: Any, converter: BaseConverter) -> Any:
    members = [member for member in get_args(kind) if member is not NoneType]
    members.sort(key=lambda member: member is float)  # an integer stays one where both are allowed

    def hook(value: Any, _: Any) -> Any:
        if value is None and NoneType in get_args(kind):
            return None
        if len(members) == 1:
            return converter.structure(value, members[0])
        for member in members:
            try:
                return converter.structure(value, member)
            except (Mismatch, BaseValidationError):
                continue
        raise Mismatch("wrong type", value, expectation(kind))

    return hook


def _fixed_tuple(kind: Any, converter: BaseConverter) -> Any:
    members = get_args(kind)

    def inner(value: Sequence[Any], _: Any) -> Any:
        if len(value) != len(members):
            raise Mismatch("wrong length", value, expectation(kind))
        errors, items = [], []
        for index, (item, member) in enumerate(zip(value, members, strict=True)):
            try:
                items.append(converter.structure(item, member))
            except Exception as error:
                error.add_note(IterableValidationNote(f"item {index}", index, member))
                errors.append(error)
        if errors:
            raise IterableValidationError("a list of fixed length", errors, kind)
        return tuple(items)

    return inner


def _any_tuple(kind: Any, converter: BaseConverter) -> Any:
    inner = list_structure_factory(kind, converter)
    return lambda value, _: tuple(inner(value, kind))


def _attrs_class(kind: Any, converter: BaseConverter) -> Any:
    return make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=True)


def _of(*kinds: Any) -> Callable[[Any], bool]:
    """A predicate: the type is one of these, with or without arguments."""
    return lambda kind: (get_origin(kind) or kind) in kinds


def _is_fixed_tuple(kind: Any) -> bool:
    return _of(tuple)(kind) and bool(get_args(kind)) and Ellipsis not in get_args(kind)


def _make_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    sequences = (list, tuple)
    for predicate, factory in (  # the one registered last is asked first
        (attrs.has, _guarded((Mapping,), _attrs_class)),
        (_of(dict, Mapping), _guarded((Mapping,), mapping_structure_factory)),
        (_of(list, Sequence), _guarded(sequences, list_structure_factory)),
        (_of(tuple), _guarded(sequences, _any_tuple)),
        (_is_fixed_tuple, _guarded(sequences, _fixed_tuple)),
        (_of(Union, UnionType), _union),
    ):
        converter.register_structure_hook_factory(predicate, factory)
    converter.register_structure_hook_func(_of(Literal), _literal)
    for kind, accepted in ((bool, (bool,)), (int, (int,)), (float, (float, int)), (str, (str,)), (Path, (str,))):
        converter.register_structure_hook(kind, _strict(accepted, kind))
    return converter


_CONVERTER = _make_converter()


def _problems(error: BaseException, keys: tuple[str | int, ...], data: Any) -> Iterator[Problem]:
    """Every leaf of cattrs' tree of errors, placed by the keys that its notes spell."""
    if isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            yield from _problems(inner, (*keys, *_noted(inner)), data)
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [field.name for field in attrs.fields(error.cl)]
        for name in sorted(error.extra_fields):
            expected = f"one of {', '.join(known)}" if known else "no key at all"
            yield Problem(spelt((*keys, name)), "unknown key", name, expected, _close(name, known))
    elif isinstance(error, Mismatch):
        yield Problem(spelt(keys), str(error), error.found, error.expected, error.hint)
    elif isinstance(error, RecipeError):
        key = (error.where,) if error.where in _table(data, keys) else ()  # a validator may name its own key
        yield Problem(spelt((*keys, *key)), error.what, _text(error.found), _text(error.expected), error.hint)
    elif isinstance(error, KeyError) and _noted(error):
        note = next(n for n in error.__notes__ if isinstance(n, AttributeValidationNote))
        yield Problem(spelt(keys), "missing key", None, expectation(note.type))
    else:
        yield _refused(error, keys, data)


def _refused(error: BaseException, keys: tuple[str | int, ...], data: Any) -> Problem:
    """What a validator or the class itself objects to; the field is the one that its message names."""
    data = _table(data, keys)
    named = [argument.name for argument in error.args if isinstance(argument, attrs.Attribute)]
    named += re.findall(r"'(\w+)'", str(error.args[0])) if error.args else []
    field = next((name for name in named if name in data), None)
    what = str(error.args[0]) if error.args else type(error).__name__
    if field is None:
        return Problem(spelt(keys), what)
    return Problem(spelt((*keys, field)), "not allowed", repr(data[field]), what)


def _table(data: Any, keys: tuple[str | int, ...]) -> Mapping[str, Any]:
    """The table below `keys`; no table counts as an empty one."""
    for key in keys:
        data = data[key]
    return data if isinstance(data, Mapping) else {}


def _noted(error: BaseException) -> tuple[str | int, ...]:
    """The key or index that cattrs noted on an error."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (note.name,)
        if isinstance(note, IterableValidationNote):
            return (note.index,)
    return ()


def _close(name: str, known: Sequence[str]) -> str | None:
    """The nearest key, where one is near; the message lists all of them anyway."""
    hint = nearest(name, known)
    return hint if hint is not None and hint.startswith("did you mean") else None


def _misspelt(problem: Problem, problems: Sequence[Problem]) -> bool:
    """Whether a key is missing only because another problem's unknown key was meant to be it."""
    table, _, key = problem.path.rpartition(".")
    return problem.what == "missing key" and any(
        other.what == "unknown key"
        and other.path.rpartition(".")[0] == table
        and other.hint == _close(other.found or "", [key])
        for other in problems
    )


def spelt(keys: Sequence[str | int]) -> str:
    """Keys as a path below a table: ``.backbone.widths[2]``."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)


def _text(value: object | None) -> str | None:
    return None if value is None else str(value)
