"""What importers demand of arrays: kinds, shapes, finite numbers, equal lengths; wrong units are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.strategies import random_poses
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.expected_arrays import array_of, need_equal, need_unit, whole_numbers
from sa3dhp_datasets.rigs import UNITS_M

BODY = skeleton()


@pytest.mark.parametrize("value", [np.ones((3, 24, 5), np.float32), np.ones((3, 24, 1), np.uint8), [[[1]] * 24] * 3])
def test_arrays_that_fit_are_given_as_real_numbers(value: Any) -> None:
    found = array_of(value, (3, 24, None), "a.mat: joints3D", "metres")
    assert found.dtype == np.float64 and found.shape == np.shape(value) and bool((found == 1).all())


WRONG: dict[str, tuple[Any, str]] = {
    "short": (np.ones((3, 23, 5)), r"\(3, 23, 5\) float64"),
    "flat": (np.ones((3, 24)), r"\(3, 24\)"),
    "text": (np.full((3, 24, 1), "x"), "<U1"),
    "flags": (np.ones((3, 24, 1), bool), "bool"),
    "complex": (np.ones((3, 24, 1), complex), "complex128"),
    "objects": (np.full((3, 24, 1), None), "object"),
    "ragged": ([[1, 2], [1]], "differing lengths"),
    "a dict": ({"a": 1}, "dict"),
    "nothing": (None, "NoneType"),
    "NaN": (np.where(np.arange(24)[:, None] == 7, np.nan, np.ones((3, 24, 2))), r"joints3D\[0, 7, 0\]: a number that"),
    "infinite": (np.where(np.arange(24)[:, None] == 7, -np.inf, np.ones((3, 24, 2))), "-inf"),
    "beyond": (np.full((3, 24, 1), np.longdouble(10) ** 400), "inf"),
}


@pytest.mark.parametrize("case", WRONG)
def test_other_arrays_are_named(case: str) -> None:
    value, message = WRONG[case]
    with pytest.raises(DataError, match=message) as caught:
        array_of(value, (3, 24, None), "a.mat: joints3D", "metres")
    assert "a.mat: joints3D" in str(caught.value) and "metres: (3, 24, any) numbers" in str(caught.value)


def test_gaps_are_nan_and_never_infinite() -> None:
    assert np.isnan(array_of([1.0, np.nan], (None,), "a", "px", gaps=True)).tolist() == [False, True]
    with pytest.raises(DataError, match="inf"):
        array_of([1.0, np.inf], (None,), "a", "px", gaps=True)


def test_whole_numbers() -> None:
    assert whole_numbers(np.array([[0.0], [13.0]]), (None, 1), "a", "cameras").tolist() == [[0], [13]]
    for value in (0.5, 1e30, np.nan):
        with pytest.raises(DataError, match=r"a\[1\]"):
            whole_numbers([1.0, value], (None,), "a", "cameras")


def test_lengths() -> None:
    assert need_equal({"poses": 7, "places": 7}, "a") == 7
    with pytest.raises(DataError, match="poses: 7, places: 8"):
        need_equal({"poses": 7, "places": 8}, "a")


@pytest.mark.parametrize("unit", UNITS_M)
@pytest.mark.parametrize("size", [0.7, 1.0, 1.25])
def test_people_of_any_size_pass_in_the_unit_that_is_due(unit: str, size: float) -> None:
    joints = size * random_poses(BODY, 0, 30).numpy() / UNITS_M[unit]
    need_unit(joints, unit, "a")
    joints[:, 3:9] = np.nan
    need_unit(joints, unit, "a")


@pytest.mark.parametrize(
    ("is_in", "due"),
    [("metre", "millimetre"), ("millimetre", "metre"), ("centimetre", "metre"), ("inch", "millimetre")],
)
def test_wrong_units_are_named(is_in: str, due: str) -> None:
    joints = random_poses(BODY, 0, 30).numpy() / UNITS_M[is_in]
    with pytest.raises(DataError, match=f"looks like {is_in}s; expected {due}s"):
        need_unit(joints, due, "a")


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        (np.zeros((4, 17, 3)), "no person's size"),
        (np.full((4, 17, 3), np.nan), "no bone is known"),
        (np.zeros((0, 17, 3)), "no bone is known"),
        (1e9 * random_poses(BODY, 0, 3).numpy(), "no person's size"),
    ],
)
def test_what_is_no_body_in_any_unit(joints: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        need_unit(joints, "metre", "a")


def test_units_of_other_skeletons() -> None:
    body = skeleton("mpi-inf-3dhp-17")
    need_unit(1000 * random_poses(body, 1, 5).numpy(), "millimetre", "a", body)
