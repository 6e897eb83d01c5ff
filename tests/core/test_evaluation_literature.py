"""Cards of the literature against references that know joints by number, as the public codes do, and loop over poses.

Written from the definitions, not from `sa3dhp_core.evaluation`; nothing here reads a card but its id.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torch import Tensor

from sa3dhp_core.cards import card_ids, read_card, skeleton
from sa3dhp_core.conformance.strategies import random_poses, seeds
from sa3dhp_core.errors import DataError
from sa3dhp_core.evaluation import Accumulator, FrameFacts, evaluate, load_protocol, protocol_from_card
from sa3dhp_core.types import Skeleton

Array = NDArray[np.float64]
Reference = Callable[[Array, Array, FrameFacts], float]

H36M_TO_J14 = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)
"""As in HMR and SPIN, whose regressor has the left leg first; the right one first, the same joints in another order."""

HOUSE_TO_LSP = (3, 2, 1, 4, 5, 6, 16, 15, 14, 11, 12, 13, 8, 10)
MOON_14 = (1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16)
ALL_17 = tuple(range(17))
MPI_GROUPS = ((0,), (1,), (2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13))
MPI_14 = tuple(joint for group in MPI_GROUPS for joint in group)
MPI_TO_H36M = (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4)
"""What the ports of MPI-INF-3DHP take for each of Human3.6M's 17."""

NEAR = 1e-6
"""What values may differ by, in their unit."""


def length(vector: Array) -> float:
    return math.sqrt(sum(float(x) * float(x) for x in vector))


def moved(pose: Array, truth: Array) -> Array:
    """By the best similarity, from the singular value decomposition of one pose (Umeyama 1991)."""
    a, b = pose - pose.mean(axis=0), truth - truth.mean(axis=0)
    u, sizes, vt = np.linalg.svd(a.T @ b)
    sizes[2] *= np.sign(np.linalg.det(u @ vt))
    u[:, 2] *= np.sign(np.linalg.det(u @ vt))
    extent = (a * a).sum()
    factor = sizes.sum() / extent if extent > 0 else 0.0
    return np.array(factor * a @ (u @ vt) + truth.mean(axis=0))


def one_best_turn(pose: Array, truth: Array) -> bool:
    """Whether the errors after the best similarity are determined; several best rotations leave them open."""
    a, b = pose - pose.mean(axis=0), truth - truth.mean(axis=0)
    u, sizes, vt = np.linalg.svd(a.T @ b)
    flat = min(np.linalg.svd(x, compute_uv=False)[1] for x in (a, b)) < 1e-12
    gap = sizes[1] + np.sign(np.linalg.det(u @ vt)) * sizes[2]
    return bool(flat and sizes[0] < 1e-12) or bool(gap > 1e-6 * sizes[0])


def errors_mm(pose: Array, truth: Array, joints: Sequence[int], root: int, fit: str) -> list[float]:
    if fit == "similarity":
        pose, truth = pose[list(joints)], truth[list(joints)]
        return [1000 * length(x) for x in moved(pose, truth) - truth]
    pose, truth = pose - pose[root], truth - truth[root]
    factor = 1.0
    if fit == "size":
        below = sum(float(pose[j] @ pose[j]) for j in joints)
        factor = sum(float(pose[j] @ truth[j]) for j in joints) / below if below > 0 else 0.0
    return [1000 * length(factor * pose[j] - truth[j]) for j in joints]


def kept(facts: FrameFacts, subjects: Sequence[str], cameras: Sequence[str] | None, stride: int) -> list[int]:
    assert facts.subjects and facts.cameras and facts.numbers is not None
    frames = zip(facts.subjects, facts.cameras, facts.numbers.tolist(), strict=True)
    return [
        k
        for k, (subject, camera, number) in enumerate(frames)
        if subject in subjects and (cameras is None or camera in cameras) and number % stride == 0
    ]


def on_h36m(
    joints: Sequence[int],
    fit: str = "none",
    subjects: Sequence[str] = ("S9", "S11"),
    cameras: Sequence[str] | None = None,
    stride: int = 1,
) -> Reference:
    def reference(prediction: Array, truth: Array, facts: FrameFacts) -> float:
        frames = kept(facts, subjects, cameras, stride)
        found = [e for k in frames for e in errors_mm(prediction[k], truth[k], joints, 0, fit)]
        return sum(found) / len(found)

    return reference


