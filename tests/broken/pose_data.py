"""Pose data that each break one promise, beside some that keep all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.cards import skeleton
from sa3dhp_core.components import Component
from sa3dhp_core.conformance import Subject
from sa3dhp_core.geometry import forward_kinematics, standard_lengths
from sa3dhp_core.store import ArrayPoses, split_file, write_poses
from sa3dhp_core.types import WHOLE, Shard

BODY = skeleton()
FRAMES, COUNT = 6, 2
PLACE = "tests.broken.pose_data"


def standing(*seed: object) -> Tensor:
    """``(COUNT * FRAMES, J, 3)``: heads up, feet down, everything a little beside."""
    lead = (COUNT * FRAMES, len(BODY))
    directions = 0.3 * torch.randn(*lead, 3, generator=generator_for(*seed))
    for index, joint in enumerate(BODY.joints):
        directions[:, index, 2] += -1.0 if joint.endswith(("knee", "ankle")) else 1.0
    directions = torch.nn.functional.normalize(directions, dim=-1)
    return forward_kinematics(directions, standard_lengths(BODY, directions).expand(lead), BODY)


class Motion:
    """Two sequences a split; a subclass breaks one thing."""

    splits: tuple[str, ...] = ("train", "test")
    face: type[ArrayPoses] = ArrayPoses
    licence = "ours"

    def __init__(self, config: Any = None) -> None:
        self.config, self.calls = config, 0

    def prepare(self, folder: Path) -> None:
        for split in self.splits:
            if not split_file(folder, split).exists():
                self.write(folder, split)

    def write(self, folder: Path, split: str) -> None:
        write_poses(
            folder,
            split,
            positions=self.positions(split),
            starts=torch.arange(COUNT + 1) * FRAMES,
            fps=30.0,
            licence=self.licence,
            families=("walk",) * COUNT,
        )

    def positions(self, split: str) -> Tensor:
        return standing(split)

    def sequences(self, folder: Path, split: str) -> Any:
        return self.face(folder, split)


class Repeated(Motion):
    splits = ("train", "train")


class Unlicensed(Motion):
    licence = " "


class Millimetres(Motion):
    def positions(self, split: str) -> Tensor:
        return 1000 * standing(split)


class Inverted(Motion):
    """The camera's y, which points down, taken for z."""

    def positions(self, split: str) -> Tensor:
        return standing(split) * torch.tensor([1.0, -1.0, -1.0])


class Reversed(Motion):
    """Windows run backward."""

    class face(ArrayPoses):  # noqa: N801
        def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
            return super().draw(count, frames, generator, shard).flip(1)


class Restless(Motion):
    """Draws from the global generator."""

    class face(ArrayPoses):  # noqa: N801
        def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
            return super().draw(count, frames, torch.default_generator, shard)


class Blockwise(Motion):
    """Shards are blocks of the batch, not every n-th item."""

    class face(ArrayPoses):  # noqa: N801
        def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
            return super().draw(count, frames, generator).chunk(shard.world)[shard.rank]


class Shared(Motion):
    """Trains on a test sequence."""

    def positions(self, split: str) -> Tensor:
        return torch.cat([standing(split)[:FRAMES], standing("both")[:FRAMES]])


class Eager(Motion):
    """Raises what Python raises."""

    def sequences(self, folder: Path, split: str) -> Any:
        return ArrayPoses(folder, self.splits[self.splits.index(split)])


class Repeating(Motion):
    """Writes all again at every call."""

    def prepare(self, folder: Path) -> None:
        for split in self.splits:
            self.write(folder, split)


class Forgetful(Motion):
    """After an interruption the rest is drawn anew."""

    def prepare(self, folder: Path) -> None:
        if not all(split_file(folder, split).exists() for split in self.splits):
            self.calls += 1
            super().prepare(folder)

    def positions(self, split: str) -> Tensor:
        return standing(split, self.calls)


class Trusting(Motion):
    """A damaged file raises what its reader raises."""

    def sequences(self, folder: Path, split: str) -> Any:
        if split_file(folder, split).is_file():
            load_file(str(split_file(folder, split)))
        return super().sequences(folder, split)


class Written(Motion):
    """Reads a number from a file, as Python does it."""

    def prepare(self, folder: Path) -> None:
        int((Path(self.config.path) / "frames.txt").read_text(encoding="utf-8"))
        super().prepare(folder)


def made(kind: type[Motion], *claims: str) -> Subject:
    """Data, built anew at every call, with these claims."""
    return Subject("pose_data", kind.__name__.lower(), lambda bench, **parts: kind(), capabilities=frozenset(claims))


READING = Component(
    "pose_data",
    "written",
    "a part of the tests",
    "tests.broken.keys:PathKeys",
    f"{PLACE}:Written",
    example="tests.broken.image_data:inputs",
)
GOOD = [made(Motion, "families"), Subject.given(Motion())]
BROKEN = {
    "names-its-splits": made(Repeated),
    "states-what-it-is": made(Unlicensed),
    "gives-people": made(Millimetres),
    "stands-upright": made(Inverted),
    "cuts-consecutive-frames": made(Reversed),
    "draws-from-its-generator-alone": made(Restless),
    "shards-make-up-the-whole": made(Blockwise),
    "splits-share-nothing": made(Shared),
    "refuses-what-it-does-not-have": made(Eager),
    "prepares-again-without-change": made(Repeating),
    "goes-on-after-an-interruption": made(Forgetful),
    "refuses-damaged-files": made(Trusting),
    "refuses-damaged-input": Subject.offered(READING),
}
