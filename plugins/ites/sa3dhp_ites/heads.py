"""From features to poses: a dictionary of canonical shapes with a rotation, or a depth for each joint."""

from __future__ import annotations

from typing import NamedTuple

import roma
import torch
from torch import Tensor, nn

from sa3dhp_core.types import Skeleton
from sa3dhp_ites.units import DISTANCE, NEAREST

START = 0.01
"""Spread of a dictionary's first weights: everyone begins as a point that is not turned.

From larger weights, shapes many times a body's size, the same training needs several times as many steps.
"""


class Lifted(NamedTuple):
    """A pose as the method trains it.

    ``points (N, J, 3)`` in units, camera frame, around the point at the distance 5; ``canonical (N, J, 3)``, the shape
    before its rotation, where the head has one.
    """

    points: Tensor
    canonical: Tensor | None


class DictionaryHead(nn.Module):
    """Coefficients of learned shapes and a rotation vector (so(3) exponential); METHOD.md section 2, teacher."""

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
        return Lifted(canonical @ rotation.mT, canonical)


class DepthHead(nn.Module):
    """A depth relative to the root for each joint, on the ray of its keypoint; METHOD.md section 2, student."""

    def __init__(self, features: int, per_joint: bool, skeleton: Skeleton) -> None:
        super().__init__()
        self._per_joint, self._root = per_joint, skeleton.index(skeleton.root)
        self.depth = nn.Linear(features, 1 if per_joint else len(skeleton), bias=False)

    def forward(self, feature: Tensor, points: Tensor) -> Lifted:
        """``(N, …)`` features of ``(N, J, 2)`` keypoints to poses."""
        depth = self.depth(feature)
        depth = depth if self._per_joint else depth.unsqueeze(-1)
        return Lifted(at_depth(points, depth - depth[:, [self._root]]), None)


def at_depth(points: Tensor, depth: Tensor) -> Tensor:
    """The places ``(N, J, 3)`` on the rays of keypoints ``(N, J, 2)`` at depths ``(N, J, 1)``, in units."""
    return torch.cat([points * (depth + DISTANCE).clamp_min(NEAREST), depth], dim=-1)