def flagged(flag: str, of_pose: Callable[[Array, Array], list[float]]) -> Reference:
    """The mean over joints of frames that carry a flag."""

    def reference(prediction: Array, truth: Array, facts: FrameFacts) -> float:
        frames = [k for k, good in enumerate(facts.flags[flag].tolist()) if good]
        found = [e for k in frames for e in of_pose(prediction[k], truth[k])]
        return sum(found) / len(found)

    return reference


def on_mpi(limits: Sequence[float]) -> Callable[[Array, Array], list[float]]:
    """For each scored joint the share of limits that it is nearer than, per cent."""

    def shares(pose: Array, truth: Array) -> list[float]:
        found = errors_mm(pose, truth, MPI_14, 14, "none")
        return [100 * sum(e < limit for limit in limits) / len(limits) for e in found]

    return shares


def correct_poses_score(prediction: Array, truth: Array, facts: FrameFacts) -> float:
    """The area by the trapezoid rule below the curve of right poses, over thresholds of 1 to 300 mm."""
    worst = []
    for pose, true in zip(prediction, truth, strict=True):
        apart = moved(pose, true) - true
        worst.append(max(1000 * length(apart[j]) for j in ALL_17 if j != 7))
    curve = [sum(w < limit for w in worst) / len(worst) for limit in range(1, 301)]
    return sum((low + high) / 2 for low, high in pairwise(curve))


SA3DHP_PARENTS = (0, 0, 1, 2, 3, 1, 5, 6, 1, 0, 9, 10, 11, 0, 13, 14, 15)


def with_true_lengths(pose: Array, truth: Array, parents: Sequence[int], order: Sequence[int]) -> Array:
    """Each bone of the prediction made as long as the true one, joint after joint."""
    result = pose.copy()
    for joint in order:
        bone = pose[joint] - pose[parents[joint]]
        size = length(bone)
        unit = bone / size if size > 0 else 0 * bone
        result[joint] = result[parents[joint]] + length(truth[joint] - truth[parents[joint]]) * unit
    return result


def as_sa3dhp_prints_it(prediction: Array, truth: Array, facts: FrameFacts) -> float:
    """The mean of the means of batches of 128, the last filled up with the last sample."""
    errors = []
    for k in kept(facts, ("S9", "S11"), ("60457274",), 1):
        pose = with_true_lengths(prediction[k], truth[k], SA3DHP_PARENTS, range(1, 17))
        found = [1000 * length(x) for x in moved(pose, truth[k]) - truth[k]]
        errors.append(sum(found) / 17)
    while len(errors) % 128:
        errors.append(errors[-1])
    batches = [errors[k : k + 128] for k in range(0, len(errors), 128)]
    return sum(sum(batch) / 128 for batch in batches) / len(batches)


