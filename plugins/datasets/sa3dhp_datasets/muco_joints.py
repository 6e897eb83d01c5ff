"""The joints of MuCo-3DHP's people, checked and in the house's order. Reads no file."""

from __future__ import annotations

import numpy as np

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.expected_arrays import need_unit
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.shots import house

CARD = "muco-3dhp"
SOURCE = "mpi-inf-3dhp-17"
MM = 1000.0
COUNTS = (17, 21)
"""Numbers of joints that files come with; the last four of 21, hands and toes, are not the house's."""


def house_of(values: Array, where: str) -> Array:
    """``(N, 17 or 21, D)`` in the set's order to the house's ``(N, J, D)``; raises `DataError` for another number."""
    if values.shape[1] not in COUNTS:
        raise DataError("another number of joints", where=where, found=values.shape[1], expected="17 or 21")
    return house(values[:, : COUNTS[0]], CARD, where)


def metres(joints: Array, where: str) -> Array:
    """``(N, 17 or 21, 3)`` millimetres in the set's order to metres in the house's; raises `DataError` for others."""
    found = house_of(joints, where) / MM
    need_unit(joints[:, : COUNTS[0]], "millimetre", where, skeleton(SOURCE))
    return found


def need_in_front(joints: Array, where: str, hint: str | None = None) -> None:
    """Raise `DataError` that names the person where a joint of ``(N, J, 3)`` is not before the camera."""
    wrong = ~(joints[..., 2] > 0).all(-1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError("a joint is not before the camera", where=f"{where}: person {row}", expected="z > 0", hint=hint)
