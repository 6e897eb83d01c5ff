"""O(3) acts on poses, keypoints and cameras as one group, and the actions agree."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from torch import Tensor

from sa3dhp_core.conformance.strategies import (
    HOUSE,
    dtypes,
    orthogonal,
    poses,
    random_poses,
    rotations,
    seeds,
    skeletons,
)
from sa3dhp_core.conformance.tolerance import TOLERANCE
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import (
    act_on_cameras,
    act_on_keypoints,
    act_on_poses,
    handedness,
    mirror_matrix,
    project,
    rotation_x,
    rotation_y,
    rotation_z,
)
from sa3dhp_core.types import Skeleton

DOUBLE = TOLERANCE[torch.float64]
CAMERA = torch.tensor([[60.0, 0.0, 24.0], [0.0, 60.0, 24.0], [0.0, 0.0, 1.0]], dtype=torch.float64)


@given(orthogonal(), orthogonal(), poses())
def test_poses_obey_the_group_law(first: Tensor, second: Tensor, body: Tensor) -> None:
    at_once = act_on_poses(first @ second, body, HOUSE)
    torch.testing.assert_close(
        act_on_poses(first, act_on_poses(second, body, HOUSE), HOUSE), at_once, atol=DOUBLE, rtol=0
    )
    torch.testing.assert_close(act_on_poses((first @ second).T, at_once, HOUSE), body, atol=DOUBLE, rtol=0)


@given(skeletons(), seeds, dtypes)
def test_mirror_negates_x_and_exchanges_names(body: Skeleton, seed: int, dtype: torch.dtype) -> None:
    pose = random_poses(body, seed, dtype=dtype)
    mirrored = act_on_poses(mirror_matrix(), pose, body)
    assert mirrored.dtype == dtype
    other = {a: b for left, right in body.pairs for a, b in ((left, right), (right, left))}
    for j, joint in enumerate(body.joints):
        source = body.index(other.get(joint, joint))
        assert mirrored[j].tolist() == [-pose[source, 0].item(), *pose[source, 1:].tolist()]


def test_a_matrix_per_clip_acts_on_all_its_frames_even_when_sizes_coincide() -> None:
    body = random_poses(HOUSE, 3, 4, 4)
    matrix = torch.stack(
        [mirror_matrix(dtype=torch.float64) @ rotation_z(torch.tensor(0.3 * k, dtype=torch.float64)) for k in range(4)]
    )
    got = act_on_poses(matrix, body, HOUSE)
    for clip in range(4):
        for frame in range(4):
            torch.testing.assert_close(got[clip, frame], act_on_poses(matrix[clip], body[clip, frame], HOUSE))


class Mirrored(torch.nn.Module):
    """The mirror's action on any number of poses."""

    def forward(self, body: Tensor) -> Tensor:
        """``(B, J, 3)`` to the same."""
        return act_on_poses(mirror_matrix(), body, HOUSE)


def test_the_action_can_be_traced_for_any_number_of_poses() -> None:
    traced = torch.export.export(
        Mirrored(), (random_poses(HOUSE, 0, 3),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    ).module()
    for count in (1, 7):
        body = random_poses(HOUSE, 1, count)
        assert torch.equal(traced(body), Mirrored()(body))


def test_one_pose_under_many_elements() -> None:
    matrix = torch.stack([torch.eye(3), mirror_matrix()])
    got = act_on_poses(matrix, random_poses(HOUSE, 0, dtype=torch.float32), HOUSE)
    assert got.shape == (2, 17, 3)


@given(orthogonal(0.4), poses(), seeds)
def test_projection_commutes(matrix: Tensor, body: Tensor, seed: int) -> None:
    place = torch.tensor([0.2, -0.1, 5.0]) + 0.2 * torch.rand(3, generator=torch.Generator().manual_seed(seed))
    absolute = body + place.double()
    acted = project(act_on_poses(matrix, absolute, HOUSE), CAMERA)
    torch.testing.assert_close(
        act_on_keypoints(matrix, project(absolute, CAMERA), CAMERA, HOUSE), acted, atol=1e-8, rtol=0
    )


@given(orthogonal(0.4), rotations(), poses())
def test_the_moved_crop_is_the_photograph_of_a_turned_camera(matrix: Tensor, view: Tensor, body: Tensor) -> None:
    """The world stays, the camera turns: the same pixels, and no joint changes its name."""
    place = view.T @ torch.tensor([0.2, -0.1, 5.0], dtype=torch.float64)
    turned, camera = act_on_cameras(matrix, view, CAMERA)
    assert handedness(turned).item() == pytest.approx(1)
    world = body + place
    expected = act_on_keypoints(matrix, project(world @ view.T, CAMERA), CAMERA, HOUSE)
    if handedness(matrix) < 0:
        expected = expected[..., list(HOUSE.mirror), :]
    torch.testing.assert_close(project(world @ turned.T, camera), expected, atol=1e-8, rtol=0)
    assert torch.equal(camera, CAMERA) == (handedness(matrix).item() > 0)


def test_cameras_of_a_clip_take_one_element_each() -> None:
    matrix = torch.stack([mirror_matrix(), rotation_z(0.5)])
    turned, camera = act_on_cameras(matrix, torch.eye(3).expand(2, 4, 3, 3), CAMERA.float())
    assert turned.shape == camera.shape == (2, 4, 3, 3)
    torch.testing.assert_close(turned[1], matrix[1].expand(4, 3, 3))
    torch.testing.assert_close(turned[0], torch.eye(3).expand(4, 3, 3))


@given(orthogonal())
def test_handedness_is_the_determinant(matrix: Tensor) -> None:
    assert handedness(matrix).item() == pytest.approx(torch.linalg.det(matrix).item(), abs=DOUBLE)


@pytest.mark.parametrize(("turn", "first", "second"), [(rotation_x, 1, 2), (rotation_y, 2, 0), (rotation_z, 0, 1)])
def test_rotations_turn_the_right_way(turn: Callable[[Tensor | float], Tensor], first: int, second: int) -> None:
    moved = turn(torch.tensor([math.pi / 2], dtype=torch.float64)) @ torch.eye(3).double()[first]
    torch.testing.assert_close(moved[0], torch.eye(3).double()[second], atol=DOUBLE, rtol=0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: act_on_poses(torch.eye(2), torch.zeros(17, 3), HOUSE), "(2, 2)"),
        (lambda: act_on_poses(torch.eye(3), torch.zeros(16, 3), HOUSE), "(..., 17, 3)"),
        (lambda: act_on_poses(torch.eye(3).expand(4, 3, 3), torch.zeros(3, 5, 17, 3), HOUSE), "(4,) and (3, 5)"),
        (lambda: act_on_keypoints(torch.eye(3), torch.zeros(17, 3), CAMERA, HOUSE), "(..., 17, 2)"),
        (lambda: act_on_cameras(torch.eye(3), torch.eye(3)[:2], CAMERA), "(2, 3)"),
    ],
)
def test_what_does_not_fit_is_named(call: Callable[[], Tensor], words: str) -> None:
    with pytest.raises(DataError) as caught:
        call()
    assert words in str(caught.value)
