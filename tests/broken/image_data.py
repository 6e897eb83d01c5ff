"""Image data that each break one promise, beside some that keep all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors.torch import load_file
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.cards import skeleton
from sa3dhp_core.components import Component
from sa3dhp_core.conformance import Subject
from sa3dhp_core.conformance.strategies import random_poses
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import project
from sa3dhp_core.store import ArrayClips, ArrayImages, split_file, write_frames
from sa3dhp_core.types import WHOLE, ClipBatch, LabelledBatch, Shard

BODY = skeleton()
SIZE, FRAMES, CLIPS = 16, 5, 2
PLACE = "tests.broken.image_data"


class Noise:
    """Noise with poses and keypoints that fit; a subclass breaks one thing."""

    splits: tuple[str, ...] = ("train", "validation", "test")
    licence, scale, parts = "ours", 1.0, True
    labelled_face, clips_face = ArrayImages, ArrayClips

    def __init__(self, config: Any = None) -> None:
        self.config, self.calls = config, 0

    def prepare(self, folder: Path) -> None:
        for number, split in enumerate(self.splits):
            if not split_file(folder, split).exists():
                self.write(folder, split, number)

    def write(self, folder: Path, split: str, number: int) -> None:
        count = FRAMES * CLIPS
        poses = random_poses(BODY, number, count, dtype=torch.float32)
        camera = torch.tensor([[40.0, 0, SIZE / 2], [0, 40.0, SIZE / 2], [0, 0, 1]])
        write_frames(
            folder,
            split,
            images=self.images(split, (count, 3, SIZE, SIZE)),
            starts=torch.arange(CLIPS + 1) * FRAMES,
            intrinsics=camera.expand(count, 3, 3),
            fps=30.0,
            licence=self.licence,
            poses=self.scale * poses,
            parts=torch.ones(count, SIZE, SIZE, dtype=torch.uint8) if self.parts else None,
            keypoints=self.keypoints(poses, camera),
            families=("walk",) * CLIPS,
        )

    def images(self, split: str, shape: tuple[int, ...]) -> Tensor:
        return torch.randint(0, 256, shape, generator=generator_for(split), dtype=torch.uint8)

    def keypoints(self, poses: Tensor, camera: Tensor) -> Tensor:
        return project(poses + poses.new_tensor([0.0, 0.0, 4.0]), camera)

    def labelled(self, folder: Path, split: str) -> Any:
        return self.labelled_face(folder, split)

    def clips(self, folder: Path, split: str) -> Any:
        return self.clips_face(folder, split)


class Trainless(Noise):
    splits = ("validation", "test")


class Unlicensed(Noise):
    licence = ""


class Partless(Noise):
    parts = False


class Inches(Noise):
    """Poses in inches."""

    scale = 39.37


class Offset(Noise):
    """Keypoints count from the first pixel's centre."""

    def keypoints(self, poses: Tensor, camera: Tensor) -> Tensor:
        moved = super().keypoints(poses, camera)
        moved[:, BODY.index("head")] -= 0.5
        return moved


class Backwards(Noise):
    """Its labelled images come in another order than its clips."""

    class labelled_face(ArrayImages):  # noqa: N801
        def batches(self, size: int) -> Any:
            yield from reversed(list(super().batches(size)))


class Reversed(Noise):
    """Windows run backward."""

    class clips_face(ArrayClips):  # noqa: N801
        def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> ClipBatch:
            batch = super().draw(count, frames, generator, shard)
            return attrs.evolve(batch, images=batch.images.flip(1)) if frames > 1 else batch


class Restless(Noise):
    """Draws from the global generator."""

    class labelled_face(ArrayImages):  # noqa: N801
        def draw(self, count: int, generator: torch.Generator, shard: Shard = WHOLE) -> LabelledBatch:
            return super().draw(count, torch.default_generator, shard)


