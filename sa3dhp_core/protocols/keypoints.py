"""Keypoint data: 2D joints of tracked people without images, for methods that begin where a 2D estimator ends.

Component target: ``target(config, host=Host) -> KeypointData``. `prepare` does the slow work once into a folder that
the runner keeps; `keypoints` and `truth` read it. The truth has a door of its own, so that nothing learns from it by
accident.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from sa3dhp_core.types import WHOLE, Shard, Skeleton


@runtime_checkable
class Keypoints(Protocol):
    """A split: clips of consecutive frames of one person, each seen by one camera.

    Keypoints are where joints lie on the plane at depth 1 of the camera: undistorted pixels times K inverse, x right,
    y down. A joint that was not seen is NaN in both coordinates, so that none can be taken for a place.
    """

    skeleton: Skeleton
    fps: float
    licence: str

    def __len__(self) -> int:
        """Number of frames."""
        ...

    def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
        """``(B, T, J, 2)`` windows drawn uniformly; raises `DataError` if no clip is that long."""
        ...

    def batches(self, size: int) -> Iterator[Tensor]:
        """Every frame once as ``(<=size, J, 2)``, in order."""
        ...

    def clip_index(self) -> Tensor:
        """``(N,)`` clip that each frame of `batches` belongs to; frames of a clip stand side by side."""
        ...

    def groups(self) -> tuple[str, ...]:
        """Name of the group (subject) of each clip, by which figures may be told apart; empty strings where unknown."""
        ...


class KeypointData(Protocol):
    """What a `keypoint_data` component builds."""

    splits: tuple[str, ...]

    def prepare(self, folder: Path) -> None:
        """Write every split into `folder`; may be interrupted and called again."""
        ...

    def keypoints(self, folder: Path, split: str) -> Keypoints:
        """The split without any label."""
        ...

    def truth(self, folder: Path, split: str) -> Tensor | None:
        """``(N, J, 3)`` metres, root-relative, camera frame, one for each frame; None where there is no truth."""
        ...
