"""Metrics by card against slow references; accumulation; cards that contradict themselves; what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.cards import card_ids, read_card
from sa3dhp_core.conformance.strategies import HOUSE, random_poses, rotations, seeds
from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_core.evaluation import Accumulator, evaluate, load_protocol, protocol_from_card, spread
from tests.core.test_geometry_alignment import slow_procrustes

ITES = ("ites-mpjpe", "ites-pa-mpjpe", "ites-set-mpjpe", "ites-set-pa-mpjpe")
SHIPPED = ("accel", "auc-150", *ITES, "mpjpe-root", "n-mpjpe", "pa-mpjpe", "pck-150")
"""Cards that fit any data; those of the literature's data sets are held by tests of their own."""


def pair(seed: int, *lead: int) -> tuple[Tensor, Tensor]:
    """Predictions and truth, float32 as a model gives them, neither relative to the root."""
    truth = random_poses(HOUSE, seed, *lead) + 0.3
    return (truth + 0.4 * random_poses(HOUSE, seed + 1, *lead) - 0.5).float(), truth.float()


def aligned_errors(prediction: np.ndarray, truth: np.ndarray, how: str) -> np.ndarray:
    """Distances of joints in metres of one pose, by the definition, in loops."""
    pelvis = HOUSE.index("pelvis")
    prediction, truth = prediction - prediction[pelvis], truth - truth[pelvis]
    if how == "procrustes":
        prediction = slow_procrustes(prediction, truth, scale=True)
    if how == "scale":
        factor = sum(a @ b for a, b in zip(prediction, truth, strict=True)) / sum(a @ a for a in prediction)
        prediction = factor * prediction
    return np.array([math.dist(a, b) for a, b in zip(prediction, truth, strict=True)])


def slow(protocol_id: str, prediction: np.ndarray, truth: np.ndarray) -> float:
    """The number that a card stands for, written out by name."""
    if protocol_id == "accel":
        total, pelvis = [], HOUSE.index("pelvis")
        for p, t in zip(prediction, truth, strict=True):
            p, t = (x - x[:, pelvis : pelvis + 1] for x in (p, t))
            for k in range(1, len(p) - 1):
                difference = (p[k - 1] - 2 * p[k] + p[k + 1]) - (t[k - 1] - 2 * t[k] + t[k + 1])
                total += [1000 * float(np.linalg.norm(row)) for row in difference]
        return sum(total) / len(total)
    how = "procrustes" if "pa-mpjpe" in protocol_id else "scale" if protocol_id in ("n-mpjpe", *ITES) else "none"
    pelvis, errors, mirrored = HOUSE.index("pelvis"), [], []
    for p, t in zip(prediction.reshape(-1, 17, 3), truth.reshape(-1, 17, 3), strict=True):
        one = aligned_errors(p, t, how)
        other = aligned_errors((p - p[pelvis]) * [1, 1, -1], t, how)
        if protocol_id in ("ites-mpjpe", "ites-pa-mpjpe"):
            one = one if one.mean() <= other.mean() else other
        errors += [1000 * float(e) for e in one]
        mirrored += [1000 * float(e) for e in other]
    if protocol_id.startswith("ites-set"):
        errors = min(errors, mirrored, key=sum)
    if protocol_id == "pck-150":
        return 100 * sum(e < 150 for e in errors) / len(errors)
    if protocol_id == "auc-150":
        shares = [100 * sum(e < limit for e in errors) / len(errors) for limit in range(0, 151, 5)]
        return sum(shares) / len(shares)
    return sum(errors) / len(errors)


def test_no_id_is_lost_and_every_card_loads() -> None:
    assert set(SHIPPED) <= set(card_ids("protocols"))
    for card in card_ids("protocols"):
        assert load_protocol(card).id == card


