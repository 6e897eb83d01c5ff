"""What image data must keep: exact crops of people, splits that share nothing, draws that repeat, honest trouble."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.data_sets import (
    Content,
    digests,
    freshly_prepared,
    need_again_without_change,
    need_disjoint,
    need_facts,
    need_generator_alone,
    need_going_on,
    need_honest_damage,
    need_honest_input,
    need_people,
    need_refusal,
    need_shards,
    need_splits,
    prepared,
)
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import project, root_position
from sa3dhp_core.types import WHOLE, LabelledBatch, Shard, Skeleton

NOUN = "image_data"
COUNT, TOO_LONG, SIZES = 12, 1_000_000, (5, 1000)
"""Items of a draw, a window that no clip has, and sizes of the batches that a split is read in."""


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """Image data are built from their keys alone."""
    return {}


def labelled(data: Any, folder: Path, split: str) -> Any:
    """The split with its poses, or None where it has none."""
    try:
        return data.labelled(folder, split)
    except DataError:
        return None


def with_poses(subject: Subject, bench: Bench) -> Iterator[tuple[str, Any]]:
    """The splits that have poses, by name."""
    whole = prepared(subject, bench)
    found = ((split, labelled(whole.data, whole.folder, split)) for split in whole.data.splits)
    return ((split, images) for split, images in found if images is not None)


def every_clips(subject: Subject, bench: Bench) -> Iterator[tuple[str, Any]]:
    """The splits without any label, by name."""
    whole = prepared(subject, bench)
    return ((split, whole.data.clips(whole.folder, split)) for split in whole.data.splits)


def faces(subject: Subject, bench: Bench) -> Iterator[tuple[str, Any]]:
    """Both faces of every split, by name."""
    yield from every_clips(subject, bench)
    yield from with_poses(subject, bench)


def images_of(face: Any, size: int = SIZES[-1]) -> Tensor:
    """All images ``(N, 3, H, W)`` of a face, in order."""
    return torch.cat([getattr(batch, "images", batch) for batch in face.batches(size)])


def content(data: Any, folder: Path) -> Content:
    """A digest of every frame of every split, with its pose where there is one."""
    found = {}
    for split in data.splits:
        frames = list(images_of(data.clips(folder, split)))
        if (images := labelled(data, folder, split)) is not None:
            poses = torch.cat([batch.poses for batch in images.batches(SIZES[-1])])
            frames = [torch.cat([f.flatten(), p.flatten()]) for f, p in zip(frames, poses, strict=True)]
        found[split] = digests(frames)
    return found


def pixels(data: Any, folder: Path) -> Content:
    """A digest of the image of every frame."""
    return {split: digests(images_of(data.clips(folder, split))) for split in data.splits}


@check(NOUN, "names its splits, `train` among them, and each of them can be opened as clips")
def names_its_splits(subject: Subject, bench: Bench) -> None:
    whole = prepared(subject, bench)
    need_splits(whole.data.splits)
    for split, clips in every_clips(subject, bench):
        must(len(clips.clip_index()) > 0, f"the split {split} is empty")


@check(NOUN, "states skeleton, licence, frame rate and the motion family of every clip")
def states_what_it_is(subject: Subject, bench: Bench) -> None:
    for _, face in faces(subject, bench):
        need_facts(face)
    for split, images in with_poses(subject, bench):
        must(isinstance(images.skeleton, Skeleton), f"{split} states no skeleton", repr(images.skeleton))
        families, clips = images.families(), int(images.clip_index().max()) + 1
        told = isinstance(families, tuple) and len(families) == clips
        must(told, "families are not one for each clip", families, f"a tuple of {clips}")


@check(NOUN, "has poses, part labels and named families where it claims them")
def has_what_it_claims(subject: Subject, bench: Bench) -> None:
    whole, claims = prepared(subject, bench), subject.capabilities
    found = dict(with_poses(subject, bench))
    must("labels" not in claims or len(found) == len(whole.data.splits), "a split has no poses", list(found))
    for split, images in found.items():
        must("families" not in claims or all(images.families()), f"a clip of {split} has no family", images.families())
        batch = images.draw(COUNT, bench.generator("claims"))
        has_parts = batch.parts is not None and bool(batch.parts.any())
        must("parts" not in claims or has_parts, f"images of {split} have no part labels")


@check(NOUN, "gives square images in [0, 1], root-relative people in metres, pinhole cameras and labels that fit")
def gives_crops_of_people(subject: Subject, bench: Bench) -> None:
    for _, clips in every_clips(subject, bench):
        window = clips.draw(2, 1, bench.generator("crops"))
        _need_crops(window.images.flatten(0, 1), window.intrinsics.flatten(0, 1))
    for _, images in with_poses(subject, bench):
        batch = images.draw(COUNT, bench.generator("crops"))
        _need_crops(batch.images, batch.intrinsics)
        poses = torch.cat([one.poses for one in images.batches(SIZES[-1])])
        need_people(poses, images.skeleton)
        _need_labels(batch, images.skeleton)


def _need_crops(images: Tensor, intrinsics: Tensor) -> None:
    count, side = len(images), images.shape[-1]
    must(images.shape == (count, 3, side, side), "images are no squares of three colours", tuple(images.shape))
    low, high = float(images.min()), float(images.max())
    fits = images.dtype == torch.float32 and low >= 0 and high <= 1
    must(fits, "images are no float32 in [0, 1]", (images.dtype, low, high))
    must(intrinsics.shape == (count, 3, 3), "cameras do not fit the images", tuple(intrinsics.shape))
    focal = intrinsics.diagonal(dim1=-2, dim2=-1)[:, :2]
    bottom = torch.equal(intrinsics[:, 2], intrinsics.new_tensor([0.0, 0.0, 1.0]).expand(count, 3))
    must(bottom and bool((focal > 0).all()), "a camera is no pinhole", intrinsics[0].tolist())


def _need_labels(batch: LabelledBatch, body: Skeleton) -> None:
    shape = (len(batch.images), *batch.images.shape[-2:])
    if batch.parts is not None:
        found = (tuple(batch.parts.shape), batch.parts.dtype)
        must(found == (shape, torch.uint8), "part labels do not fit the images", found, (shape, torch.uint8))
    if batch.keypoints is not None:
        wanted = (len(batch.images), len(body), 2)
        must(batch.keypoints.shape == wanted, "keypoints do not fit", tuple(batch.keypoints.shape), wanted)


@check(NOUN, "projects its poses onto its keypoints, up to its figure", ["projection-px"])
def projects_its_poses(subject: Subject, bench: Bench) -> None:
    limit, seen = subject.figures["projection-px"], 0
    for split, images in with_poses(subject, bench):
        for batch in images.batches(SIZES[-1]):
            if batch.keypoints is not None:
                seen += len(batch.keypoints)
                apart = projection_px(batch)
                must(apart <= limit, f"keypoints of {split} are not where the poses project", apart, f"at most {limit}")
    must(seen, "the figure is about keypoints, and there are none")


def projection_px(batch: LabelledBatch) -> float:
    """Largest distance of a keypoint from its joint's projection, the root placed where it fits best; pixels."""
    assert batch.keypoints is not None
    poses, camera, keypoints = batch.poses.double(), batch.intrinsics.double(), batch.keypoints.double()
    root = root_position(poses, keypoints, camera)
    return float((project(poses + root[:, None], camera) - keypoints).norm(dim=-1).max())


