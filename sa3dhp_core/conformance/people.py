"""Labelled images of the bench: people of soft tubes in a dark room, with part labels and keypoints. Reads no file."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sa3dhp_core.conformance.figures import part_labels, picture
from sa3dhp_core.conformance.strategies import random_poses
from sa3dhp_core.geometry import project, smallest_circle, virtual_camera
from sa3dhp_core.types import WHOLE, LabelledBatch, Shard, Skeleton

DISTANCE_M = 4.0
"""How far away the people stand."""


def crops(poses: Tensor, size: int, skeleton: Skeleton) -> LabelledBatch:
    """Pictures of ``poses (N, J, 3)``, each through the virtual camera that looks at the person's middle."""
    root = poses.new_tensor([0.0, 0.0, DISTANCE_M])
    eye = torch.eye(3).to(poses).expand(len(poses), 3, 3)
    turn, intrinsics = virtual_camera(*smallest_circle(project(poses + root, eye)), eye, size)
    placed = (poses + root) @ turn.mT
    pairs = list(zip(placed, intrinsics, strict=True))
    images, parts = (torch.stack([see(j, k, size, skeleton) for j, k in pairs]) for see in (picture, part_labels))
    return LabelledBatch(images, poses @ turn.mT, parts, intrinsics, project(placed, intrinsics))


class PlainImages:
    """`sa3dhp_core.protocols.data.LabelledImages` of one clip of different people.

    Args:
        skeleton: of the poses. count: number of images. size: of each, pixels. seed: of the poses.
    """

    licence = "made by the conformance kit"

    def __init__(self, skeleton: Skeleton, count: int = 24, size: int = 32, seed: int = 0) -> None:
        self.skeleton = skeleton
        self._all = crops(random_poses(skeleton, seed, count, dtype=torch.float32), size, skeleton)

    def __len__(self) -> int:
        return len(self._all.images)

    def draw(self, count: int, generator: torch.Generator, shard: Shard = WHOLE) -> LabelledBatch:
        """`count` images drawn uniformly over all ranks; this rank's shard."""
        return self._at(torch.randint(len(self), (count,), generator=generator)[shard.rank :: shard.world])

    def batches(self, size: int) -> Iterator[LabelledBatch]:
        """All images once, in order."""
        for start in range(0, len(self), size):
            yield self._at(torch.arange(start, min(start + size, len(self))))

    def clip_index(self) -> Tensor:
        """``(N,)``: all of one clip."""
        return torch.zeros(len(self), dtype=torch.int64)

    def families(self) -> tuple[str, ...]:
        """Unknown."""
        return ("",)

    def _at(self, index: Tensor) -> LabelledBatch:
        one = self._all
        assert one.parts is not None and one.keypoints is not None
        return LabelledBatch(
            one.images[index], one.poses[index], one.parts[index], one.intrinsics[index], one.keypoints[index]
        )