class Hoarding(Noise):
    """Every process computes the whole batch's first part."""

    class labelled_face(ArrayImages):  # noqa: N801
        def draw(self, count: int, generator: torch.Generator, shard: Shard = WHOLE) -> LabelledBatch:
            return super().draw(count // shard.world, generator)


class Leaking(Noise):
    """Its last test frame is a training frame."""

    def images(self, split: str, shape: tuple[int, ...]) -> Tensor:
        images = super().images(split, shape)
        if split == "test":
            images[-1] = super().images("train", shape)[0]
        return images


class Stubborn(Noise):
    """Takes any estimates and keeps its own."""

    class clips_face(ArrayClips):  # noqa: N801
        def tracked(self, poses: Tensor) -> ArrayImages:
            return ArrayImages(self._folder, self._split)


class Eager(Noise):
    """Raises what Python raises."""

    def clips(self, folder: Path, split: str) -> Any:
        return ArrayClips(folder, {name: name for name in self.splits}[split])


class Repeating(Noise):
    """Writes all again at every call."""

    def prepare(self, folder: Path) -> None:
        for number, split in enumerate(self.splits):
            self.write(folder, split, number)


class Forgetful(Noise):
    """After an interruption the rest is drawn anew."""

    def prepare(self, folder: Path) -> None:
        if all(split_file(folder, split).exists() for split in self.splits):
            return
        self.calls += 1
        super().prepare(folder)

    def images(self, split: str, shape: tuple[int, ...]) -> Tensor:
        return torch.randint(0, 256, shape, generator=generator_for(split, self.calls), dtype=torch.uint8)


class Trusting(Noise):
    """A damaged file raises what its reader raises."""

    def labelled(self, folder: Path, split: str) -> Any:
        if split_file(folder, split).is_file():
            load_file(str(split_file(folder, split)))
        return super().labelled(folder, split)


class Written(Noise):
    """Reads a number from a file, as Python does it."""

    def prepare(self, folder: Path) -> None:
        int((Path(self.config.path) / "frames.txt").read_text(encoding="utf-8"))
        super().prepare(folder)


def inputs(folder: Path) -> dict[str, Any]:
    """A number in a file."""
    (folder / "frames.txt").write_text("10", encoding="utf-8")
    return {"path": str(folder)}


class Headless(Noise):
    """Heads were not seen."""

    def keypoints(self, poses: Tensor, camera: Tensor) -> Tensor:
        seen = super().keypoints(poses, camera)
        seen[:, BODY.index("head")] = torch.nan
        return seen


class Unlabelled(Noise):
    """Has no poses."""

    def labelled(self, folder: Path, split: str) -> Any:
        raise DataError("there is no truth", where=str(folder))


def made(kind: type[Noise], *claims: str) -> Subject:
    """Data, built anew at every call, with these claims."""
    return Subject(
        "image_data",
        kind.__name__.lower(),
        lambda bench, **parts: kind(),
        capabilities=frozenset(claims),
        figures={"projection-px": 0.01},
    )


READING = Component(
    "image_data",
    "written",
    "a part of the tests",
    "tests.broken.keys:PathKeys",
    f"{PLACE}:Written",
    example=f"{PLACE}:inputs",
)
GOOD = [
    made(Noise, "labels", "clips", "parts", "families"),
    attrs.evolve(made(Unlabelled, "clips"), figures={}),
    attrs.evolve(made(Headless, "labels"), figures={}),
]
BROKEN = {
    "names-its-splits": made(Trainless),
    "states-what-it-is": made(Unlicensed),
    "has-what-it-claims": made(Partless, "parts"),
    "gives-crops-of-people": made(Inches),
    "projects-its-poses": made(Offset),
    "lists-frames-in-order": made(Backwards),
    "cuts-consecutive-frames": made(Reversed),
    "draws-from-its-generator-alone": made(Restless),
    "shards-make-up-the-whole": made(Hoarding),
    "splits-share-nothing": made(Leaking),
    "takes-tracks": made(Stubborn),
    "refuses-what-it-does-not-have": made(Eager),
    "prepares-again-without-change": made(Repeating),
    "goes-on-after-an-interruption": made(Forgetful),
    "refuses-damaged-files": made(Trusting),
    "refuses-damaged-input": Subject.offered(READING),
}