H36M: dict[str, Reference] = {
    "h36m-videopose3d-1": on_h36m(ALL_17),
    "h36m-videopose3d-2": on_h36m(ALL_17, "similarity"),
    "h36m-videopose3d-3": on_h36m(ALL_17, "size"),
    "h36m-hmr-p1-mpjpe-14": on_h36m(H36M_TO_J14, stride=5),
    "h36m-hmr-p1-pa-mpjpe-14": on_h36m(H36M_TO_J14, "similarity", stride=5),
    "h36m-hmr-p2-mpjpe-14": on_h36m(H36M_TO_J14, cameras=("60457274",), stride=5),
    "h36m-hmr-p2-pa-mpjpe-14": on_h36m(H36M_TO_J14, "similarity", cameras=("60457274",), stride=5),
    "h36m-hmr-p1-mpjpe-17": on_h36m(ALL_17, stride=5),
    "h36m-hmr-p1-pa-mpjpe-17": on_h36m(ALL_17, "similarity", stride=5),
    "h36m-hmr-p2-mpjpe-17": on_h36m(ALL_17, cameras=("60457274",), stride=5),
    "h36m-hmr-p2-pa-mpjpe-17": on_h36m(ALL_17, "similarity", cameras=("60457274",), stride=5),
    "h36m-moon-p1-pa-mpjpe-14": on_h36m(MOON_14, "similarity", subjects=("S11",), stride=64),
    "h36m-moon-p1-pa-mpjpe-17": on_h36m(ALL_17, "similarity", subjects=("S11",), stride=64),
    "h36m-moon-p2-mpjpe-14": on_h36m(MOON_14, stride=64),
    "h36m-moon-p2-mpjpe-17": on_h36m(ALL_17, stride=64),
    "3dpw-mpjpe-14": flagged("campose_valid", lambda p, t: errors_mm(p, t, H36M_TO_J14, 0, "none")),
    "3dpw-pa-mpjpe-14": flagged("campose_valid", lambda p, t: errors_mm(p, t, H36M_TO_J14, 0, "similarity")),
}
MPI: dict[str, Reference] = {
    "3dhp-pck-150": flagged("valid_frame", on_mpi([150])),
    "3dhp-auc-150": flagged("valid_frame", on_mpi(np.linspace(0, 150, 31).tolist())),
    "3dhp-auc-200": flagged("valid_frame", on_mpi(np.arange(0, 200, 5).tolist())),
    "3dhp-mpjpe-17": flagged("valid_frame", lambda p, t: errors_mm(p, t, ALL_17, 14, "none")),
    "3dhp-pa-mpjpe-17": flagged("valid_frame", lambda p, t: errors_mm(p, t, ALL_17, 14, "similarity")),
}
H36M["cps-300"] = correct_poses_score
BODIES = {
    **dict.fromkeys(H36M, "h36m-17"),
    **dict.fromkeys(MPI, "mpi-inf-3dhp-17"),
    "sa3dhp-official": "sa3dhp-17",
}
REFERENCES = {**H36M, **MPI, "sa3dhp-official": as_sa3dhp_prints_it}
PREFIXES = ("h36m-", "3dpw-", "3dhp-", "cps-", "sa3dhp-")
ids = pytest.mark.parametrize("protocol_id", sorted(REFERENCES))


def facts_of(seed: int, count: int) -> FrameFacts:
    """Frames of all kinds in any order; the first counts by every card."""
    draw = np.random.default_rng(seed)
    numbers = draw.choice([0, 1, 5, 7, 60, 64, 128, 320], count)
    flags = {name: draw.random(count) < 0.7 for name in ("valid_frame", "campose_valid")}
    numbers[0] = 0
    for flag in flags.values():
        flag[0] = True
    return FrameFacts(
        ["S11", *draw.choice(["S1", "S9", "S11"], count - 1).tolist()],
        ["60457274", *draw.choice(["54138969", "60457274"], count - 1).tolist()],
        torch.from_numpy(numbers),
        {name: torch.from_numpy(flag) for name, flag in flags.items()},
    )


def taken(facts: FrameFacts, index: Sequence[int]) -> FrameFacts:
    """What is known of some of the frames, in that order."""
    return facts.of(torch.tensor(index, dtype=torch.int64))


def pair(body: Skeleton, seed: int, count: int) -> tuple[Tensor, Tensor]:
    """Predictions and truth in double, a step apart, neither relative to the root."""
    truth = random_poses(body, seed, count) + 0.3
    return truth + 0.4 * random_poses(body, seed + 1, count) - 0.5, truth


@attrs.frozen(eq=False)
class Case:
    """Poses with what is known of them."""

    prediction: Tensor
    truth: Tensor
    facts: FrameFacts


FLATTEN = {
    "as it is": lambda poses: poses,
    "point": lambda poses: 0 * poses,
    "line": lambda poses: poses * torch.tensor([0.0, 1.0, 0.0]),
    "plane": lambda poses: poses * torch.tensor([1.0, 1.0, 0.0]),
    "mirror": lambda poses: poses * torch.tensor([-1.0, 1.0, 1.0]),
    "huge": lambda poses: 1e4 * poses,
    "tiny": lambda poses: 1e-4 * poses,
}


