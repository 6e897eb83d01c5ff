"""Keypoint data that each break one promise, beside some that keep all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance import Subject
from sa3dhp_core.keypoint_store import ArrayKeypoints, read_truth, write_keypoints
from sa3dhp_core.store import split_file
from sa3dhp_core.types import WHOLE, Shard

BODY = skeleton()
FRAMES, COUNT, AWAY_M = 5, 3, 4.0


class Seen:
    """Three clips a split, a joint unseen here and there; a subclass breaks one thing."""

    splits: tuple[str, ...] = ("train", "test")
    face: type[ArrayKeypoints] = ArrayKeypoints
    licence, size, groups = "ours", 1.0, ("anna", "bert", "anna")

    def prepare(self, folder: Path) -> None:
        for split in self.splits:
            if not split_file(folder, split).exists():
                self.write(folder, split)

    def write(self, folder: Path, split: str) -> None:
        poses = self.drawn(split)
        poses = poses - poses[:, [BODY.index(BODY.root)]]
        points = self.size * poses[..., :2] / (poses[..., 2:] + AWAY_M)
        points[::4, BODY.index("left_wrist")] = torch.nan
        starts = torch.arange(COUNT + 1) * FRAMES
        facts: dict[str, Any] = {"fps": 50.0, "licence": self.licence, "groups": self.groups}
        write_keypoints(folder, split, points=points, starts=starts, poses=poses, **facts)

    def drawn(self, split: str) -> Tensor:
        return 0.4 * torch.randn(COUNT * FRAMES, len(BODY), 3, generator=generator_for(split))

    def keypoints(self, folder: Path, split: str) -> Any:
        return self.face(folder, split)

    def truth(self, folder: Path, split: str) -> Tensor | None:
        return read_truth(folder, split)


class Repeated(Seen):
    splits = ("train", "train")


class Unlicensed(Seen):
    licence = " "


class Pixels(Seen):
    size = 1000.0


class Backward(Seen):
    class face(ArrayKeypoints):  # noqa: N801
        def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
            return super().draw(count, frames, generator, shard).flip(1)


class Restless(Seen):
    class face(ArrayKeypoints):  # noqa: N801
        def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
            return super().draw(count, frames, torch.default_generator, shard)


class Shared(Seen):
    """Tests on a clip that is learned from."""

    def drawn(self, split: str) -> Tensor:
        return torch.cat([super().drawn(split)[FRAMES:], super().drawn("both")[:FRAMES]])


class Unseen(Seen):
    """A clip of each split shows nobody: no reason to call it the same."""

    def keypoints(self, folder: Path, split: str) -> Any:
        found = self.face(folder, split)
        found._points[:FRAMES] = torch.nan
        return found


class Eager(Seen):
    def keypoints(self, folder: Path, split: str) -> Any:
        return ArrayKeypoints(folder, self.splits[self.splits.index(split)])


class Repeating(Seen):
    def prepare(self, folder: Path) -> None:
        for split in self.splits:
            self.write(folder, split)


class Mirrored(Seen):
    """A truth of another frame: y up."""

    def truth(self, folder: Path, split: str) -> Tensor | None:
        poses = read_truth(folder, split)
        return None if poses is None else poses * torch.tensor([1.0, -1.0, 1.0])


def made(kind: type[Seen], *claims: str) -> Subject:
    """Data, built anew at every call, with these claims."""
    return Subject("keypoint_data", kind.__name__.lower(), lambda bench: kind(), capabilities=frozenset(claims))


GOOD = [made(Seen, "truth", "groups"), made(Unseen, "groups")]
BROKEN = {
    "names-its-splits": made(Repeated),
    "states-what-it-is": made(Unlicensed),
    "gives-places-on-the-camera-plane": made(Pixels),
    "draws-windows": made(Backward),
    "draws-repeat-and-are-shared": made(Restless),
    "splits-share-nothing": made(Shared),
    "refuses-what-it-does-not-have": made(Eager),
    "prepares-again-without-change": made(Repeating),
    "truth-projects-onto-the-keypoints": made(Mirrored, "truth"),
}
