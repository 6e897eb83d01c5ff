"""Keypoints of any pose data, as given cameras around the person see them. Draws nothing and opens no file itself."""

from __future__ import annotations

import math
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import viewpoint
from sa3dhp_core.host import Host
from sa3dhp_core.keypoint_store import ArrayKeypoints, read_truth, write_keypoints
from sa3dhp_core.protocols.data import PoseData
from sa3dhp_core.store import split_file
from sa3dhp_datasets.config import ProjectedPosesConfig

NEAREST_M = 0.5
"""How near to a camera a joint may come."""


class ProjectedPoses:
    """`KeypointData`: each sequence once in each camera; a camera looks at the root from a constant distance.

    Args:
        config: the table.
        host: builds the pose data.
    """

    def __init__(self, config: ProjectedPosesConfig, *, host: Host) -> None:
        self._config = config
        self._poses: PoseData = host.build("pose_data", config.poses, "poses")
        self.splits = self._poses.splits

    def fingerprint(self) -> dict[str, Any]:
        """What the pose data tell of themselves."""
        told: dict[str, Any] = getattr(self._poses, "fingerprint", dict)()
        return told

    def prepare(self, folder: Path) -> None:
        """Prepare the poses, then project every split."""
        if all(split_file(folder, split).is_file() for split in self.splits):
            return
        self._poses.prepare(folder / "poses")
        for split in self.splits:
            if not split_file(folder, split).is_file():
                self._write(folder, split)

    def _write(self, folder: Path, split: str) -> None:
        found = self._poses.sequences(folder / "poses", split)
        seen = [
            (group, *self._seen(motion[:: self._config.stride], camera))
            for group, motion in zip(found.families(), found.sequences(), strict=True)
            for camera in self._cameras()
        ]
        write_keypoints(
            folder,
            split,
            points=torch.cat([points for _, points, _ in seen]),
            starts=torch.tensor([0, *(len(points) for _, points, _ in seen)]).cumsum(0),
            fps=found.fps / self._config.stride,
            licence=found.licence,
            groups=[group for group, _, _ in seen],
            poses=torch.cat([poses for _, _, poses in seen]),
            skeleton=found.skeleton.id,
        )

    def _cameras(self) -> list[tuple[Tensor, float]]:
        """Rotation from the world and distance of each camera."""
        config = self._config
        # one camera an azimuth; cycles have no end
        angles = zip(config.azimuths_deg, cycle(config.elevations_deg), cycle(config.distances_m), strict=False)
        return [(viewpoint(math.radians(a), math.radians(e)), away) for a, e, away in angles]

    def _seen(self, motion: Tensor, camera: tuple[Tensor, float]) -> tuple[Tensor, Tensor]:
        """Keypoints and poses of a sequence in one camera."""
        turn, away_m = camera
        poses = motion @ turn.to(motion).mT
        depth = poses[..., 2:] + away_m
        if bool((depth < NEAREST_M).any()):
            nearest = f"{float(depth.min()):.2f} m"
            raise DataError("a joint comes too near to a camera", where="distances_m", found=nearest)
        return poses[..., :2] / depth, poses

    def keypoints(self, folder: Path, split: str) -> ArrayKeypoints:
        """The split without its truth."""
        return ArrayKeypoints(folder, split)

    def truth(self, folder: Path, split: str) -> Tensor | None:
        """The poses that were projected."""
        return read_truth(folder, split)
