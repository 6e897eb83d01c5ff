"""Any data set of shots as motion in a world with z up, each recording once. Opens no picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from sa3dhp_core.errors import DataError
from sa3dhp_core.store import ArrayPoses, write_poses
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.shot_splits import ShotSplits, Stretch
from sa3dhp_datasets.shots import Shot


class ShotMotion(ShotSplits):
    """`PoseData` over a reader of shots: of several cameras that saw a recording, the first."""

    def _shots(self) -> Iterator[tuple[str, Shot]]:
        seen: set[tuple[str, str]] = set()
        for split, shot in super()._shots():
            if (shot.subject, shot.name) not in seen:
                seen.add((shot.subject, shot.name))
                yield split, shot

    def _write(self, folder: Path, split: str, clips: Sequence[Stretch]) -> None:
        positions = torch.from_numpy(np.concatenate([_standing(clip) for clip in clips]))
        families = [clip.shot.family for clip in clips]
        write_poses(folder, split, positions=positions, families=families, **self._common(clips))

    def sequences(self, folder: Path, split: str) -> ArrayPoses:
        """The split's motion."""
        return ArrayPoses(folder, self._known(folder, split))


def _standing(clip: Stretch) -> Array:
    """A clip's joints in the world; raises `DataError` where there are none, or the camera's turn is not known."""
    where = f"{clip.shot.where}: {clip.shot.title}"
    if clip.person.joints is None:
        raise DataError("there are no joints", where=where)
    if clip.shot.upright is None:
        raise DataError("how the camera stands is not known", where=where, hint="another data set for motion")
    turns = clip.shot.upright
    if turns.ndim == 3:
        turns = turns[clip.person.frames[clip.rows]]
    return clip.person.joints[clip.rows] @ turns.swapaxes(-1, -2)
