"""How far joints bend, and whether a body can. Limits come from the skeleton's card; nothing here knows a joint."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sa3dhp_core.geometry.kinematics import bone_directions
from sa3dhp_core.types import Skeleton


def bends_deg(poses: Tensor, skeleton: Skeleton) -> Tensor:
    """Angle between the bone that ends at each joint and the bone before it, ``(..., J, 3)`` -> ``(..., J)``, degrees.

    0 is a straight line. The root and its children have no bone before theirs: nan.

    Raises:
        DataError: a shape does not fit.
    """
    bones = bone_directions(poses, skeleton)
    before = bones[..., list(skeleton.parent_indices), :]
    across, along = torch.linalg.cross(before, bones).norm(dim=-1), (before * bones).sum(dim=-1)
    angle = torch.atan2(across, along) * (180.0 / math.pi)
    root = skeleton.index(skeleton.root)
    first = [parent == root for parent in skeleton.parent_indices]
    return angle.masked_fill(torch.tensor(first, device=poses.device), math.nan)


def within_limits(poses: Tensor, skeleton: Skeleton) -> Tensor:
    """Whether every joint bends as far as the card allows, ``(..., J, 3)`` -> ``(...)`` bool."""
    kept = torch.ones(poses.shape[:-2], dtype=torch.bool, device=poses.device)
    bends = bends_deg(poses, skeleton)
    for joint, (least, greatest) in skeleton.bend_limits_deg.items():
        bend = bends[..., skeleton.index(joint)]
        kept &= (bend >= least) & (bend <= greatest)
    return kept
