"""Anchor and partner of whatever a window of frames holds: a drawn element and an index map, applied."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from sa3dhp_core.types import PartLabels, Spatial, Temporal
from sa3dhp_relations.geometric import GeometricRelation


@attrs.frozen
class Pairing:
    """A geometric relation with an element drawn for each of B clips, and its index map for T frames.

    Every method takes what B windows of ``temporal.window`` frames hold, ``(B, window, ...)``, and returns
    ``(anchor, partner)``, ``(B, T, ...)`` each: frames of the window, the partner's moved by its clip's element.

    Attributes:
        relation: whose actions they are.
        spatial: elements ``(B, 3, 3)``.
        temporal: which frames form the anchor and which the partner.
    """

    relation: GeometricRelation
    spatial: Spatial
    temporal: Temporal

    @classmethod
    def draw(cls, relation: GeometricRelation, clips: int, frames: int, generator: torch.Generator) -> Pairing:
        """One element a clip, for anchors and partners of `frames` frames."""
        return cls(relation, relation.draw((clips,), generator), relation.temporal(frames))

    def poses(self, window: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, window, J, 3)`` metres, camera frame."""
        anchor, partner = self.temporal.of(window)
        return anchor, self.relation.on_poses(partner, self.spatial)

    def clips(self, window: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
        """Crops ``(B, window, 3, H, W)`` of virtual cameras ``(B, window, 3, 3)``."""
        anchor, partner = self.temporal.of(window)
        return anchor, self.relation.on_images(partner, self.spatial, self.intrinsics(intrinsics)[1])

    def keypoints(self, window: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, window, J, 2)`` pixels of those crops."""
        anchor, partner = self.temporal.of(window)
        return anchor, self.relation.on_keypoints(partner, self.spatial, self.intrinsics(intrinsics)[1])

    def parts(self, window: Tensor, intrinsics: Tensor, labels: PartLabels) -> tuple[Tensor, Tensor]:
        """``(B, window, H, W)`` part labels of those crops."""
        anchor, partner = self.temporal.of(window)
        return anchor, self.relation.on_parts(partner, self.spatial, self.intrinsics(intrinsics)[1], labels)

    def intrinsics(self, window: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, window, 3, 3)`` pixels: of the partner's frames, but not moved (`GeometricRelation.on_cameras`)."""
        return self.temporal.of(window)

    def cameras(self, rotation: Tensor, intrinsics: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """``(B, window, 3, 3)`` twice: the world's rotation into the camera and intrinsics, of anchor and partner."""
        (first, turned), (anchor, partner) = self.temporal.of(rotation), self.temporal.of(intrinsics)
        return (first, anchor), self.relation.on_cameras(turned, partner, self.spatial)