@pytest.mark.parametrize("protocol_id", SHIPPED)
@given(seed=seeds)
def test_values_equal_the_slow_reference(protocol_id: str, seed: int) -> None:
    prediction, truth = pair(seed, 2, 4)
    got = evaluate(load_protocol(protocol_id), prediction, truth, HOUSE)
    wanted = slow(protocol_id, prediction.double().numpy(), truth.double().numpy())
    assert got.value == pytest.approx(wanted, rel=1e-6, abs=1e-6)
    assert got.count == (4 if protocol_id == "accel" else 8)
    assert sum(got.per_joint.values()) / 17 == pytest.approx(got.value)
    assert set(got.per_joint) == set(HOUSE.joints)


@given(
    seeds, st.lists(st.integers(1, 7), min_size=1, max_size=6), st.sampled_from([s for s in SHIPPED if s != "accel"])
)
def test_batches_of_any_sizes_give_one_result(seed: int, sizes: list[int], protocol_id: str) -> None:
    prediction, truth = pair(seed, sum(sizes))
    protocol = load_protocol(protocol_id)
    accumulator = Accumulator(protocol, HOUSE)
    for p, t in zip(prediction.split(sizes), truth.split(sizes), strict=True):
        accumulator.add(p, t)
    whole = evaluate(protocol, prediction, truth, HOUSE)
    assert accumulator.result().value == pytest.approx(whole.value, rel=1e-12)
    assert accumulator.result().count == whole.count == sum(sizes)


@given(seeds, rotations(), st.floats(0.5, 2.0))
def test_each_protocol_forgives_what_it_says_and_nothing_else(seed: int, turn: Tensor, size: float) -> None:
    truth = random_poses(HOUSE, seed, 3)
    bent = size * truth @ turn.T
    values = {name: evaluate(load_protocol(name), bent, truth, HOUSE).value for name in SHIPPED if name != "accel"}
    assert values["pa-mpjpe"] < 1e-6 and values["ites-pa-mpjpe"] < 1e-6
    assert values["n-mpjpe"] <= values["mpjpe-root"] * 1.5 + 1e-9
    assert values["ites-mpjpe"] <= values["ites-set-mpjpe"] + 1e-9 <= values["n-mpjpe"] + 2e-9
    assert values["ites-pa-mpjpe"] <= values["ites-set-pa-mpjpe"] + 1e-9 <= values["pa-mpjpe"] + 2e-9
    assert evaluate(load_protocol("n-mpjpe"), size * truth, truth, HOUSE).value < 1e-6
    if abs(size - 1) > 0.01:
        assert evaluate(load_protocol("mpjpe-root"), size * truth, truth, HOUSE).value > 1e-3
    depth = truth * torch.tensor([1.0, 1.0, -1.0])
    assert evaluate(load_protocol("ites-mpjpe"), depth, truth, HOUSE).value < 1e-6
    assert evaluate(load_protocol("ites-set-mpjpe"), depth, truth, HOUSE).value < 1e-6
    mixed = torch.cat([depth, truth])
    assert evaluate(load_protocol("ites-mpjpe"), mixed, truth.repeat(2, 1, 1), HOUSE).value < 1e-6
    assert evaluate(load_protocol("ites-set-mpjpe"), mixed, truth.repeat(2, 1, 1), HOUSE).value > 1.0


def test_a_card_may_choose_joints() -> None:
    truth = random_poses(HOUSE, 0, 2)
    prediction = truth.clone()
    prediction[:, HOUSE.index("left_wrist"), 0] += 0.1
    card = read_card("protocols", "mpjpe-root") | {"joints": ["left_wrist", "head"]}
    got = evaluate(protocol_from_card(card, "here"), prediction, truth, HOUSE)
    assert got.value == pytest.approx(50.0)
    assert got.per_joint == pytest.approx({"left_wrist": 100.0, "head": 0.0})


