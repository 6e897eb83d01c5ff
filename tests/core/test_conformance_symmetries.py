"""The figures of symmetries: zero where a lifter is exact, the distance where one is known to err, the size its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.strategies import random_poses
from sa3dhp_core.conformance.symmetries import shape_error_mm, turn_error_mm
from sa3dhp_core.geometry import bone_lengths, rotation_y, standard_lengths
from tests.broken.lifter import Flat, Pole

BODY = skeleton()
AWAY_M = torch.tensor([0.0, 0.0, 4.5])
POSES = random_poses(BODY, 0, 6, dtype=torch.float32)


def seen(poses: Tensor) -> Tensor:
    placed = poses + AWAY_M
    return placed[..., :2] / placed[..., 2:]


def turns() -> torch.Generator:
    return torch.Generator().manual_seed(3)


class Knowing:
    """Knows the true poses, and how each is turned about the vertical; the first `lost` of these are told as points."""

    def __init__(self, size: float = 1.0, lost: int = 0) -> None:
        self.size, self.lost = size, lost

    def __call__(self, keypoints: Tensor) -> Tensor:
        if len(keypoints) == len(POSES):
            return self.size * POSES
        angles = 2 * torch.pi * torch.rand(4, len(POSES), generator=turns())
        told = (POSES @ rotation_y(angles).mT).flatten(0, 1).clone()
        told[: self.lost] = 0.0
        return 3.0 * self.size * told


@pytest.mark.parametrize("size", [0.2, 1.0, 7.0])
def test_a_lifter_that_knows_errs_by_nothing_at_any_size(size: float) -> None:
    assert turn_error_mm(Knowing(size), seen(POSES), BODY, turns()) < 0.01


def test_a_pose_that_is_told_as_a_point_errs_by_its_joints_distance_at_the_cards_size() -> None:
    found = turn_error_mm(Knowing(lost=1), seen(POSES), BODY, turns())
    size = standard_lengths(BODY).sum() / bone_lengths(POSES[0], BODY).sum()
    assert found == pytest.approx(1000 * float(size * POSES[0].norm(dim=-1).mean()) / (4 * len(POSES)), rel=1e-3)


def test_flat_poses_err_and_upright_poles_do_not() -> None:
    assert (
        turn_error_mm(Flat(), seen(POSES), BODY, turns())
        > 50
        > 0.05
        > turn_error_mm(Pole(), seen(POSES), BODY, turns())
    )


def test_joints_that_were_not_seen_do_not_count_in_the_distance() -> None:
    points = seen(POSES)
    points[:, BODY.index("left_wrist")] = torch.nan
    assert turn_error_mm(Knowing(), points, BODY, turns()) < 0.01


def test_shapes_that_stay_err_by_nothing_and_what_is_seen_is_no_shape() -> None:
    shape = POSES[:1]
    stays = shape_error_mm(lambda points: shape.expand(len(points), -1, -1), Knowing(), seen(POSES), BODY, turns())
    flat = Flat()
    assert stays < 0.01 and shape_error_mm(flat, Knowing(), seen(POSES), BODY, turns()) > 50
