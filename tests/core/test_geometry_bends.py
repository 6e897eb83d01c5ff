"""Bends are what a goniometer reads, whichever way a body is turned, and real motion keeps the card's limits."""

from __future__ import annotations

import math
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.strategies import orthogonal, poses
from sa3dhp_core.geometry import act_on_poses, bends_deg, bone_vectors, within_limits

BODY = skeleton()
MOCAP = Path(__file__).resolve().parents[3] / "shared" / "data" / "mocap"
few = settings(max_examples=10, deadline=None)


def bent_knee(degrees: float) -> torch.Tensor:
    """A pose without any length but that of the right leg, whose knee bends backward."""
    pose = torch.zeros(len(BODY), 3, dtype=torch.float64)
    knee, ankle = BODY.index("right_knee"), BODY.index("right_ankle")
    pose[knee] = torch.tensor([0.0, 0.4, 0.0])
    angle = math.radians(degrees)
    pose[ankle] = pose[knee] + 0.4 * torch.tensor([0.0, math.cos(angle), math.sin(angle)], dtype=torch.float64)
    return pose


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 179.0])
def test_a_bend_is_the_angle_of_two_bones(degrees: float) -> None:
    assert float(bends_deg(bent_knee(degrees), BODY)[BODY.index("right_ankle")]) == pytest.approx(degrees, abs=1e-6)


@few
@given(poses(), orthogonal())
def test_bends_are_the_slow_ones_and_stay_when_the_body_is_moved(drawn: torch.Tensor, matrix: torch.Tensor) -> None:
    bends, bones = bends_deg(drawn, BODY), bone_vectors(drawn, BODY)
    for joint, name in enumerate(BODY.joints):
        parent = BODY.parent_indices[joint]
        if BODY.root in (name, BODY.joints[parent]):
            assert bool(bends[:, joint].isnan().all())
            continue
        cosine = torch.nn.functional.cosine_similarity(bones[:, joint], bones[:, parent], dim=-1)
        torch.testing.assert_close(bends[:, joint], torch.rad2deg(torch.acos(cosine.clamp(-1, 1))), atol=1e-4, rtol=0)
    moved = bends_deg(act_on_poses(matrix, drawn, BODY), BODY)
    expected = bends if torch.linalg.det(matrix) > 0 else bends[:, list(BODY.mirror)]
    torch.testing.assert_close(moved, expected, atol=1e-6, rtol=0, equal_nan=True)


def test_a_joint_beyond_its_limits_is_seen_and_one_without_limits_may_do_what_it_likes() -> None:
    only = attrs.evolve(BODY, bend_limits_deg={"right_ankle": (10.0, 150.0)})
    turned = torch.stack([bent_knee(degrees) for degrees in (5.0, 20.0, 140.0, 170.0)])
    assert within_limits(turned, only).tolist() == [False, True, True, False]
    assert bool(within_limits(turned, attrs.evolve(BODY, bend_limits_deg={})).all())


def test_the_cards_limits_are_ranges_of_joints_that_have_a_bone_before_theirs_alike_on_both_sides() -> None:
    limits = BODY.bend_limits_deg
    assert set(limits) == {joint for joint in BODY.joints if BODY.root not in (joint, BODY.parents[joint])}
    assert all(0 <= least < greatest <= 180 for least, greatest in limits.values())
    assert all(limits[left] == limits[right] for left, right in BODY.pairs if left in limits)


@pytest.mark.parametrize("name", ["bandai_namco_1", "bandai_namco_2_part"])
def test_real_motion_keeps_the_cards_limits(name: str) -> None:
    if not (MOCAP / f"{name}.npz").is_file():
        pytest.skip(f"no motion capture at {MOCAP}")
    with np.load(MOCAP / f"{name}.npz") as file:
        positions = torch.from_numpy(file["positions"])
    assert float(within_limits(positions, BODY).double().mean()) > 0.999
