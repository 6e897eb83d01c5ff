"""PCK of keypoints against a reference in loops, missing keypoints, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torch import Tensor

from sa3dhp_core.cards import card_ids, skeleton
from sa3dhp_core.conformance.strategies import seeds
from sa3dhp_core.errors import DataError
from sa3dhp_core.evaluation import Accumulator, evaluate, evaluate_keypoints, load_protocol

LSP, CARD = skeleton("lsp-14"), load_protocol("lsp-pck-02")
RIGHT_HIP, LEFT_SHOULDER = 2, 9
"""Joints 3 and 10 of LSP, counted from 1."""


def slow(prediction: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Right keypoints among those that have a true place, per cent; torso from left shoulder to right hip."""
    right, total = 0, 0
    for found, wanted in zip(prediction, truth, strict=True):
        torso = math.dist(wanted[LEFT_SHOULDER], wanted[RIGHT_HIP])
        for joint in range(14):
            if not any(math.isnan(x) for x in wanted[joint]):
                total += 1
                right += math.dist(found[joint], wanted[joint]) <= 0.2 * torso
    return 100 * right / total


@st.composite
def people(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Keypoints in pixels, some missing on either side; torsos may have no length."""
    count, generator = draw(st.integers(1, 8)), np.random.default_rng(draw(seeds))
    truth = generator.normal(0, 50, (count, 14, 2))
    prediction = truth + generator.normal(0, 15, truth.shape)
    if draw(st.booleans()):
        places = arrays(np.float64, (count, 14, 2), elements=st.integers(-20, 20).map(float))
        prediction, truth = draw(places), draw(places)
    gone = generator.random((2, count, 14)) < draw(st.sampled_from([0.0, 0.2]))
    gone[1][:, [RIGHT_HIP, LEFT_SHOULDER]] = False
    prediction[gone[0]], truth[gone[1]] = math.nan, math.nan
    return torch.from_numpy(prediction), torch.from_numpy(truth)


def test_the_shipped_card_of_keypoints_is_tested_here() -> None:
    assert [card for card in card_ids("protocols") if load_protocol(card).metric == "pck-2d"] == [CARD.id]


@given(people())
def test_values_equal_the_slow_reference(pair: tuple[Tensor, Tensor]) -> None:
    got = evaluate_keypoints(CARD, *pair, LSP)
    assert got.value == pytest.approx(slow(*(points.numpy() for points in pair)), abs=1e-6)
    assert got.count == len(pair[0])


@given(people(), seeds)
def test_order_shape_precision_and_size_do_not_matter(pair: tuple[Tensor, Tensor], seed: int) -> None:
    prediction, truth = (points.float() for points in pair)
    wanted = evaluate_keypoints(CARD, prediction, truth, LSP)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(truth)))
    assert evaluate_keypoints(CARD, prediction[order], truth[order], LSP) == wanted
    assert evaluate_keypoints(CARD, prediction[None], truth[None], LSP) == wanted
    assert evaluate_keypoints(CARD, prediction.double(), truth.double(), LSP) == wanted
    assert evaluate_keypoints(CARD, 4 * prediction, 4 * truth, LSP) == wanted
    single = [evaluate_keypoints(CARD, p, t, LSP) for p, t in zip(prediction, truth, strict=True)]
    seen = [int((~t.isnan().any(dim=-1)).sum()) for t in truth]
    assert sum(s.value * n for s, n in zip(single, seen, strict=True)) / sum(seen) == pytest.approx(wanted.value)


def test_the_bound_is_near_enough_and_missing_keypoints_are_told_apart() -> None:
    truth = torch.zeros(1, 14, 2, dtype=torch.float64)
    truth[0, LEFT_SHOULDER, 1] = 10.0
    prediction = truth.clone()
    prediction[0, 0, 0], prediction[0, 1, 0], prediction[0, 3] = 2.0, math.nextafter(2.0, 3.0), math.nan
    truth[0, 4] = math.nan
    got = evaluate_keypoints(CARD, prediction, truth, LSP)
    wrong = {joint for joint, share in got.per_joint.items() if share == 0}
    assert wrong == {"right_knee", "left_hip"} and "left_knee" not in got.per_joint
    assert got.value == pytest.approx(100 * 11 / 13)


def test_keypoints_of_the_house_are_read_by_what_joints_are_called() -> None:
    house = skeleton("h36m-17")
    order = [3, 2, 1, 4, 5, 6, 16, 15, 14, 11, 12, 13, 8, 10]
    truth = 50 * torch.randn(5, 17, 2, generator=torch.Generator().manual_seed(0))
    prediction = truth + 15 * torch.randn(5, 17, 2, generator=torch.Generator().manual_seed(1))
    wanted = evaluate_keypoints(CARD, prediction[:, order], truth[:, order], LSP)
    assert evaluate_keypoints(CARD, prediction, truth, house) == wanted


def test_what_cannot_be_measured_is_refused() -> None:
    truth = torch.randn(3, 14, 2, generator=torch.Generator().manual_seed(0))
    lost, endless = truth.clone(), truth.clone()
    lost[1, RIGHT_HIP], endless[0, 0, 0] = math.nan, math.inf
    for prediction, true, words in (
        (truth, lost, "1 people without a true place"),
        (endless, truth, "infinite"),
        (truth[:2], truth, "differ in shape"),
        (truth[:, :13], truth, "do not fit the skeleton"),
        (truth[:0], truth[:0], "nothing to evaluate"),
    ):
        with pytest.raises(DataError, match=words):
            evaluate_keypoints(CARD, prediction, true, LSP)
    with pytest.raises(DataError, match="does not measure keypoints"):
        evaluate_keypoints(load_protocol("mpjpe-root"), truth, truth, LSP)
    with pytest.raises(DataError, match="evaluate_keypoints"):
        Accumulator(CARD, LSP)
    with pytest.raises(DataError, match="evaluate_keypoints"):
        evaluate(CARD, truth, truth, LSP)