@st.composite
def cases(draw: st.DrawFn, body: Skeleton, most: int = 6) -> Case:
    """Poses of any numbers, poses of a body, and bodies that are points, lines, planes, mirror images or the truth."""
    count, seed = draw(st.integers(1, most)), draw(seeds)
    facts = facts_of(seed, count)
    if draw(st.booleans()):
        numbers = arrays(np.float64, (count, len(body), 3), elements=st.floats(-2, 2, width=32))
        return Case(torch.from_numpy(draw(numbers)), torch.from_numpy(draw(numbers)), facts)
    prediction, truth = pair(body, seed, count)
    if draw(st.booleans()):
        prediction = truth.clone()
    flat = st.sampled_from(sorted(FLATTEN))
    return Case(FLATTEN[draw(flat)](prediction), FLATTEN[draw(flat)](truth), facts)


def clear(case: Case, protocol_id: str) -> bool:
    """Whether rounding cannot decide: no two best rotations, no distance at a threshold."""
    pairs = list(zip(case.prediction.numpy(), case.truth.numpy(), strict=True))
    if protocol_id == "sa3dhp-official":
        pairs = [(with_true_lengths(p, t, SA3DHP_PARENTS, range(1, 17)), t) for p, t in pairs]
    if protocol_id == "cps-300":
        worst = [1000 * length(x) for p, t in pairs for x in moved(p, t) - t]
        if any(abs(w - round(w)) < 1e-6 < w for w in worst):
            return False
    if "pa-mpjpe" in protocol_id or protocol_id in ("h36m-videopose3d-2", "cps-300", "sa3dhp-official"):
        joints = H36M_TO_J14 if "-14" in protocol_id and "moon" not in protocol_id else ALL_17
        joints = MOON_14 if "moon" in protocol_id and protocol_id.endswith("14") else joints
        return all(one_best_turn(p[list(joints)], t[list(joints)]) for p, t in pairs)
    if "pck" in protocol_id or "auc" in protocol_id:
        found = [e for p, t in pairs for e in errors_mm(p, t, MPI_14, 14, "none")]
        return all(e == 0 or abs(e - 5 * round(e / 5)) > 1e-6 for e in found)
    return True


def test_every_card_of_these_sets_has_a_reference() -> None:
    assert [card for card in card_ids("protocols") if card.startswith(PREFIXES)] == sorted(REFERENCES)


@ids
@given(data=st.data())
def test_values_equal_the_slow_reference(protocol_id: str, data: st.DataObject) -> None:
    body = skeleton(BODIES[protocol_id])
    case = data.draw(cases(body))
    assume(clear(case, protocol_id))
    got = evaluate(load_protocol(protocol_id), case.prediction, case.truth, body, case.facts)
    wanted = REFERENCES[protocol_id](case.prediction.numpy(), case.truth.numpy(), case.facts)
    assert got.value == pytest.approx(wanted, rel=NEAR, abs=NEAR)


@ids
@given(seed=seeds, count=st.integers(10, 25))
def test_values_equal_the_slow_reference_on_many_random_poses(protocol_id: str, seed: int, count: int) -> None:
    body = skeleton(BODIES[protocol_id])
    prediction, truth = pair(body, seed, count)
    facts = facts_of(seed, count)
    got = evaluate(load_protocol(protocol_id), prediction, truth, body, facts)
    assert got.value == pytest.approx(REFERENCES[protocol_id](prediction.numpy(), truth.numpy(), facts), rel=NEAR)
    if protocol_id != "cps-300":  # whose value is of whole poses
        assert got.value == pytest.approx(sum(got.per_joint.values()) / len(got.per_joint))


