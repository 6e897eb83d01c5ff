"""Units of the method: keypoints centred on the root and scaled by one factor, poses at the distance 5.

Holds the one factor, learned from the training split alone, and what stands for joints that were not seen.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sa3dhp_core.errors import DataError, RecipeError, nearest
from sa3dhp_core.geometry import standard_lengths, turn_between
from sa3dhp_core.geometry.shapes import need_poses
from sa3dhp_core.types import Skeleton

DISTANCE = 5.0
"""How far away everyone stands, in units: METHOD.md section 2."""

NEAREST = 1.0
"""Least depth at which a joint is projected."""

USUAL_DISTANCE_M = 4.5
"""What the scale assumes before it is fitted."""


def project(points: Tensor) -> Tensor:
    """``(..., 3)`` units around the point at `DISTANCE` to ``(..., 2)``: ``xy / max(5 + z, 1)``."""
    return points[..., :2] / (points[..., 2:] + DISTANCE).clamp_min(NEAREST)


class Normaliser(nn.Module):
    """Camera-plane keypoints to the method's units.

    A unit is the length of the bones from the root to the top joint: after scaling, their mean length in 2D is
    1 / `DISTANCE`.

    Args:
        skeleton: of the keypoints.
        top: name of the top joint.
        centred: whether keypoints are turned into a camera that looks at the root, which is exact, or only shifted.

    Raises:
        RecipeError: the skeleton has no such joint.
    """

    scale: Tensor
    usual: Tensor

    def __init__(self, skeleton: Skeleton, top: str, centred: bool = False) -> None:
        super().__init__()
        if top not in skeleton.joints or top == skeleton.root:
            raise RecipeError(
                f"the skeleton {skeleton.id!r} lacks the joint that sizes are measured to",
                where="top",
                found=top,
                hint=nearest(top, set(skeleton.joints) - {skeleton.root}),
            )
        self.skeleton, self._root, self.top = skeleton, skeleton.index(skeleton.root), skeleton.index(top)
        self.unit_m, self.centred = _length_m(skeleton, self.top), centred
        self.register_buffer("scale", torch.tensor(USUAL_DISTANCE_M / (DISTANCE * self.unit_m)))
        self.register_buffer("usual", torch.zeros(len(skeleton), 2))

    def fit(self, keypoints: Tensor) -> None:
        """Learn the scale and the usual places from ``(N, J, 2)`` keypoints, of the training split alone.

        Raises:
            DataError: no frame shows both root and top joint, or they coincide.
        """
        need_poses(keypoints, self.skeleton, "keypoints", 2)
        if self.centred:
            keypoints = self._looked_at(keypoints, self.turn(keypoints))
        beside = (keypoints - keypoints[:, [self._root]]).double()
        length = beside[:, self.top].norm(dim=-1).nanmean()
        if not bool(length > 0):
            top, root = self.skeleton.joints[self.top], self.skeleton.root
            raise DataError(f"no frame shows both {root!r} and {top!r} apart", found=float(length))
        scale = 1 / (DISTANCE * length)
        self.scale.copy_(scale)
        self.usual.copy_((beside.nanmean(dim=0) * scale).nan_to_num(0.0))

    def forward(self, keypoints: Tensor) -> Tensor:
        """``(..., J, 2)`` on the camera plane to units; unseen joints (NaN) get their usual places."""
        need_poses(keypoints, self.skeleton, "keypoints", 2)
        if self.centred:
            keypoints = self._looked_at(keypoints, self.turn(keypoints))
        scaled = keypoints * self.scale
        middle = (scaled - self.usual).nanmean(dim=-2, keepdim=True).nan_to_num(0.0)
        scaled = torch.where(scaled.isnan(), self.usual + middle, scaled)
        return scaled - scaled[..., [self._root], :]

    def metres(self, points: Tensor, keypoints: Tensor) -> Tensor:
        """Poses ``(..., J, 3)`` in units to metres, root-relative, in the camera of the keypoints ``(..., J, 2)``."""
        poses = (points - points[..., [self._root], :]) * self.unit_m
        return poses @ self.turn(keypoints) if self.centred else poses

    def turn(self, keypoints: Tensor) -> Tensor:
        """Rotations ``(..., 3, 3)`` into cameras that look at the root, or at the others' middle where it is unseen."""
        root = keypoints[..., self._root, :]
        root = torch.where(root.isnan(), keypoints.nanmean(dim=-2), root).nan_to_num(0.0)
        ray = torch.nn.functional.normalize(torch.cat([root, torch.ones_like(root[..., :1])], dim=-1), dim=-1)
        return turn_between(ray, ray.new_tensor([0.0, 0.0, 1.0]))

    @staticmethod
    def _looked_at(keypoints: Tensor, turn: Tensor) -> Tensor:
        rays = torch.cat([keypoints, torch.ones_like(keypoints[..., :1])], dim=-1) @ turn.mT
        return rays[..., :2] / rays[..., 2:]


def _length_m(skeleton: Skeleton, joint: int) -> float:
    """Length of the bones from the root to a joint, by the skeleton's card."""
    lengths, total, root = standard_lengths(skeleton).tolist(), 0.0, skeleton.index(skeleton.root)
    while joint != root:
        total += lengths[joint]
        joint = skeleton.parent_indices[joint]
    return total
