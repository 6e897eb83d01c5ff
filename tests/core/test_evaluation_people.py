"""MuPoTS-3D's rules against a reference that knows joints by number and loops over people, as its own code does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sa3dhp_core.cards import card_ids, skeleton
from sa3dhp_core.conformance.strategies import random_poses, seeds
from sa3dhp_core.errors import DataError
from sa3dhp_core.evaluation import (
    Accumulator,
    People,
    PeopleEvaluation,
    evaluate_people,
    load_protocol,
    match_people,
)

Array = NDArray[np.float64]
Frames = list[tuple[People, People, str]]

MPI = skeleton("mpi-inf-3dhp-17")
CARDS = [card for card in card_ids("protocols") if card.startswith("mupots-")]
O1 = (2, 16, 2, 3, 4, 2, 6, 7, 15, 9, 10, 15, 12, 13, 15, 15, 2)
ORDER = (16, 2, 1, 17, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)
"""Parents and the order of resizing bones, joints counted from 1, as in MuPoTS-3D's evaluation."""


def resized(pose: Array, truth: Array) -> Array:
    result = pose.copy()
    for joint in ORDER:
        child, parent = joint - 1, O1[joint - 1] - 1
        bone = pose[child] - pose[parent]
        size = math.sqrt(float(bone @ bone))
        wanted = math.sqrt(float((truth[child] - truth[parent]) @ (truth[child] - truth[parent])))
        result[child] = result[parent] + (bone * wanted / size if size > 0 else 0.0)
    return result


def identities(true: Array, predicted: Array) -> list[int]:
    """For each true person the number of their prediction, -1 without; joints 2 to 14, counted from 1."""
    used: list[int] = []
    found = []
    for person in true:
        scores = []
        for k, other in enumerate(predicted):
            near = [abs(person[j, 0] - other[j, 0]) < 40 and abs(person[j, 1] - other[j, 1]) < 40 for j in range(1, 14)]
            scores.append(0 if k in used else sum(near))
        if scores and max(scores) > 0:
            used.append(scores.index(max(scores)))
            found.append(used[-1])
        else:
            found.append(-1)
    return found


def slow(protocol_id: str, frames: Frames) -> float:
    limits = [150.0] if "3dpck" in protocol_id else np.linspace(0, 150, 31).tolist()
    sequences: dict[str, list[list[float]]] = {}
    for found, wanted, name in frames:
        for k, mine in enumerate(identities(wanted.keypoints.numpy(), found.keypoints.numpy())):
            errors = [1e5] * 17
            if mine < 0 and "matched" in protocol_id:
                continue
            if mine >= 0:
                pose, truth = found.poses[mine].double().numpy(), wanted.poses[k].double().numpy()
                if "relative" in protocol_id:
                    pose, truth = pose - pose[14], truth - truth[14]
                pose = resized(pose, truth)
                errors = [1000 * math.sqrt(sum((pose[j] - truth[j]) ** 2)) for j in range(17)]
            sequences.setdefault(name, []).append(errors)
    values = []
    for people in sequences.values():
        hits = [e < limit for errors in people for e in errors[:14] for limit in limits]
        values.append(100 * sum(hits) / len(hits))
    return sum(values) / len(values)


def scene(seed: int, true: int, predicted: int, noise_m: float, name: str) -> tuple[People, People, str]:
    """Some true people, some predictions of them in another order, and some predictions of nobody."""
    draw = np.random.default_rng(seed)
    place = torch.from_numpy(draw.uniform(-1, 1, (max(true, predicted), 1, 3)) + [0, 0, 4])
    people = random_poses(MPI, seed, max(true, predicted)) + place
    keypoints = 1000 * people[..., :2] / people[..., 2:].clamp(min=0.5)
    guess = people + noise_m * random_poses(MPI, seed + 1, len(people))
    pixels = keypoints + torch.from_numpy(draw.normal(0, 30, keypoints.shape))
    pixels[torch.from_numpy(draw.random(pixels.shape[:-1]) < 0.1)] = math.nan
    order = torch.from_numpy(draw.permutation(len(people)))[:predicted]
    return People(guess[order], pixels[order]), People(people[:true], keypoints[:true]), name


@st.composite
def videos(draw: st.DrawFn) -> Frames:
    """Frames of up to three sequences; somebody is always there and found."""
    frames = [scene(draw(seeds), 1, 1, 0.1, "first")]
    frames[0][0].keypoints[:] = frames[0][1].keypoints
    for _ in range(draw(st.integers(0, 5))):
        noise_m, name = draw(st.sampled_from([0.0, 0.05, 0.3])), draw(st.sampled_from(["first", "second", "third"]))
        frames.append(scene(draw(seeds), draw(st.integers(0, 3)), draw(st.integers(0, 4)), noise_m, name))
    return frames


def measured(protocol_id: str, frames: Frames) -> PeopleEvaluation:
    found, wanted, names = zip(*frames, strict=True)
    return evaluate_people(load_protocol(protocol_id), found, wanted, MPI, names)


def with_poses_in(dtype: torch.dtype, frames: Frames) -> Frames:
    def cast(people: People) -> People:
        return People(people.poses.to(dtype), people.keypoints)

    return [(cast(found), cast(wanted), name) for found, wanted, name in frames]


