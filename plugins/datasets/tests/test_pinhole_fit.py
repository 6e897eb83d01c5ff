"""A camera from points known twice: exact, in spite of points that do not project, and refused where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.lens import Lens
from sa3dhp_datasets.pinhole_fit import pinhole_of
from sa3dhp_datasets.shots import projected

GENERATOR = np.random.default_rng(5)
JOINTS = GENERATOR.uniform([-1, -1, 2], [1, 1, 6], (400, 3))


@given(st.tuples(st.floats(50, 3000), st.floats(50, 3000)), st.tuples(st.floats(-200, 2000), st.floats(-200, 2000)))
def test_the_camera_is_found_exactly(focal: tuple[float, float], centre: tuple[float, float]) -> None:
    lens = pinhole_of(1000 * JOINTS, projected(JOINTS, Lens(np.array(focal), np.array(centre))), "here")
    assert np.allclose(lens.focal_px, focal, rtol=1e-9) and np.allclose(lens.centre_px, centre, atol=1e-6)
    assert not lens.bends


def test_joints_that_do_not_project_are_left_out() -> None:
    seen = projected(JOINTS, Lens(np.array([1500.0, 1490.0]), np.array([1020.0, 1030.0])))
    seen[::5] += [25.0, -14.0]
    lens = pinhole_of(JOINTS, seen, "here")
    assert np.allclose(lens.focal_px, [1500, 1490], rtol=1e-9) and np.allclose(lens.centre_px, [1020, 1030])


def test_noise_moves_it_little() -> None:
    seen = projected(JOINTS, Lens(np.array([1500.0, 1490.0]), np.array([1020.0, 1030.0])))
    lens = pinhole_of(JOINTS, seen + GENERATOR.normal(size=seen.shape), "here")
    assert np.allclose(lens.focal_px, [1500, 1490], rtol=2e-3) and np.allclose(lens.centre_px, [1020, 1030], atol=1)


def test_what_tells_no_camera_is_refused() -> None:
    seen = projected(JOINTS, Lens(np.array([1500.0, 1490.0]), np.array([1020.0, 1030.0])))
    for joints, points, message in (
        (JOINTS[:2], seen[:2], "too little(.|\n)*2 joints"),
        (JOINTS * [1e-5, 1, 1], seen, "too little"),
        (JOINTS, seen[::-1], r"no camera shows(.|\n)*at most 10 px"),
        (JOINTS * [-1, 1, 1], seen, "no camera shows"),
        (np.full_like(JOINTS, np.nan), seen, "0 joints"),
        (JOINTS, np.full_like(seen, 1e300) * np.where(np.arange(400) % 2, -1, 1)[:, None], "camera"),
    ):
        with pytest.raises(DataError, match=f"here: (.|\n)*{message}"):
            pinhole_of(joints, points, "here")
