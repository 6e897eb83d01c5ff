"""Procrustes and scale alignment against slow references, and what they must not notice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.conformance.strategies import HOUSE, orthogonal, poses, random_poses, rotations, seeds
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import fit_scale, procrustes
from sa3dhp_core.geometry.alignment import misfit


def slow_procrustes(prediction: np.ndarray, truth: np.ndarray, scale: bool) -> np.ndarray:
    """Horn's quaternion method (1987), pose by pose: another road to the same optimum."""
    a, b = prediction - prediction.mean(axis=0), truth - truth.mean(axis=0)
    s = a.T @ b
    delta = [s[1, 2] - s[2, 1], s[2, 0] - s[0, 2], s[0, 1] - s[1, 0]]
    n = np.zeros((4, 4))
    n[0, 0], n[0, 1:], n[1:, 0] = np.trace(s), delta, delta
    n[1:, 1:] = s + s.T - np.trace(s) * np.eye(3)
    w, x, y, z = np.linalg.eigh(n)[1][:, -1]
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    turned = a @ turn.T
    factor = (turned * b).sum() / (a * a).sum() if scale else 1.0
    return factor * turned + truth.mean(axis=0)


@given(poses(), seeds, orthogonal(), st.booleans(), st.floats(0.0, 0.5))
def test_procrustes_equals_the_slow_reference(
    truth: Tensor, seed: int, matrix: Tensor, scale: bool, noise: float
) -> None:
    prediction = truth @ matrix.T + noise * random_poses(HOUSE, seed, len(truth))
    got = procrustes(prediction, truth, scale)
    for k in range(len(truth)):
        wanted = slow_procrustes(prediction[k].numpy(), truth[k].numpy(), scale)
        # A mirror image may have several best rotations: then the errors agree though the poses need not.
        error, best = (np.linalg.norm(pose - truth[k].numpy()) for pose in (got[k].numpy(), wanted))
        assert error == pytest.approx(best, rel=1e-7, abs=1e-7)
        if torch.linalg.det(matrix) > 0 and noise < 0.1:
            np.testing.assert_allclose(got[k].numpy(), wanted, atol=1e-7)


@given(poses(), seeds, rotations(), st.floats(0.2, 5.0), st.floats(-3, 3))
def test_procrustes_ignores_similarities_of_the_prediction(
    truth: Tensor, seed: int, turn: Tensor, size: float, shift: float
) -> None:
    prediction = truth + 0.1 * random_poses(HOUSE, seed, len(truth))
    moved = size * prediction @ turn.T + shift
    torch.testing.assert_close(procrustes(moved, truth), procrustes(prediction, truth), atol=1e-9, rtol=0)
    torch.testing.assert_close(procrustes(size * truth @ turn.T + shift, truth), truth, atol=1e-9, rtol=0)


@given(poses(), seeds, rotations(), st.floats(-3, 3))
def test_procrustes_follows_the_truth(truth: Tensor, seed: int, turn: Tensor, shift: float) -> None:
    prediction = truth + 0.1 * random_poses(HOUSE, seed, len(truth))
    wanted = procrustes(prediction, truth, False) @ turn.T + shift
    torch.testing.assert_close(procrustes(prediction, truth @ turn.T + shift, False), wanted, atol=1e-9, rtol=0)


@given(seeds, st.booleans())
def test_misfit_is_what_procrustes_leaves_in_any_layout(seed: int, scale: bool) -> None:
    truth, moving = random_poses(HOUSE, seed, 2, 3), random_poses(HOUSE, seed + 1, 2, 3) + 2.0
    moving[0, 1, :, 2], moving[1, 1] = 0.0, moving[1, 1, :1]  # a flat pose and a point
    wanted = truth - procrustes(moving, truth, scale)
    torch.testing.assert_close(misfit(moving, truth, scale), wanted, atol=1e-12, rtol=0)
    inner, fixed = (p.movedim((-2, -1), (0, 1)).contiguous().movedim((0, 1), (-2, -1)) for p in (moving, truth))
    torch.testing.assert_close(misfit(inner, fixed, scale), wanted, atol=1e-12, rtol=0)
    single = misfit(moving.float(), truth.float(), scale)
    torch.testing.assert_close(single.norm(dim=(-1, -2)), wanted.norm(dim=(-1, -2)).float(), atol=1e-5, rtol=0)


def test_procrustes_does_not_reflect() -> None:
    truth = random_poses(HOUSE, 5)
    mirrored = truth * torch.tensor([-1.0, 1.0, 1.0])
    assert (procrustes(mirrored, truth) - truth).norm(dim=-1).mean() > 0.01


@given(poses(), st.floats(0.1, 10.0))
def test_fit_scale_finds_the_factor_and_no_factor_is_better(truth: Tensor, size: float) -> None:
    torch.testing.assert_close(fit_scale(size * truth, truth), truth, atol=1e-9, rtol=0)
    prediction = truth.flip(0) + 0.3 * truth
    best = (fit_scale(prediction, truth) - truth).pow(2).sum(dim=(-1, -2))
    for factor in torch.linspace(-2, 2, 41):
        assert (best <= (factor * prediction - truth).pow(2).sum(dim=(-1, -2)) + 1e-12).all()


def test_dtypes_are_kept_and_a_point_stays_finite() -> None:
    truth = random_poses(HOUSE, 1, 2)
    for dtype in (torch.float16, torch.float32, torch.float64):
        assert procrustes(truth.to(dtype), truth.to(dtype)).dtype == dtype
    assert torch.isfinite(procrustes(torch.zeros_like(truth), truth)).all()
    assert torch.isfinite(fit_scale(torch.zeros_like(truth), truth)).all()


@pytest.mark.parametrize("align", [procrustes, fit_scale])
def test_shapes_that_would_broadcast_are_refused(align: Callable[[Tensor, Tensor], Tensor]) -> None:
    with pytest.raises(DataError, match="do not fit"):
        align(torch.zeros(4, 17, 3), torch.zeros(17, 3))
