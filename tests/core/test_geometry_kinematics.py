"""Kinematics: forward kinematics and the local representation are exact inverses, and symmetric as they should be."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from torch import Tensor

from sa3dhp_core.conformance.strategies import HOUSE, dtypes, poses, random_poses, rotations, seeds, skeletons
from sa3dhp_core.conformance.tolerance import TOLERANCE
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import (
    act_on_poses,
    bone_directions,
    bone_lengths,
    bone_vectors,
    forward_kinematics,
    from_local_directions,
    local_directions,
    mirror_matrix,
    standard_lengths,
)
from sa3dhp_core.types import Skeleton


@given(skeletons(), seeds, dtypes)
def test_local_directions_and_lengths_hold_the_whole_pose(body: Skeleton, seed: int, dtype: torch.dtype) -> None:
    pose = random_poses(body, seed, 2, 3, dtype=dtype)
    turn, local = local_directions(pose, body)
    back = forward_kinematics(from_local_directions(turn, local, body), bone_lengths(pose, body), body)
    assert local.dtype == back.dtype == dtype
    torch.testing.assert_close(back, pose, atol=TOLERANCE[dtype], rtol=0)
    unit = local.norm(dim=-1)[..., list(body.bones)]
    torch.testing.assert_close(unit, torch.ones_like(unit), atol=TOLERANCE[dtype], rtol=0)
    identity = torch.eye(3, dtype=dtype).expand_as(turn)
    torch.testing.assert_close(turn @ turn.transpose(-1, -2), identity, atol=TOLERANCE[dtype], rtol=0)


@given(skeletons(), seeds, rotations())
def test_local_directions_ignore_where_the_body_faces(body: Skeleton, seed: int, turn: Tensor) -> None:
    pose = random_poses(body, seed, 3)
    root, local = local_directions(pose, body)
    root_turned, local_turned = local_directions(pose @ turn.T, body)
    torch.testing.assert_close(local_turned, local, atol=1e-8, rtol=0)
    torch.testing.assert_close(root_turned, turn @ root, atol=1e-8, rtol=0)


@given(skeletons(), seeds)
def test_a_mirror_negates_local_x_of_exchanged_joints(body: Skeleton, seed: int) -> None:
    pose = random_poses(body, seed, 3)
    _, local = local_directions(pose, body)
    _, mirrored = local_directions(act_on_poses(mirror_matrix(), pose, body), body)
    wanted = local[..., list(body.mirror), :] * local.new_tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(mirrored, wanted, atol=1e-8, rtol=0)


@given(poses())
def test_forward_kinematics_equals_walking_down_the_tree(body: Tensor) -> None:
    directions, lengths = bone_directions(body, HOUSE), standard_lengths(HOUSE, body)
    got = forward_kinematics(directions, lengths, HOUSE)
    placed = {HOUSE.root: torch.zeros(len(body), 3, dtype=body.dtype)}
    for joint in (HOUSE.joints[j] for j in HOUSE.bones):
        j = HOUSE.index(joint)
        placed[joint] = placed[HOUSE.parents[joint]] + directions[:, j] * lengths[j]
        torch.testing.assert_close(got[:, j], placed[joint])
    torch.testing.assert_close(bone_lengths(got, HOUSE), lengths.expand(len(body), -1))


def test_bones_of_a_known_pose() -> None:
    pose = torch.zeros(17, 3)
    pose[HOUSE.index("left_knee")] = torch.tensor([0.0, 3.0, 4.0])
    vectors = bone_vectors(pose, HOUSE)
    assert vectors[HOUSE.index("left_knee")].tolist() == [0.0, 3.0, 4.0]
    assert vectors[HOUSE.index("left_ankle")].tolist() == [0.0, -3.0, -4.0]
    assert bone_lengths(pose, HOUSE)[HOUSE.index("left_ankle")] == 5.0
    assert bone_lengths(pose, HOUSE).sum() == 10.0


def test_a_body_with_its_arms_to_the_sides_is_at_rest() -> None:
    """Upright in the camera frame (y down) and facing it: its left is the image's right, x."""
    sides = {"left": torch.tensor([1.0, 0.0, 0.0]), "right": torch.tensor([-1.0, 0.0, 0.0])}
    directions = torch.zeros(17, 3)
    for joint in HOUSE.joints:
        side = next((s for s in sides if joint.startswith(s)), None)
        leg = joint.endswith(("knee", "ankle"))
        up_down = torch.tensor([0.0, 1.0 if leg else -1.0, 0.0])
        directions[HOUSE.index(joint)] = up_down if side is None or leg else sides[side]
    pose = forward_kinematics(directions, standard_lengths(HOUSE), HOUSE)
    turn, local = local_directions(pose, HOUSE)
    assert turn.tolist() == [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]
    torch.testing.assert_close(local[HOUSE.index("left_ankle")], torch.tensor([0.0, -1.0, 0.0]))
    torch.testing.assert_close(local[HOUSE.index("right_wrist")], torch.tensor([-1.0, 0.0, 0.0]))


def test_gradients_are_finite_even_for_a_body_of_no_size() -> None:
    for pose in (torch.zeros(1, 17, 3, requires_grad=True), random_poses(HOUSE, 0, 1).requires_grad_()):
        turn, local = local_directions(pose, HOUSE)
        back = forward_kinematics(from_local_directions(turn, local, HOUSE), bone_lengths(pose, HOUSE), HOUSE)
        (back * torch.arange(51).view(17, 3)).sum().backward()
        assert pose.grad is not None and torch.isfinite(pose.grad).all()


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(DataError, match="lengths do not fit"):
        forward_kinematics(torch.zeros(17, 3), torch.zeros(16), HOUSE)
    lone = Skeleton("lone", ("a", "b"), {"a": "a", "b": "a"}, (), "a", {"b": 1.0}, {})
    with pytest.raises(DataError, match="no root frame"):
        local_directions(torch.zeros(2, 3), lone)