@check(NOUN, "lists every frame once in `batches` of any size, clip by clip as `clip_index` says")
def lists_frames_in_order(subject: Subject, bench: Bench) -> None:
    with_labels = dict(with_poses(subject, bench))
    for split, clips in every_clips(subject, bench):
        whole, index = images_of(clips), clips.clip_index()
        must(index.shape == (len(whole),), "clip_index is not one number a frame", tuple(index.shape), len(whole))
        steps = index.diff()
        beside = int(index[0]) == 0 and bool(((steps == 0) | (steps == 1)).all())
        must(beside, "frames of a clip do not stand side by side", index.tolist()[:20])
        must(torch.equal(images_of(clips, SIZES[0]), whole), "the batches' size changes the frames or their order")
        if (images := with_labels.get(split)) is not None:
            must(torch.equal(images_of(images, SIZES[0]), whole), "images with and without poses differ")
            must(torch.equal(images.clip_index(), index) and len(images) == len(whole), "the faces count differently")


@check(NOUN, "draws windows of consecutive frames of the clip that it names, and refuses windows that no clip has")
def cuts_consecutive_frames(subject: Subject, bench: Bench) -> None:
    for _, clips in every_clips(subject, bench):
        frames, index = images_of(clips), clips.clip_index()
        length = max(1, min(4, int(index.bincount().max())))
        batch = clips.draw(COUNT, length, bench.generator("windows"))
        wanted = (COUNT, length, *frames.shape[1:])
        must(batch.images.shape == wanted, "windows of a wrong shape", tuple(batch.images.shape), wanted)
        for window, clip in zip(batch.images, batch.clips.tolist(), strict=True):
            own = frames[index == clip]
            starts = range(len(own) - length + 1)
            consecutive = any(torch.equal(own[start : start + length], window) for start in starts)
            must(consecutive, f"a window does not consist of consecutive frames of clip {clip}")
        generator = bench.generator("windows")
        need_refusal(partial(clips.draw, 1, TOO_LONG, generator), "draws a window that no clip has")


