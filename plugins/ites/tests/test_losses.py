"""Losses: zero for lifters that keep the symmetry, above zero for others, blind to joints that were not seen."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.strategies import random_poses, seeds
from sa3dhp_core.errors import DataError
from sa3dhp_ites.heads import Lifted, at_depth
from sa3dhp_ites.losses import (
    any_rotations,
    bone_error,
    depth_distance,
    equivariance,
    invariance,
    relative_lengths,
    reprojection,
    spread,
    vertical_rotations,
)
from sa3dhp_ites.units import project

BODY = skeleton()
ROOT = BODY.index(BODY.root)


def poses(count: int, seed: int) -> Tensor:
    """``(count, J, 3)`` in units, root at the origin."""
    return random_poses(BODY, seed, count) / 0.7


class Knowing:
    """Knows the shapes and the rotations, so that it lifts what it is shown rightly."""

    def __init__(self, shapes: Tensor, turned: Tensor) -> None:
        self.shapes, self.turned = shapes, turned

    def __call__(self, points: Tensor) -> Lifted:
        assert torch.allclose(points, project(self.turned), atol=1e-6)
        return Lifted(self.turned, self.turned, self.shapes.repeat(len(points) // len(self.shapes), 1, 1))


@given(seeds)
def test_cycles_are_zero_for_who_keeps_the_symmetry(seed: int) -> None:
    shapes, generator = poses(5, seed), torch.Generator().manual_seed(seed)
    turns = any_rotations((3, 5), generator, shapes)
    knowing = Knowing(shapes, (shapes @ turns.mT).flatten(0, 1))
    for aligned in (False, True):
        assert float(invariance(knowing, shapes, turns, ROOT, aligned)) < 1e-6
    assert float(equivariance(knowing, knowing.turned, ROOT)) < 1e-6


def test_cycles_are_above_zero_for_who_does_not() -> None:
    shapes, generator = poses(5, 0), torch.Generator().manual_seed(0)
    turns = any_rotations((3, 5), generator, shapes)

    def flat(points: Tensor) -> Lifted:
        return Lifted(at_depth(points, torch.zeros_like(points[..., :1])), canonical=shapes[:1].expand(15, -1, -1))

    assert float(invariance(flat, shapes, turns, ROOT, True)) > 0.1
    assert float(equivariance(flat, (shapes @ turns.mT).flatten(0, 1), ROOT)) > 0.1


def test_aligned_shapes_may_stand_anywhere() -> None:
    shapes = poses(4, 3)
    turns = any_rotations((2, 4), torch.Generator(), shapes)
    knowing = Knowing(shapes, (shapes @ turns.mT).flatten(0, 1))
    assert float(invariance(knowing, shapes + 0.3, turns, ROOT, True)) < 1e-6
    moved = lambda points: Lifted(points, canonical=knowing.shapes.repeat(2, 1, 1) + 0.3)  # noqa: E731
    assert float(invariance(moved, shapes, turns, ROOT, False)) > 0.3


def test_reprojection_counts_seen_joints_alone() -> None:
    points, pose = torch.zeros(2, len(BODY), 2), torch.zeros(2, len(BODY), 3)
    pose[0, 3] = torch.tensor([5.0, 0.0, 0.0])
    seen = torch.ones(2, len(BODY), dtype=torch.bool)
    one = float(reprojection(Lifted(pose, pose), points, seen))
    assert abs(one - 1 / (2 * len(BODY))) < 1e-6
    seen[0, 3] = False
    assert float(reprojection(Lifted(pose, pose), points, seen)) == 0
    assert float(reprojection(Lifted(pose, pose), points, torch.zeros_like(seen))) == 0


def test_the_spread_is_zero_for_one_shape_wherever_it_stands() -> None:
    shapes = poses(1, 2) + torch.randn(6, 1, 3)
    assert float(spread(shapes, ROOT)) < 1e-6
    shapes[:3, 5, 0] += 2.0
    assert float(spread(shapes, ROOT)) == pytest.approx(1.0 / len(BODY), rel=1e-5)


def test_depths_are_compared_relative_to_the_root() -> None:
    pose = poses(3, 1)
    assert float(depth_distance(pose + torch.tensor([1.0, 2.0, 3.0]), pose, ROOT)) < 1e-6
    deeper = pose * torch.tensor([1.0, 1.0, 2.0])
    assert torch.isclose(depth_distance(deeper, pose, ROOT), pose[..., 2].abs().mean())


@given(st.integers(0, 100))
def test_rotations_are_rotations_and_repeat(seed: int) -> None:
    for draw in (any_rotations, vertical_rotations):
        first, second = (draw((2, 3), torch.Generator().manual_seed(seed), torch.zeros(())) for _ in range(2))
        assert torch.equal(first, second) and first.shape == (2, 3, 3, 3)
        assert torch.allclose(first @ first.mT, torch.eye(3).expand(2, 3, 3, 3), atol=1e-5)
        assert torch.allclose(torch.linalg.det(first), torch.ones(2, 3), atol=1e-5)
    assert torch.equal(first[..., 1, :], torch.tensor([0.0, 1.0, 0.0]).expand(2, 3, 3))


def test_rotations_are_uniform() -> None:
    """Of a uniform rotation each entry has mean 0 and mean square 1/3, and the angle's cosine the mean -1/2."""
    turns = any_rotations((20000,), torch.Generator().manual_seed(0), torch.zeros(()))
    assert float(turns.mean(dim=0).abs().max()) < 0.02
    assert float(((turns**2).mean(dim=0) - 1 / 3).abs().max()) < 0.02
    cosine = (turns.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    assert abs(float(cosine.mean()) + 0.5) < 0.02
    degenerate = any_rotations((20000,), torch.Generator().manual_seed(0), torch.zeros(()))[:, 0]
    angle = torch.atan2(degenerate[:, 1], degenerate[:, 0])
    assert torch.histc(angle, 8, -torch.pi, torch.pi).std() < 100


def test_projection_keeps_who_comes_too_near_finite() -> None:
    near = torch.tensor([[1.0, 0.0, -5.0], [1.0, 0.0, -9.0], [1.0, 0.0, 0.0]])
    assert torch.equal(project(near)[:, 0], torch.tensor([1.0, 1.0, 0.2]))


@given(seeds, st.floats(-0.5, 0.5))
def test_a_tilted_vertical_is_what_a_turn_about_it_leaves(seed: int, tilt: float) -> None:
    like = torch.zeros((), dtype=torch.float64)
    angle = torch.tensor(tilt, dtype=torch.float64)
    turns = vertical_rotations((7,), torch.Generator().manual_seed(seed), like, angle)
    down = torch.stack([torch.zeros_like(angle), angle.cos(), angle.sin()])
    assert torch.allclose(turns @ down, down.expand(7, 3), atol=1e-9)
    plain = vertical_rotations((7,), torch.Generator().manual_seed(seed), like)
    level = vertical_rotations((7,), torch.Generator().manual_seed(seed), like, torch.zeros_like(angle))
    assert torch.allclose(plain, level) and torch.allclose(
        plain.diagonal(dim1=1, dim2=2).sum(1), turns.diagonal(dim1=1, dim2=2).sum(1)
    )


def longer(pose: Tensor, end: str) -> Tensor:
    """The poses with one bone twice as long, all that hangs on it moved along."""
    joint = BODY.index(end)
    bone = pose[:, [joint]] - pose[:, [BODY.parent_indices[joint]]]
    moved = [k for k in range(len(BODY)) if joint in (k, *BODY_ANCESTORS[k])]
    pose = pose.clone()
    pose[:, moved] += bone
    return pose


def ancestors(joint: int) -> tuple[int, ...]:
    """All joints between a joint and the root."""
    above = BODY.parent_indices[joint]
    return () if joint == ROOT else (above, *ancestors(above))


BODY_ANCESTORS = {joint: ancestors(joint) for joint in range(len(BODY))}


@given(seeds, st.floats(0.3, 3))
def test_bones_of_the_right_proportions_have_no_error_at_any_size(seed: int, size: float) -> None:
    pose = poses(1, seed)
    pose = pose @ any_rotations((4,), torch.Generator().manual_seed(seed), pose).mT
    own = (pose[:1] - pose[:1, list(BODY.parent_indices)]).norm(dim=-1)[0]
    lengths, seen = own / own[list(BODY.bones)].mean(), torch.ones(4, len(BODY), dtype=torch.bool)
    assert float(bone_error(size * pose, lengths, seen, BODY)) < 1e-8
    wrong = longer(pose, "left_wrist")
    assert float(bone_error(wrong, lengths, seen, BODY)) > 1e-3
    hidden = seen.clone()
    hidden[:, BODY.index("left_wrist")] = False
    assert float(bone_error(wrong, lengths, hidden, BODY)) < 1e-8
    assert float(bone_error(wrong, lengths, torch.zeros_like(seen), BODY)) == 0


def test_lengths_are_those_of_bones_that_lie_across_the_line_of_sight() -> None:
    """A body of known bones, turned anyhow and seen from far away, shows its proportions."""
    pose = poses(1, 0)
    turns = any_rotations((4000,), torch.Generator().manual_seed(0), pose)
    points = (pose @ turns.mT)[..., :2]
    own = (pose - pose[:, list(BODY.parent_indices)]).norm(dim=-1)[0]
    own = (own + own[list(BODY.mirror)]) / 2
    found = relative_lengths(points, BODY)
    assert torch.allclose(found, own / own[list(BODY.bones)].mean(), atol=0.02)
    points[::2, 5] = torch.nan
    assert torch.allclose(relative_lengths(points, BODY), found, atol=0.02)
    points[:, 5] = torch.nan
    with pytest.raises(DataError, match="no frame shows both ends"):
        relative_lengths(points, BODY)
