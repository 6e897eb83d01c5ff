"""Anchor and partner of clips, poses, keypoints, part labels and cameras agree with one another."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.cards import part_labels, skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import project
from sa3dhp_relations.geometric import geometric
from sa3dhp_relations.pairing import Pairing

BODY, LABELS = skeleton(), part_labels()
FRAMES, SIZE = 3, 16
EXPRESSIONS = ["flip @ rotate(50)", "flip? @ rotate(-63..63) @ backward", "slow(2) @ backward", "tilt(5) @ shift(2)"]
seeds = st.integers(0, 2**31)


def drawn(expression: str, seed: int = 0) -> tuple[Pairing, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    return Pairing.draw(geometric(expression, BODY), 2, FRAMES, generator), generator


def cameras(window: int) -> Tensor:
    """Another focal length in every frame."""
    camera = torch.tensor([[40.0, 0, SIZE / 2], [0, 40.0, SIZE / 2], [0, 0, 1]]).repeat(2, window, 1, 1)
    camera[..., 0, 0] += torch.arange(window)
    camera[..., 1, 1] += torch.arange(window)
    return camera


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(EXPRESSIONS), seeds)
def test_keypoints_of_the_partner_are_its_projected_poses(expression: str, seed: int) -> None:
    pairing, generator = drawn(expression, seed)
    window = pairing.temporal.window
    standing = 0.4 * torch.randn(2, window, len(BODY), 3, generator=generator) + torch.tensor([0.1, 0.0, 5.0])
    intrinsics = cameras(window)
    poses, kept = pairing.poses(standing), pairing.intrinsics(intrinsics)
    seen = pairing.keypoints(project(standing, intrinsics), intrinsics)
    for number in (0, 1):
        assert poses[number].shape == (2, FRAMES, len(BODY), 3)
        torch.testing.assert_close(seen[number], project(poses[number], kept[number]), atol=1e-2, rtol=0)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(EXPRESSIONS), seeds)
def test_the_partners_camera_takes_the_same_pixels_of_a_world_that_stays(expression: str, seed: int) -> None:
    pairing, generator = drawn(expression, seed)
    window = pairing.temporal.window
    world = 0.4 * torch.randn(2, window, len(BODY), 3, generator=generator) + torch.tensor([0.1, 0.0, 5.0])
    intrinsics = cameras(window)
    _, (rotation, camera) = pairing.cameras(torch.eye(3).expand(2, window, 3, 3), intrinsics)
    _, stays = pairing.temporal.of(world)
    found = project(stays @ rotation.mT, camera)
    _, expected = pairing.keypoints(project(world, intrinsics), intrinsics)
    mirrored = torch.linalg.det(pairing.spatial.matrix) < 0
    named = torch.where(mirrored[:, None, None, None], expected[..., list(BODY.mirror), :], expected)
    torch.testing.assert_close(found, named, atol=1e-2, rtol=0)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_clips_and_part_labels_are_moved_frame_by_frame(expression: str) -> None:
    pairing, generator = drawn(expression)
    window, relation = pairing.temporal.window, pairing.relation
    images = torch.rand(2, window, 3, SIZE, SIZE, generator=generator)
    parts = torch.randint(len(LABELS), (2, window, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    intrinsics = cameras(window)
    anchor, partner = pairing.clips(images, intrinsics)
    labels, moved = pairing.parts(parts, intrinsics, LABELS)
    for place, (first, second) in enumerate(zip(pairing.temporal.anchor, pairing.temporal.partner, strict=True)):
        assert torch.equal(anchor[:, place], images[:, first]) and torch.equal(labels[:, place], parts[:, first])
        alone = relation.on_images(images[:, second], pairing.spatial, intrinsics[:, second])
        torch.testing.assert_close(partner[:, place], alone, atol=1e-5, rtol=0)
        alone = relation.on_parts(parts[:, second], pairing.spatial, intrinsics[:, second], LABELS)
        assert torch.equal(moved[:, place], alone)


def test_a_window_of_another_length_is_refused() -> None:
    pairing, _ = drawn("slow(2)")
    with pytest.raises(DataError, match="wrong number of frames"):
        pairing.poses(torch.zeros(2, pairing.temporal.window + 1, len(BODY), 3))