@ids
@given(seed=seeds, sizes=st.lists(st.integers(0, 7), min_size=1, max_size=6))
def test_batches_order_and_precision_do_not_matter(protocol_id: str, seed: int, sizes: list[int]) -> None:
    body, protocol, count = skeleton(BODIES[protocol_id]), load_protocol(protocol_id), 1 + sum(sizes)
    prediction, truth = (poses.float() for poses in pair(body, seed, count))
    facts = facts_of(seed, count)
    whole = evaluate(protocol, prediction, truth, body, facts)
    order = np.random.default_rng(seed).permutation(count).tolist()
    if protocol_id == "sa3dhp-official":  # which repeats the last sample that counts
        last = kept(facts, ("S9", "S11"), ("60457274",), 1)[-1]
        order = [*(k for k in order if k != last), last]
    accumulator, start = Accumulator(protocol, body), 0
    for size in (1, *sizes):
        part = order[start : start + size]
        accumulator.add(prediction[part], truth[part], taken(facts, part))
        start += size
    assert accumulator.result().value == pytest.approx(whole.value, rel=1e-12)
    assert accumulator.result().count == whole.count
    assert evaluate(protocol, prediction.double(), truth, body, facts).value == whole.value


def test_only_the_sample_that_sa3dhp_repeats_makes_order_matter() -> None:
    body, card = skeleton("sa3dhp-17"), load_protocol("sa3dhp-official")
    prediction, truth = pair(body, 0, 128)
    facts = FrameFacts(["S9"] * 128, ["60457274"] * 128)
    backwards = torch.arange(127, -1, -1)
    values = [evaluate(card, prediction[k], truth[k], body, facts).value for k in (slice(None), backwards)]
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    few = taken(attrs.evolve(facts, numbers=torch.arange(128)), range(3))
    some = [evaluate(card, prediction[k], truth[k], body, few).value for k in ([0, 1, 2], [2, 1, 0])]
    single = [evaluate(card, prediction[[k]], truth[[k]], body, taken(few, [0])).value for k in range(3)]
    assert some == pytest.approx(
        [(single[0] + single[1] + 126 * single[2]) / 128, (126 * single[0] + sum(single[1:])) / 128]
    )
    assert abs(some[0] - some[1]) > 1e-3
    with pytest.raises(DataError, match="no joint 'right_foot', 'left_foot'"):
        Accumulator(card, skeleton("h36m-17"))


def test_joints_may_count_in_any_order_and_be_fewer_than_those_aligned() -> None:
    body = skeleton("sa3dhp-17")
    prediction, truth = pair(body, 4, 3)
    counted, aligned = ["left_foot", "head_top"], ["right_hip", "left_foot", "neck", "head_top", "left_wrist"]
    change = {"joints": counted, "aligned_joints": aligned, "averaging": "sample", "batch_size": 0, "frames": {}}
    card = protocol_from_card(read_card("protocols", "sa3dhp-official") | change, "card.toml")
    got = evaluate(card, prediction, truth, body)
    places = [body.index(joint) for joint in aligned]
    wanted: dict[str, list[float]] = {joint: [] for joint in counted}
    for pose, true in zip(prediction.numpy(), truth.numpy(), strict=True):
        longer = with_true_lengths(pose, true, SA3DHP_PARENTS, range(1, 17))
        apart = moved(longer[places], true[places]) - true[places]
        for joint in counted:
            wanted[joint].append(1000 * length(apart[aligned.index(joint)]))
    assert got.per_joint == pytest.approx({joint: sum(found) / 3 for joint, found in wanted.items()}, rel=NEAR)


def test_the_correct_poses_score_is_of_whole_poses() -> None:
    body, truth = skeleton("h36m-17"), random_poses(skeleton("h36m-17"), 0, 2)
    got = evaluate(load_protocol("cps-300"), truth, truth, body)
    assert got.value == pytest.approx(299.0) and got.per_joint["head"] == pytest.approx(299.0)
    prediction = truth.clone()
    prediction[0, body.index("right_knee")] += 0.1
    prediction[1, body.index("left_wrist")] += 0.1
    got = evaluate(load_protocol("cps-300"), prediction, truth, body)
    assert 0 < got.value < min(got.per_joint.values()) and "spine" not in got.per_joint


def test_a_bound_is_not_nearer_than_itself() -> None:
    body, truth = skeleton("mpi-inf-3dhp-17"), torch.zeros(1, 17, 3, dtype=torch.float64)
    facts = facts_of(0, 1)
    for distance_m, nearer in ((0.15, 0.0), (math.nextafter(0.15, 0.0), 100.0)):
        prediction = truth.clone()
        prediction[:, :14, 0] = distance_m
        assert evaluate(load_protocol("3dhp-pck-150"), prediction, truth, body, facts).value == nearer
    assert evaluate(load_protocol("3dhp-auc-150"), truth, truth, body, facts).value == pytest.approx(100 * 30 / 31)
    assert evaluate(load_protocol("3dhp-auc-200"), truth, truth, body, facts).value == pytest.approx(100 * 39 / 40)


