"""What an image synthesis must keep: labelled images of the poses that it is given, exact and repeatable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import torch
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.nouns.image_data import projection_px
from sa3dhp_core.conformance.people import PlainImages
from sa3dhp_core.conformance.promises import BrokenPromise, check, must
from sa3dhp_core.conformance.strategies import seeds
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.conformance.tolerance import need_equal
from sa3dhp_core.errors import Sa3dhpError
from sa3dhp_core.geometry import procrustes
from sa3dhp_core.types import WHOLE, LabelledBatch, Shard

NOUN = "image_synthesis"
SIZE = 32
"""Of the source's images, pixels."""

OFF_PX, TURN = 0.02, 10.0
"""How far a keypoint may lie from its joint's projection, and tolerances that a turn and back may cost."""

MANY = 23
counts = st.sampled_from([1, 3, MANY])


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """A synthesis learns from labelled images, with random numbers of a generator."""
    return {"source": source(bench), "generator": bench.generator("source")}


def source(bench: Bench) -> PlainImages:
    """People of soft tubes with part labels and keypoints."""
    found: PlainImages = bench.once("plain images", lambda: PlainImages(bench.skeleton, size=SIZE))
    return found


def poses_of(bench: Bench, count: int, seed: int = 1) -> Tensor:
    """``(count, J, 3)`` metres, float32."""
    return bench.poses(count, seed=seed, dtype=torch.float32)


@check(NOUN, "makes any number of images of the source's size in [0, 1], with labels that fit, on the poses' device")
def makes_labelled_images(subject: Subject, bench: Bench) -> None:
    synthesis = subject.make(bench)
    for device in bench.devices:
        for count in (1, 3, MANY):
            poses = poses_of(bench, count).to(device)
            _need_batch(synthesis(poses, bench.generator("images")), poses)


def _need_batch(batch: LabelledBatch, poses: Tensor) -> None:
    count = len(poses)
    shapes = {"images": (count, 3, SIZE, SIZE), "poses": tuple(poses.shape), "intrinsics": (count, 3, 3)}
    shapes |= {"parts": (count, SIZE, SIZE), "keypoints": (*poses.shape[:2], 2)}
    for name, shape in shapes.items():
        value = getattr(batch, name)
        if value is None and name in ("parts", "keypoints"):
            continue
        must(tuple(value.shape) == shape, f"{name} are of a wrong shape", tuple(value.shape), shape)
        must(value.device == poses.device, f"{name} are on another device", value.device, poses.device)
        must(bool(value.isfinite().all()), f"{name} are not finite")
    low, high = float(batch.images.min()), float(batch.images.max())
    must(low >= 0 and high <= 1, "images leave [0, 1]", (low, high))
    must(batch.parts is None or batch.parts.dtype == torch.uint8, "part labels are no uint8")


@check(NOUN, "labels its images with the poses that it was given, up to the turn of each crop's virtual camera")
def keeps_the_poses(subject: Subject, bench: Bench) -> None:
    synthesis = subject.make(bench)

    @bench.for_all(seed=seeds, count=counts)
    def holds(seed: int, count: int) -> None:
        poses = poses_of(bench, count, seed)
        found = synthesis(poses, bench.generator("images", seed)).poses
        root = found[:, bench.skeleton.index(bench.skeleton.root)]
        need_equal(root, torch.zeros_like(root), "labels are not root-relative")
        need_equal(procrustes(found, poses, scale=False), poses, "labels are other poses than were asked for", TURN)


@check(NOUN, "gives keypoints where its poses project, inside the crop, where it gives any")
def projects_its_poses(subject: Subject, bench: Bench) -> None:
    synthesis = subject.make(bench)

    @bench.for_all(seed=seeds)
    def holds(seed: int) -> None:
        batch = synthesis(poses_of(bench, 3, seed), bench.generator("images", seed))
        if batch.keypoints is not None:
            apart = projection_px(batch)
            must(apart <= OFF_PX, "keypoints are not where the poses project", f"{apart:.3g} px", f"{OFF_PX} px")
            low, high = float(batch.keypoints.min()), float(batch.keypoints.max())
            must(low >= 0 and high <= SIZE, "a joint lies outside the crop", (low, high), (0, SIZE))


@check(NOUN, "shows the poses: other poses give other images")
def shows_the_poses(subject: Subject, bench: Bench) -> None:
    synthesis = subject.make(bench)
    first, second = (synthesis(poses_of(bench, 3, seed), bench.generator("images")).images for seed in (1, 2))
    must(not bool((first == second).flatten(1).all(dim=1).any()), "two poses are shown by one image")


@check(NOUN, "draws from its generators alone: equal ones, when it is built and called, give equal images")
def draws_from_its_generators_alone(subject: Subject, bench: Bench) -> None:
    poses, state = poses_of(bench, 3), torch.get_rng_state()
    synthesis, other = subject.make(bench), subject.make(bench)
    batches = [one(poses, bench.generator("images")) for one in (synthesis, synthesis, other)]
    must(torch.equal(state, torch.get_rng_state()), "draws from the global generator")
    for batch, what in zip(batches[1:], ("called again", "built again"), strict=True):
        same = torch.equal(batch.images, batches[0].images) and torch.equal(batch.poses, batches[0].poses)
        must(same, f"{what} with an equal generator it makes other images")


@check(NOUN, "leaves the poses that it is given as they were")
def leaves_its_input_alone(subject: Subject, bench: Bench) -> None:
    poses = poses_of(bench, 3)
    kept = poses.clone()
    subject.make(bench)(poses, bench.generator("images"))
    must(torch.equal(poses, kept), "changes the poses that it is given")


@check(NOUN, "meets labelled images that lack what it needs by an error of its type, before it makes any")
def refuses_images_that_lack_something(subject: Subject, bench: Bench) -> None:
    if not subject.rebuilds:
        return
    for lacking in (("parts",), ("keypoints",), ("parts", "keypoints")):
        try:
            synthesis = subject.make(bench, source=Lacking(source(bench), lacking))
        except Sa3dhpError:
            continue
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
            raise BrokenPromise(f"images without {lacking} are met by another error", found, "a Sa3dhpError") from error
        _need_batch(synthesis(poses_of(bench, 3), bench.generator("images")), poses_of(bench, 3))


@attrs.frozen(eq=False)
class Lacking:
    """Labelled images without some labels; implements `sa3dhp_core.protocols.data.LabelledImages`."""

    source: PlainImages
    names: tuple[str, ...]

    @property
    def skeleton(self) -> Any:
        """Of the source."""
        return self.source.skeleton

    @property
    def licence(self) -> str:
        """Of the source."""
        return self.source.licence

    def __len__(self) -> int:
        return len(self.source)

    def draw(self, count: int, generator: torch.Generator, shard: Shard = WHOLE) -> LabelledBatch:
        """The source's draw without the labels."""
        return self._without(self.source.draw(count, generator, shard))

    def batches(self, size: int) -> Iterator[LabelledBatch]:
        """The source's batches without the labels."""
        return map(self._without, self.source.batches(size))

    def clip_index(self) -> Tensor:
        """Of the source."""
        return self.source.clip_index()

    def families(self) -> tuple[str, ...]:
        """Of the source."""
        return self.source.families()

    def _without(self, batch: LabelledBatch) -> LabelledBatch:
        labels = {name: None if name in self.names else getattr(batch, name) for name in ("parts", "keypoints")}
        return LabelledBatch(batch.images, batch.poses, labels["parts"], batch.intrinsics, labels["keypoints"])