@given(seeds, st.floats(0.1, 2.0))
def test_spread_is_one_for_the_truth_and_scales(seed: int, size: float) -> None:
    truth = random_poses(HOUSE, seed, 6)
    assert spread(truth, truth, HOUSE) == pytest.approx(1.0)
    assert spread(size * truth + 3.0, truth, HOUSE) == pytest.approx(size)
    assert spread(truth[:1].expand_as(truth), truth, HOUSE) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metric": "pkc"}, "metric"),
        ({"scal": "fitted"}, "did you mean 'scale'?"),
        ({"root": 3}, "root"),
        ({"unit": "m"}, "expected: mm"),
        ({"scale": "fitted"}, "predicted with alignment 'none'"),
        ({"alignment": "scale"}, "fitted with alignment 'scale'"),
        ({"oracle_inputs": ["true scale"]}, "oracle_inputs"),
        ({"hypotheses": "best-of-depth-mirror"}, "true depth sign"),
        ({"thresholds_mm": [150.0]}, "thresholds_mm"),
        ({"thresholds_mm": ["far"]}, "thresholds_mm"),
        ({"metric": "pck", "unit": "%"}, "one threshold"),
        ({"averaging": "batch"}, "averaging"),
        ({"bones": "true", "oracle_inputs": ["true bone lengths"]}, "the skeleton whose bones"),
        ({"bones": "true", "skeleton": "h36m-17"}, "true bone lengths"),
        ({"joints": ["head"], "aligned_joints": ["neck"]}, "all joints that count"),
        ({"averaging": "padded-batches"}, "a number of samples"),
        ({"batch_size": 8}, "a number of samples"),
        ({"averaging": "sequence"}, "sequence with people"),
        ({"people": {"count": "all", "within_px": 40.0, "joints": ["head"]}}, "sequence with people"),
        ({"people": {"count": "all", "within_px": 0.0, "joints": ["head"]}}, "within_px"),
        ({"people": {"count": "some", "within_px": 40.0, "joints": ["head"]}}, "count"),
        ({"metric": "pck-2d", "unit": "%"}, "threshold_share"),
        ({"threshold_share": 0.2, "length_between": ["head", "neck"]}, "with pck-2d alone"),
        ({"metric": "auc", "unit": "%", "thresholds_mm": [5.0, 5.0]}, "rising"),
        ({"frames": {"stride": 0}}, "stride"),
        ({"frames": {"stride": True}}, "stride"),
        ({"frames": {"camera": ["a"]}}, "camera"),
        ({"metric": "accel", "unit": "mm/frame^2", "frames": {"stride": 2}}, "consecutive frames"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        protocol_from_card(read_card("protocols", "mpjpe-root") | change, "card.toml")
    assert words in str(caught.value)


def test_a_card_without_a_key_is_refused() -> None:
    card = read_card("protocols", "mpjpe-root")
    del card["root"]
    with pytest.raises(RecipeError, match="root"):
        protocol_from_card(card, "card.toml")
    with pytest.raises(RecipeError, match="mpjpe-root"):
        load_protocol("mpjpe-rot")


def test_what_cannot_be_compared_is_refused() -> None:
    truth, protocol = random_poses(HOUSE, 0, 4), load_protocol("mpjpe-root")
    broken = truth.clone()
    broken[2, 3, 1] = math.nan
    for prediction, true, words in (
        (truth[:1], truth, "differ in shape"),
        (truth[:, :16], truth, "do not fit the skeleton"),
        (broken, truth, "predictions have NaN"),
        (truth, broken, "true poses have NaN"),
        (truth[:0], truth[:0], "nothing to evaluate"),
    ):
        with pytest.raises(DataError, match=words):
            evaluate(protocol, prediction, true, HOUSE)
    with pytest.raises(DataError, match="needs sequences"):
        evaluate(load_protocol("accel"), truth, truth, HOUSE)
    with pytest.raises(DataError, match="no poses"):
        spread(truth[:0], truth[:0], HOUSE)
    with pytest.raises(DataError, match="does not vary"):
        spread(truth, truth[:1].expand_as(truth), HOUSE)
    other = protocol_from_card(read_card("protocols", "mpjpe-root") | {"root": "pelvi"}, "card.toml")
    with pytest.raises(DataError, match="did you mean 'pelvis'"):
        Accumulator(other, HOUSE)