def test_the_cards_are_all_people_by_both_counts() -> None:
    assert CARDS == [
        "mupots-3dpck-all-absolute",
        "mupots-3dpck-all-relative",
        "mupots-3dpck-matched-absolute",
        "mupots-3dpck-matched-relative",
        "mupots-auc-all-relative",
        "mupots-auc-matched-relative",
    ]


@pytest.mark.parametrize("protocol_id", CARDS)
@given(frames=videos())
def test_values_equal_the_slow_reference(protocol_id: str, frames: Frames) -> None:
    assert measured(protocol_id, frames).value == pytest.approx(slow(protocol_id, frames), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("protocol_id", CARDS)
@given(frames=videos(), seed=seeds)
def test_the_order_of_frames_and_the_precision_do_not_matter(protocol_id: str, frames: Frames, seed: int) -> None:
    frames = with_poses_in(torch.float32, frames)
    wanted = pytest.approx(measured(protocol_id, frames).value, rel=1e-12)
    order = np.random.default_rng(seed).permutation(len(frames))
    assert measured(protocol_id, [frames[k] for k in order]).value == wanted
    assert measured(protocol_id, with_poses_in(torch.float64, frames)).value == wanted


@given(st.lists(st.lists(st.integers(-60, 60), min_size=4, max_size=4), max_size=5), seeds)
def test_matching_equals_the_slow_rule(moves: list[list[int]], seed: int) -> None:
    """Few joints on a coarse grid, so that votes are equal and distances lie exactly at the bound."""
    draw = np.random.default_rng(seed)
    true = 20.0 * draw.integers(-3, 4, (3, 13, 2))
    predicted = np.zeros((len(moves), 13, 2))
    for k, (x, y, shift, joint) in enumerate(moves):
        predicted[k] = true[k % 3] + [x, y]
        predicted[k, abs(joint) % 13 :] += shift
    wanted = identities(
        *(np.concatenate([x[:, :1], x, np.full((len(x), 3, 2), 1e6)], axis=1) for x in (true, predicted))
    )
    got = match_people(torch.from_numpy(predicted), torch.from_numpy(true), 40.0)
    assert [-1 if k is None else k for k in got] == wanted


def test_people_who_are_missed_cost_all_their_joints_and_strangers_nothing() -> None:
    found, wanted, _ = scene(0, 2, 2, 0.0, "a")
    found = People(wanted.poses[:1], wanted.keypoints[:1])
    far = People(wanted.poses, wanted.keypoints + 1e4)
    frames = [(found, wanted, "a"), (far, People(wanted.poses[:0], wanted.keypoints[:0]), "b"), (far, wanted, "c")]
    everyone = measured("mupots-3dpck-all-absolute", frames)
    assert (everyone.value, everyone.count, everyone.missed, everyone.unclaimed) == (25.0, 4, 3, 4)
    assert everyone.per_sequence == {"a": 50.0, "c": 0.0}
    assert set(everyone.per_joint) == set(MPI.joints[:14]) and set(everyone.per_joint.values()) == {25.0}
    matched = measured("mupots-3dpck-matched-absolute", frames)
    assert (matched.value, matched.count, matched.per_sequence) == (100.0, 1, {"a": 100.0})


def test_bones_that_are_too_long_are_forgiven_and_places_are_not() -> None:
    _, wanted, _ = scene(0, 2, 2, 0.0, "a")
    pelvis = wanted.poses[:, 14:15]
    tall = People(pelvis + 2 * (wanted.poses - pelvis), wanted.keypoints)
    beside = People(wanted.poses + 0.2, wanted.keypoints)
    for card in CARDS:
        perfect = 100.0 if "3dpck" in card else 100 * 30 / 31
        assert measured(card, [(tall, wanted, "a")]).value == pytest.approx(perfect)
        assert measured(card, [(beside, wanted, "a")]).value == pytest.approx(0.0 if "absolute" in card else perfect)


def test_what_cannot_be_evaluated_is_refused() -> None:
    found, wanted, _ = scene(0, 1, 1, 0.0, "a")
    card, nobody = load_protocol(CARDS[0]), People(torch.zeros(0, 17, 3), torch.zeros(0, 17, 2))
    broken = People(found.poses * math.nan, wanted.keypoints)
    for given_, true, names, words in (
        ([found], [wanted], [], "differ in number"),
        ([nobody], [nobody], ["a"], "nobody to evaluate"),
        ([broken], [wanted], ["a"], "NaN"),
        ([People(found.poses, found.keypoints[:0])], [wanted], ["a"], "one set of keypoints a person"),
        ([People(found.poses[0], found.keypoints[0])], [wanted], ["a"], "one set of keypoints a person"),
        ([People(found.poses[:, :14], found.keypoints[:, :14])], [wanted], ["a"], "do not fit the skeleton"),
    ):
        with pytest.raises(DataError, match=words):
            evaluate_people(card, given_, true, MPI, names)
    with pytest.raises(DataError, match="does not say how people are matched"):
        evaluate_people(load_protocol("3dhp-pck-150"), [found], [wanted], MPI, ["a"])
    with pytest.raises(DataError, match="evaluate_people"):
        Accumulator(card, MPI)
    with pytest.raises(DataError, match="no joint 'pelvis', 'spine', 'head'"):
        evaluate_people(card, [nobody], [nobody], skeleton("lsp-14"), ["a"])