@pytest.mark.parametrize("protocol_id", sorted(MPI))
@given(seed=seeds)
def test_poses_of_the_house_are_read_by_what_joints_are_called(protocol_id: str, seed: int) -> None:
    own, house = skeleton("mpi-inf-3dhp-17"), skeleton("h36m-17")
    prediction, truth = pair(own, seed, 8)
    facts, taken_by_ports = facts_of(seed, 8), list(MPI_TO_H36M)
    wanted = evaluate(load_protocol(protocol_id), prediction, truth, own, facts).value
    got = evaluate(load_protocol(protocol_id), prediction[:, taken_by_ports], truth[:, taken_by_ports], house, facts)
    assert got.value == pytest.approx(wanted, rel=1e-12)


def test_poses_of_14_joints_are_read_too_and_lacking_joints_are_named() -> None:
    lsp, house = skeleton("lsp-14"), skeleton("h36m-17")
    prediction, truth = pair(house, 3, 8)
    facts, card = facts_of(3, 8), load_protocol("3dpw-pa-mpjpe-14")
    moving, fixed = (poses[:, list(HOUSE_TO_LSP)] for poses in (prediction, truth))
    wanted = evaluate(card, prediction, truth, house, facts).value
    assert evaluate(card, moving, fixed, lsp, facts).value == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(DataError, match="no joint 'pelvis'"):
        evaluate(load_protocol("3dpw-mpjpe-14"), moving, fixed, lsp, facts)
    with pytest.raises(DataError, match="no joint 'pelvis', 'spine', 'neck'"):
        Accumulator(load_protocol("h36m-videopose3d-1"), lsp)


CONDITIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "h36m-videopose3d-1": ("subjects", {"subjects": None}),
    "h36m-hmr-p2-pa-mpjpe-14": ("cameras", {"cameras": None}),
    "h36m-moon-p2-mpjpe-17": ("stride", {"numbers": None}),
    "3dpw-pa-mpjpe-14": ("valid", {"flags": {}}),
}


@pytest.mark.parametrize("protocol_id", sorted(CONDITIONS))
def test_a_selection_that_the_data_cannot_answer_is_refused(protocol_id: str) -> None:
    body = skeleton(BODIES[protocol_id])
    prediction, truth = pair(body, 0, 4)
    key, lacking = CONDITIONS[protocol_id]
    for facts in (None, attrs.evolve(facts_of(0, 4), **lacking)):
        with pytest.raises(DataError, match=r"frames\.(subjects|cameras|stride|valid)") as caught:
            evaluate(load_protocol(protocol_id), prediction, truth, body, facts)
    assert f"frames.{key}" in str(caught.value)
    with pytest.raises(DataError, match="differ in number"):
        evaluate(load_protocol(protocol_id), prediction, truth, body, facts_of(0, 5))


def test_a_misspelt_flag_names_the_one_there_is() -> None:
    prediction, truth = pair(skeleton("h36m-17"), 0, 2)
    facts = FrameFacts(flags={"campos_valid": torch.ones(2, dtype=torch.bool)})
    with pytest.raises(DataError, match="did you mean 'campos_valid'"):
        evaluate(load_protocol("3dpw-mpjpe-14"), prediction, truth, skeleton("h36m-17"), facts)


def test_the_example_of_the_page_runs() -> None:
    page = Path(__file__).parents[2] / "docs" / "protocols.md"
    (example,) = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    exec(compile(example, str(page), "exec"), {})


def test_no_frame_that_counts_is_no_result() -> None:
    prediction, truth = pair(skeleton("h36m-17"), 0, 2)
    facts = FrameFacts(["S1", "S5"])
    with pytest.raises(DataError, match="nothing to evaluate"):
        evaluate(load_protocol("h36m-videopose3d-1"), prediction, truth, skeleton("h36m-17"), facts)
