"""Lifters: 2D keypoints to 3D poses.

Component target: ``target(config, skeleton=Skeleton) -> Lifter``.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Lifter(Protocol):
    """A `torch.nn.Module`."""

    def __call__(self, keypoints: Tensor) -> Tensor:
        """Normalised camera-plane keypoints ``(..., J, 2)`` (pixels times K inverse) -> ``(..., J, 3)`` metres.

        Root-relative, camera frame; in evaluation mode each person is lifted alone.
        """
        ...
