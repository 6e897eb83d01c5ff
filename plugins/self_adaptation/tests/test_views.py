"""Unpaired poses on their way to images: limbs recombined, shares of two sets."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_core.cards import skeleton
from sa3dhp_core.geometry import (
    bone_lengths,
    forward_kinematics,
    local_directions,
    root_rotation,
    rotation_z,
    standard_lengths,
)
from sa3dhp_core.types import WHOLE, LabelledBatch, Shard
from sa3dhp_self_adaptation.config import Augmentation
from sa3dhp_self_adaptation.views import Augmented, Blend, recombined

BONES = skeleton()


def people(count: int, seed: int) -> torch.Tensor:
    """Poses of random directions but for the hips, which stand opposite; each of a size of its own."""
    g = torch.Generator().manual_seed(seed)
    lengths = standard_lengths(BONES).double() * (0.8 + 0.4 * torch.rand(count, 1, generator=g).double())
    directions = torch.randn(count, len(BONES), 3, generator=g).double()
    directions[:, BONES.index("left_hip")] = -directions[:, BONES.index("right_hip")]
    return forward_kinematics(directions, lengths, BONES)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.integers(0, 2**31), st.floats(0, 1))
def test_recombined_people_keep_their_bones_and_face_where_they_did(count: int, seed: int, share: float) -> None:
    poses = people(count, seed)
    other = recombined(poses, share, BONES, torch.Generator().manual_seed(seed))
    assert torch.allclose(bone_lengths(other, BONES), bone_lengths(poses, BONES), atol=1e-9)
    assert torch.allclose(root_rotation(other, BONES), root_rotation(poses, BONES), atol=1e-9)
    assert torch.equal(other[:, BONES.index(BONES.root)], poses[:, BONES.index(BONES.root)])
    assert torch.equal(recombined(poses, 0.0, BONES, torch.Generator()), poses)


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 12), st.integers(0, 2**31))
def test_every_limb_of_a_recombined_person_is_somebodys(count: int, seed: int) -> None:
    poses = people(count, seed)
    other = recombined(poses, 1.0, BONES, torch.Generator().manual_seed(seed))
    _, local = local_directions(poses, BONES)
    _, mine = local_directions(other, BONES)
    for part in BONES.parts.values():
        joints = [BONES.index(joint) for joint in part]
        gap = (mine[:, None, joints] - local[None, :, joints]).norm(dim=-1).amax(dim=-1)
        assert float(gap.amin(dim=1).max()) < 1e-6


def test_recombining_mixes_people() -> None:
    poses = people(400, 0)
    g = torch.Generator().manual_seed(1)
    moved = (recombined(poses, 0.6, BONES, g) - poses).norm(dim=-1).amax(dim=1) > 1e-6
    assert 0.5 < float(moved.float().mean()) < 0.65


def test_recombining_does_not_see_the_camera() -> None:
    poses = people(20, 3)
    turn = rotation_z(torch.tensor(0.7)).double()
    one = recombined(poses, 0.8, BONES, torch.Generator().manual_seed(2)) @ turn.T
    other = recombined(poses @ turn.T, 0.8, BONES, torch.Generator().manual_seed(2))
    assert torch.allclose(one, other, atol=1e-6)


class Told:
    """Labelled images whose pixels say which set they are of, and which image."""

    def __init__(self, first: float) -> None:
        self.skeleton, self._first = skeleton(), first

    def draw(self, count: int, generator: torch.Generator, shard: Shard = WHOLE) -> LabelledBatch:
        number = self._first + torch.randint(100, (count,), generator=generator)[shard.rank :: shard.world]
        images = number[:, None, None, None].expand(-1, 3, 4, 4)
        return LabelledBatch(
            images, number[:, None, None].expand(-1, 17, 3), None, torch.eye(3).expand(len(number), 3, 3)
        )


@given(st.integers(1, 40), st.floats(0, 1), st.integers(0, 99), st.integers(1, 4))
def test_a_blend_has_its_share_and_the_ranks_share_it(count: int, share: float, seed: int, world: int) -> None:
    blend = Blend(Told(0), Told(1000), share)  # type: ignore[arg-type]
    whole = blend.draw(count, torch.Generator().manual_seed(seed))
    assert int((whole.images[:, 0, 0, 0] >= 1000).sum()) == round(share * count)
    assert torch.equal(whole.images[:, 0, 0, 0], whole.poses[:, 0, 0])
    pieces = [blend.draw(count, torch.Generator().manual_seed(seed), Shard(rank, world)) for rank in range(world)]
    for rank, piece in enumerate(pieces):
        assert torch.equal(piece.images, whole.images[rank::world])


class Crops:
    """Labelled images of noise."""

    skeleton = BONES

    def draw(self, count: int, generator: torch.Generator, shard: Shard = WHOLE) -> LabelledBatch:
        images = torch.rand(count, 3, 8, 8, generator=generator)
        poses = torch.randn(count, len(BONES), 3, generator=generator)
        return LabelledBatch(images, poses, None, torch.eye(3).expand(count, 3, 3))


def test_labelled_images_are_moved_to_the_device_before_they_are_augmented() -> None:
    """A tensor on the device `meta` has no numbers: what is computed there is computed nowhere else."""
    how = Augmentation(photometric="weak", mirror=False)
    generator = torch.Generator().manual_seed(0)
    drawn = Augmented(Crops(), how)
    images, poses = (part.to("meta") for part in drawn.read(6, generator))
    images, poses = drawn.augment(images, poses, generator, Shard(1, 2))
    assert images.shape == (3, 3, 8, 8) and poses.shape == (3, len(BONES), 3)
    assert images.device.type == poses.device.type == "meta"
