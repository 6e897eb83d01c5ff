"""Pickles of arrays and builtins, read without running anything that is in them.

A pickle may call whatever it names. Here only what makes arrays of numbers and text may be named; anything else is
refused by name before it is looked up. Even numpy's own types stay out: a state that is put into one of them can make
it read past its memory, so states are put into `_Type` and `_Array`, which check them.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from sa3dhp_core.errors import DataError

EXPECTED = "arrays, dicts, lists, numbers and text"
_CODE = re.compile(r"[<>=|]?[biufcSUO?]\d*")
_ROOMS = ("numpy.core", "numpy._core")


class _Refused(Exception):
    """A name that is not allowed."""


class _Kind:
    """What stands for numpy.ndarray where a pickle hands it on; it cannot be called."""

    def __new__(cls, *given: object) -> _Kind:
        raise pickle.UnpicklingError("an array that is made by numpy.ndarray itself")


class _Type:
    """A dtype of plain numbers, text or objects."""

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:
        text = code.decode("latin1") if isinstance(code, bytes) else code
        if not isinstance(text, str) or not _CODE.fullmatch(text):
            raise pickle.UnpicklingError(f"arrays of a type {code!r}")
        self.dtype: np.dtype[Any] = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        _, order, *parts = state[:5]
        if any(part is not None for part in parts) or order not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError("arrays of a type with parts")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """An array before and after its state; `values` of it stand in the result."""

    def __init__(self, kind: object, shape: object, code: object) -> None:
        self.values: Any = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, columns_first, raw = state
        order, dtype = "F" if columns_first else "C", kind.dtype
        if not dtype.hasobject:
            self.values = _from_buffer(_octets(raw), kind, shape, order).copy(order="K")
            return
        if not isinstance(raw, list):
            raise pickle.UnpicklingError("an array of objects without its objects")
        items = np.empty(len(raw), dtype=object)
        for place, item in enumerate(raw):
            items[place] = item
        self.values = items.reshape(shape, order=order)  # type: ignore[call-overload]


def _octets(raw: Any) -> Any:
    """The bytes of an array; Python 2 writes them as text."""
    return raw.encode("latin1") if isinstance(raw, str) else raw


def _number(kind: _Type, raw: Any) -> Any:
    return _from_buffer(_octets(raw), kind, (-1,), "C")[0]


def _from_buffer(raw: Any, kind: _Type, shape: Any, order: Any, axes: Any = None) -> Any:
    if kind.dtype.hasobject:
        raise pickle.UnpicklingError("objects in the guise of numbers")
    flat = np.frombuffer(raw, dtype=kind.dtype)
    if order == "K" and axes is not None:
        return flat.reshape(shape).transpose(axes)
    return flat.reshape(shape, order=order)


def _bytes(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in an encoding {encoding!r}")
    return text.encode("latin1")


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _Kind,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _bytes,
    **{(f"{room}.multiarray", "_reconstruct"): _Array for room in _ROOMS},
    **{(f"{room}.multiarray", "scalar"): _number for room in _ROOMS},
    **{(f"{room}.numeric", "_frombuffer"): _from_buffer for room in _ROOMS},
}
"""All that a pickle may name, and what stands for it."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise _Refused(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("a persistent id")


def load_plain(stream: IO[bytes], where: str) -> Any:
    """What a pickle holds; text of Python 2 as latin1.

    Args:
        stream: at the start of a pickle of any protocol.
        where: for errors.

    Raises:
        DataError: the pickle names anything but arrays of numbers and text, is damaged, or nested too deep.
    """
    try:
        return _plain(_Unpickler(stream, encoding="latin1").load(), {})
    except _Refused as error:
        chumpy = str(error).startswith("chumpy")
        raise DataError(
            "a pickle that names more than arrays is refused; it could run code",
            where=where,
            found=str(error),
            expected=EXPECTED,
            hint="a body model of chumpy arrays: download the same model as npz" if chumpy else None,
        ) from None
    except RecursionError:
        raise DataError("the pickle is nested too deep", where=where, expected=EXPECTED) from None
    except Exception as error:  # EOF, memory, types, values: all that a damaged pickle can cause
        what = f"a damaged pickle: {error or type(error).__name__}"
        raise DataError(what, where=where, hint="copy the file again") from error


def _plain(value: Any, seen: dict[int, Any]) -> Any:
    """The value with arrays in the places of `_Array`; what stands in it twice is gone through once.

    Raises:
        RecursionError: it holds itself.
        UnpicklingError: it holds one of the names as such.
    """
    if value is None or isinstance(value, str | bytes | bytearray | int | float | complex | np.generic):
        return value
    if id(value) not in seen:
        seen[id(value)] = (value, _rebuilt(value, seen))
    return seen[id(value)][1]


def _rebuilt(value: Any, seen: dict[int, Any]) -> Any:
    if isinstance(value, _Array):
        return _plain(value.values, seen)
    if isinstance(value, dict):
        return {_plain(key, seen): _plain(item, seen) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(_plain(item, seen) for item in value)
    if not isinstance(value, np.ndarray):
        raise pickle.UnpicklingError("a type or function instead of a value")
    if value.dtype.hasobject:
        for place, item in enumerate(value.flat):
            value.flat[place] = _plain(item, seen)
    return value
