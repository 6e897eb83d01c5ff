"""From features to poses: a dictionary of canonical shapes with a rotation, or a depth for each joint."""

from __future__ import annotations

from typing import NamedTuple

import roma
import torch
from torch import Tensor, nn

from sa3dhp_core.types import Skeleton
from sa3dhp_ites.units import DISTANCE, NEAREST

START = 0.01
"""Spread of first weights: a teacher begins with everyone as a point that is not turned, a student with everyone flat.

From larger weights, shapes many times a body's size, the same training needs several times as many steps.
"""


class Lifted(NamedTuple):
    """A pose in units, in the camera's frame, around the point at the distance 5; all are ``(N, J, 3)``.

    ``points`` is the pose, each joint on its keypoint's ray. A head with a dictionary adds ``modelled``, the pose that
    the dictionary makes, on rays only as far as the reprojection has drawn it there, and ``canonical``, its shape
    before the rotation.
    """

    points: Tensor
    modelled: Tensor | None = None
    canonical: Tensor | None = None


class DictionaryHead(nn.Module):
    """Coefficients of learned shapes and a rotation vector (so(3) exponential); METHOD.md section 2, teacher.

    Twelve shapes are too few to reach every keypoint. What they tell is depth; across the image the keypoints know
    better. So does the public code read its teacher's poses.
    """

    def __init__(self, features: int, shapes: int, skeleton: Skeleton) -> None:
        super().__init__()
        self.coefficients, self.turn = nn.Linear(features, shapes), nn.Linear(features, 3)
        self.shapes = nn.Linear(shapes, 3 * len(skeleton))
        for layer in (self.coefficients, self.turn, self.shapes):
            nn.init.normal_(layer.weight, std=START)
            nn.init.zeros_(layer.bias)

    def forward(self, feature: Tensor, points: Tensor) -> Lifted:
        """``(N, …)`` features of ``(N, J, 2)`` keypoints to poses."""
        flat = feature.flatten(1)
        canonical = self.shapes(self.coefficients(flat)).unflatten(-1, (points.shape[-2], 3))
        rotation = roma.rotvec_to_rotmat(self.turn(flat))
        modelled = canonical @ rotation.mT
        return Lifted(at_depth(points, modelled[..., 2:]), modelled, canonical)


class DepthHead(nn.Module):
    """A depth relative to the root for each joint, on the ray of its keypoint; METHOD.md section 2, student."""

    def __init__(self, features: int, per_joint: bool, skeleton: Skeleton) -> None:
        super().__init__()
        self._per_joint, self._root = per_joint, skeleton.index(skeleton.root)
        self.depth = nn.Linear(features, 1 if per_joint else len(skeleton), bias=False)
        if per_joint:
            nn.init.normal_(self.depth.weight, std=START)

    def forward(self, feature: Tensor, points: Tensor) -> Lifted:
        """``(N, …)`` features of ``(N, J, 2)`` keypoints to poses."""
        depth = self.depth(feature)
        depth = depth if self._per_joint else depth.unsqueeze(-1)
        return Lifted(at_depth(points, depth - depth[:, [self._root]]))


def at_depth(points: Tensor, depth: Tensor) -> Tensor:
    """The places ``(N, J, 3)`` on the rays of keypoints ``(N, J, 2)`` at depths ``(N, J, 1)``, in units."""
    return torch.cat([points * (depth + DISTANCE).clamp_min(NEAREST), depth], dim=-1)
