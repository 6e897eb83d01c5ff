"""Any data set of shots as keypoint data: places on the camera's plane, the lens undone. Opens no picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.keypoint_store import ArrayKeypoints, read_truth, write_keypoints
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.shot_splits import ShotSplits, Stretch, flags_of, numbers_of


class ShotKeypoints(ShotSplits):
    """`KeypointData` over a reader of shots; the groups of its clips are their subjects."""

    def _write(self, folder: Path, split: str, clips: Sequence[Stretch]) -> None:
        solid = [clip.person.joints[clip.rows] for clip in clips if clip.person.joints is not None]
        write_keypoints(
            folder,
            split,
            points=torch.from_numpy(np.concatenate([_plane(clip) for clip in clips])),
            groups=[clip.shot.subject for clip in clips],
            cameras=[clip.shot.camera for clip in clips],
            names=[clip.shot.name for clip in clips],
            numbers=numbers_of(clips),
            flags=flags_of(clips),
            poses=torch.from_numpy(np.concatenate(solid)) if len(solid) == len(clips) else None,
            **self._common(clips),
        )

    def keypoints(self, folder: Path, split: str) -> ArrayKeypoints:
        """The split without its truth."""
        return ArrayKeypoints(folder, self._known(folder, split))

    def truth(self, folder: Path, split: str) -> Tensor | None:
        """The split's true poses, if the set has some."""
        return read_truth(folder, self._known(folder, split))


def _plane(clip: Stretch) -> Array:
    if clip.person.keypoints is None:
        raise DataError("there are no keypoints", where=f"{clip.shot.where}: {clip.shot.title}")
    return clip.shot.lens.plane(clip.person.keypoints[clip.rows])
