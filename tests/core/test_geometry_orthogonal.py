"""O(3) acts on poses, keypoints and crops as one group, and the three actions agree."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.conformance.strategies import HOUSE, dtypes, orthogonal, poses, random_poses, seeds, skeletons
from sa3dhp_core.conformance.tolerance import TOLERANCE
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import (
    act_on_images,
    act_on_keypoints,
    act_on_poses,
    handedness,
    mirror_matrix,
    project,
    rays,
    rotation_x,
    rotation_y,
    rotation_z,
)
from sa3dhp_core.types import Skeleton

DOUBLE = TOLERANCE[torch.float64]
CAMERA = torch.tensor([[60.0, 0.0, 24.0], [0.0, 60.0, 24.0], [0.0, 0.0, 1.0]], dtype=torch.float64)


def scene(directions: Tensor) -> Tensor:
    """A smooth picture on the sphere: ``(..., 3)`` directions to ``(3, ...)`` values in [0, 1]."""
    x, y, z = torch.nn.functional.normalize(directions, dim=-1).unbind(-1)
    return 0.5 + 0.4 * torch.stack([(5 * x + 2 * y).sin(), (4 * y - 3 * x * z).cos(), (6 * x * y + 2 * x).sin()])


def photograph(turn: Tensor, camera: Tensor, height: int, width: int) -> Tensor:
    """What a camera sees of the scene transformed by `turn`, ``(3, H, W)``."""
    rows, columns = torch.meshgrid(
        torch.arange(height, dtype=torch.float64) + 0.5, torch.arange(width, dtype=torch.float64) + 0.5, indexing="ij"
    )
    return scene(rays(torch.stack([columns, rows], dim=-1), camera) @ turn)


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


@given(orthogonal())
def test_handedness_is_the_determinant(matrix: Tensor) -> None:
    assert handedness(matrix).item() == pytest.approx(torch.linalg.det(matrix).item(), abs=DOUBLE)


@pytest.mark.parametrize(("turn", "first", "second"), [(rotation_x, 1, 2), (rotation_y, 2, 0), (rotation_z, 0, 1)])
def test_rotations_turn_the_right_way(turn: Callable[[Tensor | float], Tensor], first: int, second: int) -> None:
    moved = turn(torch.tensor([math.pi / 2], dtype=torch.float64)) @ torch.eye(3).double()[first]
    torch.testing.assert_close(moved[0], torch.eye(3).double()[second], atol=DOUBLE, rtol=0)


@given(seeds, st.integers(3, 12), st.integers(3, 12), st.booleans())
def test_mirror_is_a_flip_to_the_last_bit(seed: int, height: int, width: int, with_camera: bool) -> None:
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed))
    camera = torch.tensor([[50.0, 0, width / 2], [0, 50.0, height / 2], [0, 0, 1]]) if with_camera else None
    assert torch.equal(act_on_images(mirror_matrix(), images, camera), images.flip(-1))


@given(seeds, st.integers(3, 12), st.sampled_from([1, 2, 3]))
def test_a_quarter_turn_is_rot90(seed: int, size: int, quarters: int) -> None:
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(seed))
    turned = act_on_images(rotation_z(quarters * math.pi / 2), images)
    torch.testing.assert_close(turned, images.rot90(-quarters, (-2, -1)), atol=2e-5, rtol=0)


def test_a_mixed_batch_takes_each_item_by_its_own_element() -> None:
    images = torch.rand(2, 3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    matrix = torch.stack([mirror_matrix(), rotation_z(0.7)])
    got = act_on_images(matrix, images)
    torch.testing.assert_close(got[0], images[0].flip(-1), atol=2e-6, rtol=0)
    torch.testing.assert_close(got[1], act_on_images(matrix[1], images[1]), atol=2e-6, rtol=0)


@given(orthogonal(0.2))
def test_a_transformed_crop_is_the_photograph_of_the_transformed_scene(matrix: Tensor) -> None:
    before = photograph(torch.eye(3).double(), CAMERA, 48, 48)
    after = photograph(matrix, CAMERA, 48, 48)
    acted = act_on_images(matrix, before, CAMERA)
    inside = act_on_images(matrix, torch.ones_like(before), CAMERA, "black") > 0.999
    assert inside.float().mean() > 0.2
    assert (acted - after)[inside].abs().max() < 5e-3


def test_outside_is_what_was_asked_for() -> None:
    white = torch.ones(3, 8, 8)
    corner = {
        p: act_on_images(rotation_z(math.pi / 4), white, padding=p)[0, 0, 0].item() for p in ("border", "grey", "black")
    }
    assert corner == pytest.approx({"border": 1.0, "grey": 0.5, "black": 0.0})


def test_gradients_reach_image_and_matrix() -> None:
    image = torch.rand(1, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    angle = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: act_on_images(rotation_z(a), b), (angle, image))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: act_on_poses(torch.eye(2), torch.zeros(17, 3), HOUSE), "(2, 2)"),
        (lambda: act_on_poses(torch.eye(3), torch.zeros(16, 3), HOUSE), "(..., 17, 3)"),
        (lambda: act_on_poses(torch.eye(3).expand(4, 3, 3), torch.zeros(3, 5, 17, 3), HOUSE), "(4,) and (3, 5)"),
        (lambda: act_on_keypoints(torch.eye(3), torch.zeros(17, 3), CAMERA, HOUSE), "(..., 17, 2)"),
        (lambda: act_on_images(rotation_x(0.1), torch.zeros(3, 8, 8)), "intrinsics"),
        (lambda: act_on_images(torch.eye(3), torch.zeros(8, 8)), "(8, 8)"),
        (lambda: act_on_images(torch.eye(3), torch.zeros(3, 8, 8), padding="white"), "border"),  # type: ignore[arg-type]
    ],
)
def test_what_does_not_fit_is_named(call: Callable[[], Tensor], words: str) -> None:
    with pytest.raises(DataError) as caught:
        call()
    assert words in str(caught.value)
