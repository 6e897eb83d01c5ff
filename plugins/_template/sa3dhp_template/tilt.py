"""A camera that tilts: one exact relation. Never learns anything, never touches time."""

from __future__ import annotations

import math

import attrs
import torch
from torch import Tensor

from sa3dhp_core.geometry import act_on_images, act_on_poses, rotation_x
from sa3dhp_core.types import Skeleton, Spatial, Temporal
from sa3dhp_template.config import Tilt


@attrs.frozen
class TiltRelation:
    """``(Rx(angle), identity)``; implements `sa3dhp_core.protocols.relation.Relation`.

    Attributes:
        radians: the angle.
        skeleton: of the poses that it acts on.
        name: what losses call it.
        condition: 0, a single element.
        acts_on_time: it does not.
    """

    radians: float
    skeleton: Skeleton
    name: str
    condition: int = 0
    acts_on_time: bool = False

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Spatial:
        """The one element, repeated to ``(*shape, 3, 3)``; nothing is drawn."""
        return Spatial(rotation_x(self.radians).expand(*shape, 3, 3), torch.zeros(*shape, 0))

    def temporal(self, frames: int) -> Temporal:
        """Time stays."""
        return Temporal(frames, tuple(range(frames)), tuple(range(frames)))

    def on_poses(self, poses: Tensor, spatial: Spatial) -> Tensor:
        """``(..., J, 3)`` metres, root-relative, camera frame -> the same, seen by the tilted camera."""
        return act_on_poses(spatial.matrix.to(poses), poses, self.skeleton)

    def on_images(self, images: Tensor, spatial: Spatial, intrinsics: Tensor) -> Tensor:
        """``(..., 3, H, W)`` crops of cameras ``(..., 3, 3)`` -> crops of the tilted cameras."""
        return act_on_images(spatial.matrix.to(images), images, intrinsics)


def tilt(config: Tilt, skeleton: Skeleton) -> TiltRelation:
    """Target of the component `template-tilt`."""
    return TiltRelation(math.radians(config.angle), skeleton, config.name or f"tilt({config.angle:g})")
