"""Arrays as a format promises them: kind, shape, finite numbers, lengths that agree, units of length. Reads no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_core.types import Skeleton
from sa3dhp_datasets.rigs import UNITS_M

Array = NDArray[np.float64]
_SIZES = (0.6, 1.7)
"""Bones of people to those of the skeleton's card: from a child of three years to a giant."""


def array_of(value: object, shape: Sequence[int | None], where: str, what: str, *, gaps: bool = False) -> Array:
    """A value as the numbers that it must be.

    Args:
        value: an array, or nested lists of numbers.
        shape: of each axis its length, or None for any: ``(3, 24, None)``.
        where: the file and key, for errors.
        what: it holds, with units: ``joints in millimetres``.
        gaps: whether NaN may stand for what is unknown; infinity never may.

    Raises:
        DataError: no array of whole or real numbers, another shape, or a number that is not finite.
    """
    expected = f"{what}: ({', '.join('any' if length is None else str(length) for length in shape)}) numbers"
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        raise DataError("not an array", where=where, found="lists of differing lengths", expected=expected) from None
    fits = array.ndim == len(shape) and all(w in (None, n) for n, w in zip(array.shape, shape, strict=True))
    if not fits or array.dtype.kind not in "iuf":
        given = f"{array.shape} {array.dtype}" if array.ndim else type(value).__name__
        raise DataError("an array of a wrong shape or type", where=where, found=given, expected=expected)
    with np.errstate(over="ignore"):
        numbers = array.astype(np.float64)
    bad = np.argwhere(np.isinf(numbers) if gaps else ~np.isfinite(numbers))
    if len(bad):
        place, found = ", ".join(map(str, bad[0])), float(numbers[tuple(bad[0])])
        raise DataError("a number that is not finite", where=f"{where}[{place}]", found=found, expected=expected)
    return numbers


def whole_numbers(value: object, shape: Sequence[int | None], where: str, what: str) -> NDArray[np.int64]:
    """As `array_of`, of whole numbers, which MATLAB stores as real ones too; raises `DataError` for fractions."""
    numbers = array_of(value, shape, where, what)
    bad = np.argwhere((numbers != np.round(numbers)) | (np.abs(numbers) > 2**53))
    if len(bad):
        place, found = ", ".join(map(str, bad[0])), float(numbers[tuple(bad[0])])
        raise DataError("not a whole number", where=f"{where}[{place}]", found=found, expected=what)
    return numbers.astype(np.int64)


def need_equal(lengths: Mapping[str, int], where: str) -> int:
    """The length that all have; raises `DataError` that names each where they differ.

    Args:
        lengths: of things that go together, by name; at least one.
        where: the file or folder, for errors.
    """
    if len(set(lengths.values())) != 1:
        found = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise DataError("lengths that differ", where=where, found=found, expected="as many of each")
    return next(iter(lengths.values()))


def need_unit(joints: Array, unit: str, where: str, body: Skeleton | None = None) -> None:
    """Raise `DataError`, naming the unit that it looks like, where bones are not as long as a person's.

    Args:
        joints: ``(..., J, 3)`` in the order of `body`, in the unit; NaN where unknown.
        unit: that is due, of `UNITS_M` (``millimetre``).
        where: for errors.
        body: whose bones they are; the house skeleton where None.
    """
    size = _size(joints, body or skeleton())
    if np.isnan(size):
        raise DataError("no bone is known at both its ends", where=where, expected=f"joints in {unit}s")
    if not _SIZES[0] <= size * UNITS_M[unit] <= _SIZES[1]:
        like = _like(size)
        raise DataError(
            f"looks like {like}s; expected {unit}s" if like else "the body has no person's size",
            where=where,
            found=f"bones {size * UNITS_M[unit]:.3g} times as long as an adult's",
            expected=f"{_SIZES[0]} to {_SIZES[1]} times",
        )


def _size(joints: Array, body: Skeleton) -> float:
    """Median over frames and bones of their length to the card's in metres; NaN where there is none."""
    ends = list(body.bones)
    starts, names = [body.parent_indices[end] for end in ends], [body.joints[end] for end in ends]
    with np.errstate(over="ignore", invalid="ignore"):
        bones = np.linalg.norm(joints[..., ends, :] - joints[..., starts, :], axis=-1)
    ratios: NDArray[Any] = bones / np.array([body.bone_lengths_m[name] for name in names])
    known = ratios[~np.isnan(ratios)]
    return float(np.median(known)) if known.size else float("nan")


def _like(size: float) -> str | None:
    fitting = [name for name, unit_m in UNITS_M.items() if _SIZES[0] <= size * unit_m <= _SIZES[1]]
    return min(fitting, key=lambda name: abs(np.log(size * UNITS_M[name]))) if fitting else None
