"""Points of a moving surface against a second implementation; models and regressors that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.body_surface import read_surface
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.smpl_example import model_arrays, turns
from sa3dhp_datasets.smpl_joints import PARENTS_24


def files(folder: Path, regressor: Any = None, **replaced: Any) -> tuple[Path, Path]:
    """A model and a regressor; an array replaced by None is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {key: value for key, value in (model_arrays() | replaced).items() if value is not None}
    np.savez(folder / "model.npz", **arrays)
    shares = np.random.default_rng(1).random((17, 48))
    shares[:, ::3] = 0.0
    np.save(folder / "regressor.npy", shares / shares.sum(1, keepdims=True) if regressor is None else regressor)
    return folder / "model.npz", folder / "regressor.npy"


def rigid(vector: Array, place: Array) -> Array:
    """A 4 x 4 transform: turned by an axis times angle, then moved."""
    x, y, z = vector
    found = np.eye(4)
    found[:3, :3] = expm(np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]))
    found[:3, 3] = place
    return found


def slow_vertices(betas: Array, vectors: Array, place: Array) -> Array:
    """SMPL's paper, equations 2 to 10, of one frame: each vertex by the blend of its joints' transforms."""
    arrays = model_arrays()
    shaped = arrays["v_template"] + sum(beta * arrays["shapedirs"][:, :, k] for k, beta in enumerate(betas))
    joints = arrays["J_regressor"] @ shaped
    bend = np.concatenate([(rigid(vector, np.zeros(3))[:3, :3] - np.eye(3)).ravel() for vector in vectors[1:]])
    chain: list[Array] = []
    for index, parent in enumerate(PARENTS_24):
        own = rigid(vectors[index], joints[index] - (joints[parent] if parent >= 0 else 0.0))
        chain.append(own if parent < 0 else chain[parent] @ own)
    found = []
    for vertex, point in enumerate(shaped):
        posed = point + sum(arrays["posedirs"][vertex, :, k] * value for k, value in enumerate(bend))
        blend = np.zeros(3)
        for index, share in enumerate(arrays["weights"][vertex]):
            blend += share * (chain[index] @ np.append(posed - joints[index], 1.0))[:3]
        found.append(blend + place)
    return np.array(found)


def test_points_agree_with_the_slow_reference(tmp_path: Path) -> None:
    model, regressor = files(tmp_path)
    generator = np.random.default_rng(2)
    vectors = turns(2, 0.7) + 0.3 * generator.normal(size=(2, 24, 3))
    betas, places = generator.normal(size=10), generator.normal(size=(2, 3))
    found = read_surface(model, regressor, 17).points(betas, vectors, places, "a.pkl")
    for row in range(2):
        wanted = np.load(regressor) @ slow_vertices(betas, vectors[row], places[row])
        np.testing.assert_allclose(found[row], wanted, atol=1e-9)


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no skin": ({"weights": None}, "'weights' is missing"),
    "skin": ({"weights": np.zeros((48, 23))}, r"\(48, 24\)"),
    "bends": ({"posedirs": np.zeros((48, 3, 9))}, r"\(48, 3, 207\)"),
    "NaN": ({"posedirs": np.full((48, 3, 207), np.nan)}, "not finite"),
    "of another body": ({"regressor": np.zeros((17, 6890))}, r"\(17, 48\)"),
    "of other joints": ({"regressor": np.zeros((14, 48))}, r"\(17, 48\)"),
    "objects": ({"regressor": np.array([{}], dtype=object)}, "not an npy file of numbers"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_models_and_regressors_that_do_not_fit_are_named(case: str, tmp_path: Path) -> None:
    replaced, message = BROKEN[case]
    with pytest.raises(DataError, match=message):
        read_surface(*files(tmp_path, **replaced), 17)


def test_missing_files_and_components_are_named(tmp_path: Path) -> None:
    model, regressor = files(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_surface(model, tmp_path / "regresor.npy", 17)
    with pytest.raises(DataError, match=r"(?s)too few components.*11, as a\.pkl has"):
        read_surface(model, regressor, 17).points(np.zeros(11), np.zeros((1, 24, 3)), np.zeros((1, 3)), "a.pkl")
    regressor.write_bytes(b"\x93NUMPY cut")
    with pytest.raises(DataError, match="not an npy file"):
        read_surface(model, regressor, 17)
