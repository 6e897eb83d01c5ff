"""O(3) acts on crops and on their part labels as it does on what they show."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.cards import part_labels
from sa3dhp_core.conformance.strategies import orthogonal, seeds
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import act_on_images, act_on_parts, mirror_matrix, rays, rotation_x, rotation_z

LABELS = part_labels()
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


def labelled(seed: int, *shape: int) -> Tensor:
    """Random part labels."""
    return torch.randint(len(LABELS), shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@given(seeds, st.integers(3, 12), st.integers(3, 12))
def test_mirrored_labels_are_flipped_and_change_sides(seed: int, height: int, width: int) -> None:
    parts = labelled(seed, 2, height, width)
    moved = act_on_parts(mirror_matrix(), parts, LABELS)
    assert moved.dtype == parts.dtype
    for before, after in zip(parts.flip(-1).flatten().tolist(), moved.flatten().tolist(), strict=True):
        name = LABELS.names[before].replace("left", "*").replace("right", "left").replace("*", "right")
        assert LABELS.names[after] == name
    assert torch.equal(act_on_parts(mirror_matrix(), moved, LABELS), parts)


@given(seeds, st.integers(3, 12), st.sampled_from([1, 2, 3]))
def test_labels_of_a_quarter_turn_are_rot90(seed: int, size: int, quarters: int) -> None:
    parts = labelled(seed, 2, 3, size, size)
    moved = act_on_parts(rotation_z(quarters * math.pi / 2), parts, LABELS)
    assert torch.equal(moved, parts.rot90(-quarters, (-2, -1)))


@given(orthogonal(0.2))
def test_labels_of_a_moved_crop_are_those_of_the_moved_picture(matrix: Tensor) -> None:
    """A picture of 0 and 1, moved bilinearly and cut at one half, is where the label went."""
    shown = (photograph(torch.eye(3).double(), CAMERA, 48, 48)[:1] > 0.5).double()
    label = LABELS.names.index("left_thigh")
    parts = (shown[0] * label).long()
    where = act_on_images(matrix, shown, CAMERA, "black")[0]
    sure = (where - 0.5).abs() > 0.3
    moved = act_on_parts(matrix, parts, LABELS, CAMERA)
    seen = LABELS.mirror[label] if torch.linalg.det(matrix) < 0 else label
    assert set(moved.unique().tolist()) == {0, seen}
    assert sure.double().mean() > 0.8 and torch.equal((moved == seen)[sure], (where > 0.5)[sure])


def test_a_mixed_batch_of_labels_takes_each_clip_by_its_own_element() -> None:
    parts = labelled(0, 2, 3, 16, 16)
    matrix = torch.stack([mirror_matrix(), rotation_z(0.7)])
    moved = act_on_parts(matrix, parts, LABELS)
    assert torch.equal(moved[0], act_on_parts(mirror_matrix(), parts[0], LABELS))
    assert torch.equal(moved[1], act_on_parts(matrix[1], parts[1], LABELS))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: act_on_images(rotation_x(0.1), torch.zeros(3, 8, 8)), "intrinsics"),
        (lambda: act_on_images(torch.eye(3), torch.zeros(8, 8)), "(8, 8)"),
        (lambda: act_on_images(torch.eye(3), torch.zeros(3, 8, 8), padding="white"), "border"),  # type: ignore[arg-type]
        (lambda: act_on_parts(rotation_x(0.1), torch.zeros(8, 8, dtype=torch.uint8), LABELS), "intrinsics"),
        (lambda: act_on_parts(torch.eye(3), torch.zeros(8, dtype=torch.uint8), LABELS), "(8,)"),
        (lambda: act_on_parts(torch.eye(3), torch.full((8, 8), 11), LABELS), "up to 11"),
        (lambda: act_on_parts(torch.eye(3), torch.zeros(8, 8), LABELS), "whole numbers"),
    ],
)
def test_what_does_not_fit_is_named(call: Callable[[], Tensor], words: str) -> None:
    with pytest.raises(DataError) as caught:
        call()
    assert words in str(caught.value)
