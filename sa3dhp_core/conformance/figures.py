"""A slow, obvious renderer: what a camera sees of a person of soft tubes. It turns exactly as the person does.

Coverage and order of the tubes depend on angles between rays alone, colours on a bone and its mirror image alone, and
the room is black. So the picture of a pose moved by any M of O(3) is the picture's own homography, up to resampling.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sa3dhp_core.geometry import rays
from sa3dhp_core.types import Skeleton

RADIUS_M = 0.1
SOFT = 0.04
"""Radius at which a tube fades, metres at its own distance, and over how much."""


def picture(joints_m: Tensor, intrinsics: Tensor, size: int, skeleton: Skeleton) -> Tensor:
    """What a camera sees of a person.

    Args:
        joints_m: ``(J, 3)`` positions in the camera frame (not root-relative), in front of the camera.
        intrinsics: ``(3, 3)`` pixels.
        size: of the square picture.
        skeleton: names the bones.

    Returns:
        ``(3, size, size)`` in [0, 1].
    """
    axis = torch.arange(size, dtype=joints_m.dtype, device=joints_m.device) + 0.5
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
    direction = torch.nn.functional.normalize(rays(grid, intrinsics), dim=-1)
    ends = list(skeleton.bones)
    starts = [skeleton.parent_indices[end] for end in ends]
    gap, distance = _gaps(direction, joints_m[starts], joints_m[ends])
    cover = torch.sigmoid((RADIUS_M - gap) / SOFT * 4)
    seen = torch.zeros(3, size, size, dtype=joints_m.dtype, device=joints_m.device)
    left = torch.ones_like(seen[0])
    order = distance.argsort(dim=-1)
    colours = _colours(skeleton).to(seen)
    for rank in range(len(ends)):
        which = order[..., rank]
        share = left * cover.gather(-1, which[..., None])[..., 0]
        seen = seen + share * colours[which].movedim(-1, 0)
        left = left - share
    return seen


def _gaps(direction: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """Distance ``(H, W, K)`` of each ray ``(H, W, 3)`` from each bone ``(K, 3)``, and how far along the ray that is."""
    bone = end - start
    d = direction[..., None, :]
    flat = bone - (d * bone).sum(-1, keepdim=True) * d  # what is across the ray
    across = start - (d * start).sum(-1, keepdim=True) * d
    along = (-(across * flat).sum(-1) / flat.square().sum(-1).clamp_min(1e-9)).clamp(0, 1)
    nearest = start + along[..., None] * bone
    distance = (d * nearest).sum(-1)
    return (nearest - distance[..., None] * d).norm(dim=-1), distance


def _colours(skeleton: Skeleton) -> Tensor:
    """``(K, 3)``: bright and well apart, one for a bone and its mirror image."""
    pair = torch.tensor([min(end, skeleton.mirror[end]) for end in skeleton.bones], dtype=torch.float64)
    phase = 2.399963 * pair[:, None] + torch.tensor([0.0, 2.094395, 4.188790], dtype=torch.float64)
    return 0.6 + 0.4 * phase.cos()


def part_labels(joints_m: Tensor, intrinsics: Tensor, size: int, skeleton: Skeleton) -> Tensor:
    """Which bone is nearest in each pixel of the `picture`: ``(size, size)`` uint8, 1 for the first bone, 0 for none.

    Args:
        joints_m: ``(J, 3)`` positions in the camera frame. intrinsics: ``(3, 3)`` pixels.
        size: of the square picture. skeleton: names the bones.
    """
    axis = torch.arange(size, dtype=joints_m.dtype, device=joints_m.device) + 0.5
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
    ends = list(skeleton.bones)
    starts = [skeleton.parent_indices[end] for end in ends]
    direction = torch.nn.functional.normalize(rays(grid, intrinsics), dim=-1)
    gap, distance = _gaps(direction, joints_m[starts], joints_m[ends])
    nearest = distance.where(gap < RADIUS_M, torch.inf).min(dim=-1)
    return torch.where(nearest.values < torch.inf, nearest.indices + 1, 0).to(torch.uint8)
