"""Unpaired poses into cameras, labelled images under augmentation. Draws from given generators alone."""

from __future__ import annotations

import math
from typing import Protocol

import attrs
import torch
from torch import Tensor

from sa3dhp_core.geometry import (
    act_on_images,
    act_on_poses,
    bone_lengths,
    forward_kinematics,
    from_local_directions,
    local_directions,
    mirror_matrix,
    rotation_z,
    viewpoint,
)
from sa3dhp_core.protocols.data import LabelledImages, PoseSequences
from sa3dhp_core.types import WHOLE, LabelledBatch, Shard, Skeleton
from sa3dhp_self_adaptation.config import Augmentation, Viewpoints
from sa3dhp_self_adaptation.photometric import kind_of


class PoseViews:
    """Draws of camera-frame poses and sequences: motion from the data set, cameras and mirror images at random.

    Args:
        data: unpaired motion in a gravity-aligned world.
        viewpoints: ranges of the cameras.
        rolled: whether the camera may roll as widely as the priors must understand, or stays upright.
        dtype: of what is drawn; the same draw in any.
    """

    def __init__(
        self, data: PoseSequences, viewpoints: Viewpoints, rolled: bool, dtype: torch.dtype = torch.float32
    ) -> None:
        self._data, self._viewpoints, self._dtype = data, viewpoints, dtype
        self._roll = viewpoints.prior_roll if rolled else viewpoints.roll
        self.skeleton: Skeleton = data.skeleton

    def sequences(self, count: int, frames: int, generator: torch.Generator, shard: Shard) -> Tensor:
        """``(B, T, J, 3)`` root-relative, camera frame; one camera a sequence."""
        world = self._data.draw(count, frames, generator)
        camera = self._cameras(count, generator)[:, None].to(world)
        poses = torch.einsum("btik,btjk->btji", camera.expand(-1, frames, -1, -1), world)
        mirrored = torch.rand(count, generator=generator) < 0.5
        flipped = act_on_poses(mirror_matrix().to(world), poses, self.skeleton)
        chosen = torch.where(mirrored[:, None, None, None], flipped, poses)[shard.rank :: shard.world]
        return chosen.to(self._dtype)

    def poses(self, count: int, generator: torch.Generator, shard: Shard) -> Tensor:
        """``(B, J, 3)`` root-relative, camera frame."""
        return self.sequences(count, 1, generator, shard)[:, 0]

    def _cameras(self, count: int, generator: torch.Generator) -> Tensor:
        def uniform(low: float, high: float) -> Tensor:
            return torch.deg2rad(low + (high - low) * torch.rand(count, generator=generator))

        low, high = self._viewpoints.elevation
        cameras = viewpoint(uniform(-180.0, 180.0), uniform(low, high), uniform(-self._roll, self._roll))
        if not self._viewpoints.tilt:
            return cameras
        axis = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
        return rotation_about(axis, uniform(0.0, self._viewpoints.tilt)) @ cameras


def recombined(poses: Tensor, share: float, skeleton: Skeleton, generator: torch.Generator) -> Tensor:
    """Give the limbs of a share of ``poses (B, J, 3)`` what other poses of the batch do with theirs.

    Each of the card's parts is taken from another pose with probability one half, bone directions in the frame of the
    joint that it hangs from; orientation and bone lengths stay. So limbs move as they do, in combinations that no
    sequence shows.
    """
    turn, local = local_directions(poses, skeleton)
    mixed = local.clone()
    for number, part in enumerate(skeleton.parts.values(), start=1):
        joints = [skeleton.index(joint) for joint in part if joint != skeleton.root]
        taken = (torch.rand(len(poses), generator=generator) < 0.5).to(poses.device)[:, None, None]
        mixed[:, joints] = torch.where(taken, local.roll(number, 0)[:, joints], local[:, joints])
    directions = from_local_directions(turn, mixed, skeleton)
    other = forward_kinematics(directions, bone_lengths(poses, skeleton), skeleton)
    chosen = (torch.rand(len(poses), generator=generator) < share).to(poses.device)
    return torch.where(chosen[:, None, None], other, poses)


def rotation_about(axis: Tensor, angle: Tensor) -> Tensor:
    """Rotation matrices ``(..., 3, 3)`` about unit axes ``(..., 3)`` by angles in radians."""
    from roma import rotvec_to_rotmat

    matrix: Tensor = rotvec_to_rotmat(axis * angle[..., None])
    return matrix


class Drawable(Protocol):
    """Labelled images that can be drawn from: the part of `LabelledImages` that training needs."""

    skeleton: Skeleton

    def draw(self, count: int, generator: torch.Generator, shard: Shard = WHOLE) -> LabelledBatch:
        """See `LabelledImages`."""
        ...


class Blend:
    """Draws of two labelled sets, a fixed share of each batch from the second; `Drawable`.

    Args:
        first, second: of one skeleton and one size of images. share: of the second, 0 to 1.
    """

    def __init__(self, first: LabelledImages, second: LabelledImages, share: float) -> None:
        self._sets, self._share = (first, second), share
        self.skeleton: Skeleton = first.skeleton

    def draw(self, count: int, generator: torch.Generator, shard: Shard = WHOLE) -> LabelledBatch:
        """Images, poses and intrinsics alone: the sets may differ in what else they know."""
        many = round(self._share * count)
        drawn = [data.draw(n, generator) for data, n in zip(self._sets, (count - many, many), strict=True) if n]
        images, poses, intrinsics = (
            torch.cat([getattr(batch, name) for batch in drawn])[shard.rank :: shard.world]
            for name in ("images", "poses", "intrinsics")
        )
        return LabelledBatch(images, poses, None, intrinsics)


@attrs.frozen
class Augmented:
    """Draws of labelled images under augmentation; `sa3dhp_self_adaptation.supervised.ImageDraw`."""

    data: Drawable
    augmentation: Augmentation

    def read(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images and poses as the data set has them."""
        batch = self.data.draw(count, generator)
        return batch.images, batch.poses

    def augment(self, images: Tensor, poses: Tensor, generator: torch.Generator, shard: Shard) -> tuple[Tensor, Tensor]:
        """Augmented images ``(b, 3, H, W)`` and the poses ``(b, J, 3)`` that then belong to them."""
        count, how = len(images), self.augmentation
        angle = math.radians(how.rotation) * (2 * torch.rand(count, generator=generator) - 1)
        mirrored = (torch.rand(count, generator=generator) < 0.5) & how.mirror
        if how.rotation or how.mirror:
            matrix = rotation_z(angle)
            matrix = torch.where(mirrored[:, None, None], mirror_matrix().to(matrix) @ matrix, matrix).to(images)
            images = act_on_images(matrix, images)
            poses = act_on_poses(matrix.to(poses), poses, self.data.skeleton)
        images = kind_of(how.photometric)(images, generator)
        return images[shard.rank :: shard.world], poses[shard.rank :: shard.world]
