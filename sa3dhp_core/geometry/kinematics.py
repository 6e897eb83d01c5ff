"""Bones, directions, forward kinematics and the parent's local frames (METHOD 1.1)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sa3dhp_core.geometry.cameras import minimal_rotation
from sa3dhp_core.types import Skeleton


def bone_vectors(poses: Tensor, skeleton: Skeleton) -> Tensor:
    """``(..., J, 3)`` joint minus parent; zero at the root."""
    return poses - poses[..., list(skeleton.parent_indices), :]


def bone_lengths(poses: Tensor, skeleton: Skeleton) -> Tensor:
    """``(..., J)`` metres; zero at the root."""
    return bone_vectors(poses, skeleton).norm(dim=-1)


def directions(poses: Tensor, skeleton: Skeleton) -> Tensor:
    """``(..., J, 3)`` unit bone vectors; zero at the root."""
    return functional.normalize(bone_vectors(poses, skeleton), dim=-1)


def forward_kinematics(directions: Tensor, lengths: Tensor, skeleton: Skeleton) -> Tensor:
    """Unit directions ``(..., J, 3)`` and lengths ``(..., J)`` to root-relative poses ``(..., J, 3)``."""
    bones = directions * lengths[..., None]
    placed: dict[int, Tensor] = {skeleton.index(skeleton.root): torch.zeros_like(bones[..., 0, :])}
    for joint in skeleton.bones:
        placed[joint] = placed[skeleton.parent_indices[joint]] + bones[..., joint, :]
    return torch.stack([placed[joint] for joint in range(len(skeleton))], dim=-2)


def root_rotation(poses: Tensor, skeleton: Skeleton) -> Tensor:
    """Root frame ``(..., 3, 3)``, columns: to the left hip, up the spine (made orthogonal), forwards.

    The spine is the root's child outside every mirror pair, the hips its children inside one.
    """
    root = skeleton.index(skeleton.root)
    children = [j for j in skeleton.bones if skeleton.parent_indices[j] == root]
    centre = next(j for j in children if skeleton.mirror[j] == j)
    left = next(skeleton.index(a) for a, b in skeleton.pairs if skeleton.index(a) in children)
    across = functional.normalize(poses[..., left, :] - poses[..., skeleton.mirror[left], :], dim=-1)
    up = poses[..., centre, :] - poses[..., root, :]
    up = functional.normalize(up - (up * across).sum(-1, keepdim=True) * across, dim=-1)
    return torch.stack([across, up, torch.linalg.cross(across, up)], dim=-1)


def local_directions(poses: Tensor, skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """Root rotation ``(..., 3, 3)`` and unit bone directions ``(..., J, 3)`` in their parents' frames.

    A child's frame is its parent's frame turned minimally so that its up axis follows the bone.
    """
    root = root_rotation(poses, skeleton)
    world = directions(poses, skeleton)
    local, frames = _walk(world, root, skeleton, to_local=True)
    return root, local


def from_local_directions(root: Tensor, local: Tensor, skeleton: Skeleton) -> Tensor:
    """Inverse of `local_directions`: unit bone directions ``(..., J, 3)`` in the camera frame."""
    return _walk(local, root, skeleton, to_local=False)[0]


def _walk(given: Tensor, root: Tensor, skeleton: Skeleton, to_local: bool) -> tuple[Tensor, dict[int, Tensor]]:
    up = torch.zeros_like(root[..., 0])
    up[..., 1] = 1.0
    frames = {skeleton.index(skeleton.root): root}
    out: dict[int, Tensor] = {skeleton.index(skeleton.root): torch.zeros_like(given[..., 0, :])}
    for joint in skeleton.bones:
        frame = frames[skeleton.parent_indices[joint]]
        mine = given[..., joint, :]
        if to_local:
            local = (frame.transpose(-1, -2) @ mine[..., None])[..., 0]
            out[joint] = local
        else:
            local = mine
            out[joint] = (frame @ mine[..., None])[..., 0]
        frames[joint] = frame @ minimal_rotation(up, local)
    return torch.stack([out[joint] for joint in range(len(skeleton))], dim=-2), frames