def _clips(clips: Any, generator: torch.Generator, shard: Shard = WHOLE) -> list[Tensor]:
    return _tensors(clips.draw(COUNT, 1, generator, shard))


def _images(images: Any, generator: torch.Generator, shard: Shard = WHOLE) -> list[Tensor]:
    return _tensors(images.draw(COUNT, generator, shard))


def _tensors(batch: Any) -> list[Tensor]:
    """What a batch holds; keypoints that were not seen, NaN, are made a number: NaN equals nothing."""
    found = [getattr(batch, name, None) for name in ("images", "intrinsics", "poses", "parts", "clips")]
    if (keypoints := getattr(batch, "keypoints", None)) is not None:
        found.append(keypoints.nan_to_num(9.0))
    return [value for value in found if value is not None]


@check(NOUN, "draws from the generator that it is given alone")
def draws_from_its_generator_alone(subject: Subject, bench: Bench) -> None:
    for _, clips in every_clips(subject, bench):
        need_generator_alone(partial(_clips, clips), bench)
    for _, images in with_poses(subject, bench):
        need_generator_alone(partial(_images, images), bench)


@check(NOUN, "shares a draw out among processes: their shards, taken in turn, are the whole draw")
def shards_make_up_the_whole(subject: Subject, bench: Bench) -> None:
    for _, clips in every_clips(subject, bench):
        need_shards(partial(_clips, clips), bench)
    for _, images in with_poses(subject, bench):
        need_shards(partial(_images, images), bench)


@check(NOUN, "shares nothing between splits: no image of one is in another")
def splits_share_nothing(subject: Subject, bench: Bench) -> None:
    whole = prepared(subject, bench)
    need_disjoint(pixels(whole.data, whole.folder))


@check(NOUN, "takes estimated poses in the place of labels for every frame of its clips, and refuses others")
def takes_tracks(subject: Subject, bench: Bench) -> None:
    for _, clips in every_clips(subject, bench):
        frames = images_of(clips)
        poses = bench.poses(len(frames), seed=1, dtype=torch.float32)
        found = clips.tracked(poses)
        same = torch.equal(torch.cat([b.poses for b in found.batches(SIZES[0])]), poses)
        must(same and torch.equal(images_of(found), frames), "tracked clips are not the frames with the given poses")
        need_refusal(partial(clips.tracked, poses[1:]), "takes fewer poses than there are frames")


@check(NOUN, "refuses a split that it does not have, and a folder that is not prepared")
def refuses_what_it_does_not_have(subject: Subject, bench: Bench) -> None:
    whole, empty = prepared(subject, bench), bench.folder()
    need_refusal(lambda: whole.data.clips(whole.folder, "no-such-split"), "opens a split that there is not")
    need_refusal(lambda: whole.data.clips(empty, "train"), "opens a folder that is not prepared")
    need_refusal(lambda: whole.data.labelled(empty, "train"), "opens a folder that is not prepared")


@check(NOUN, "prepares a folder that is prepared without touching it")
def prepares_again_without_change(subject: Subject, bench: Bench) -> None:
    need_again_without_change(freshly_prepared(subject, bench), content)


@check(NOUN, "goes on where preparing was interrupted, and ends with the same data")
def goes_on_after_an_interruption(subject: Subject, bench: Bench) -> None:
    need_going_on(prepared(subject, bench), bench, content)


@check(NOUN, "meets a damaged prepared file by an error of its type, or reads the same in spite of it")
def refuses_damaged_files(subject: Subject, bench: Bench) -> None:
    known = [split for split, _ in with_poses(subject, bench)]

    def read(data: Any, folder: Path) -> Content:
        for split in known:
            data.labelled(folder, split)  # poses that are no longer there are no end to what is read
        return content(data, folder)

    need_honest_damage(prepared(subject, bench), bench, read)


@check(NOUN, "meets damaged input files by errors of their type")
def refuses_damaged_input(subject: Subject, bench: Bench) -> None:
    need_honest_input(subject, bench, content)
