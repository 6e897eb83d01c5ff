"""Unpaired 3D poses out of 2D keypoints: what a finished run's lifter makes of them. Trains nothing, reads no truth."""

from __future__ import annotations

import math
from functools import cached_property
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sa3dhp_core.errors import DataError, RunError
from sa3dhp_core.geometry import viewpoint
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.keypoints import KeypointData, Keypoints
from sa3dhp_core.protocols.lifter import TrainedLifter
from sa3dhp_core.runner import trained_lifter
from sa3dhp_core.store import ArrayPoses, split_file, starts_of, write_poses
from sa3dhp_ites.lifted_config import LiftedPosesConfig
from sa3dhp_ites.scoring import whole

MIRROR = torch.tensor([1.0, 1.0, -1.0])
"""What mirrors a pose in depth."""


class LiftedPoses:
    """`PoseData`: each clip of keypoints, lifted frame by frame and turned upright, is a sequence.

    The lifter's poses are in the camera's frame. Gravity comes from how far each camera looks down; the azimuth is
    left, as it does not matter to whoever draws cameras all around.

    Args:
        config: the table.
        host: builds the keypoints and the run's method.
    """

    def __init__(self, config: LiftedPosesConfig, *, host: Host) -> None:
        self._config, self._host = config, host

    @cached_property
    def _trained(self) -> TrainedLifter:
        run = Path(self._config.run).expanduser()
        if not (run / "recipe.toml").is_file():
            raise RunError(
                "there is no run to lift with",
                where=f"lifted-poses: run = {self._config.run!r}",
                found="no recipe.toml there" if run.exists() else "no such folder",
                expected="a finished run whose method trains a lifter",
                hint=f"sa3dhp run ites-world --out {self._config.run}",
            )
        return trained_lifter(run, self._host)

    @cached_property
    def _given(self) -> KeypointData | None:
        """The keypoints of the table, if it names some."""
        table = self._config.keypoints
        return None if table is None else self._host.build("keypoint_data", table, "keypoints")

    @property
    def splits(self) -> tuple[str, ...]:
        """Those of the keypoints."""
        return self._trained.splits if self._given is None else self._given.splits

    def fingerprint(self) -> dict[str, Any]:
        """The lifter's weights, and what the keypoints tell of themselves."""
        told: dict[str, Any] = getattr(self._given, "fingerprint", dict)()
        return {"lifter": dict(self._trained.identity), "keypoints": told}

    def prepare(self, folder: Path) -> None:
        """Lift every split.

        Raises:
            RunError: there is no such run, or it is not finished.
            DataError: the keypoints are of another skeleton than the lifter.
        """
        wanted = [split for split in self.splits if not split_file(folder, split).is_file()]
        if wanted and self._given is not None:
            self._given.prepare(folder / "keypoints")
        for split in wanted:
            self._write(folder, split)

    def sequences(self, folder: Path, split: str) -> ArrayPoses:
        """The split's motion."""
        return ArrayPoses(folder, split)

    def _write(self, folder: Path, split: str) -> None:
        keypoints = self._opened(folder, split)
        lengths = keypoints.clip_index().bincount()
        write_poses(
            folder,
            split,
            positions=upright(self._trained.lift(whole(keypoints)), lengths, self._config),
            starts=starts_of(lengths),
            fps=keypoints.fps,
            licence=keypoints.licence,
            families=keypoints.groups(),
            skeleton=keypoints.skeleton.id,
        )

    def _opened(self, folder: Path, split: str) -> Keypoints:
        if self._given is None:
            return self._trained.keypoints(split)
        found, wanted = self._given.keypoints(folder / "keypoints", split), self._trained.skeleton
        if found.skeleton != wanted:
            raise DataError(
                "keypoints of another skeleton than the lifter's",
                where="lifted-poses: keypoints",
                found=found.skeleton.id,
                expected=wanted.id,
            )
        return found


def upright(poses: Tensor, lengths: Tensor, config: LiftedPosesConfig) -> Tensor:
    """Camera-frame poses ``(N, J, 3)`` of clips of these lengths ``(C,)``, in a gravity-aligned world, z up."""
    given = torch.tensor(config.elevations_deg, dtype=poses.dtype).deg2rad()
    if config.mirror == "yes" or (config.mirror == "upright" and mirrored(poses, given)):
        poses = poses * MIRROR.to(poses)
    if len(given) == 0:
        given = torch.tensor([looks_down(poses)], dtype=poses.dtype)
    clips = torch.stack(list(islice(cycle(given), len(lengths))))
    return poses @ viewpoint(0.0, clips).repeat_interleave(lengths, dim=0)


def mirrored(poses: Tensor, elevations: Tensor) -> bool:
    """Whether poses ``(N, J, 3)`` lean against what cameras at these elevations, radians, see of people upright."""
    return looks_down(poses) * float(elevations.mean()) < 0


def looks_down(poses: Tensor) -> float:
    """How far the camera of poses ``(N, J, 3)`` looks down if people stand upright on the mean, radians.

    Their mean over all headings is a vertical line of joints: its direction is the first principal axis.
    """
    mean = poses.double().mean(dim=0)
    axis = torch.linalg.svd(mean - mean.mean(dim=0))[2][0]
    up = axis if axis[1] < 0 else -axis
    return math.atan2(-float(up[2]), -float(up[1]))
