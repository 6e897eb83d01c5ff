"""Array-backed data sets: the safetensors files that data components prepare, and the protocol faces over them.

Knows no data set. A split is one file; images are uint8 and memory-mapped by the reader.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from sa3dhp_core.atomic import read_meta, read_tensors, write_tensors
from sa3dhp_core.cards import skeleton as skeleton_card
from sa3dhp_core.errors import DataError
from sa3dhp_core.types import WHOLE, ClipBatch, ClipName, FrameFacts, LabelledBatch, Shard

FLAG = "flag."
"""What the names of stored flags begin with."""


def split_file(folder: Path, split: str) -> Path:
    """Where a split of a prepared data set lies."""
    return folder / f"{split}.safetensors"


def write_frames(
    folder: Path,
    split: str,
    *,
    images: Tensor,
    starts: Tensor,
    intrinsics: Tensor,
    fps: float,
    licence: str,
    poses: Tensor | None = None,
    parts: Tensor | None = None,
    keypoints: Tensor | None = None,
    families: Sequence[str] = (),
    names: Sequence[ClipName] = (),
    numbers: Tensor | None = None,
    flags: Mapping[str, Tensor] | None = None,
    skeleton: str = "h36m-17",
) -> None:
    """Write one split of cropped frames, atomically.

    Args:
        folder: of the prepared data set.
        split: its name.
        images: ``(N, 3, H, W)`` uint8.
        starts: ``(C + 1,)`` first frame of each clip, and N.
        intrinsics: ``(N, 3, 3)`` of each frame's virtual camera, pixels.
        fps: frames per second.
        licence: of the footage.
        poses: ``(N, J, 3)`` metres, root-relative, in the virtual camera; None where there is no truth.
        parts: ``(N, H, W)`` uint8 part labels, 0 is background.
        keypoints: ``(N, J, 2)`` pixels of the crop.
        families: name of each clip's motion family.
        names: subject, name and camera of each clip.
        numbers: ``(N,)`` each frame's number in its video.
        flags: name of a flag to ``(N,)`` whether each frame carries it.
        skeleton: card id.

    Raises:
        DataError: the lengths do not fit, or a pose is not finite.
    """
    where = str(split_file(folder, split))
    count = images.shape[0]
    tensors = {"images": images, "starts": starts.to(torch.int64), "intrinsics": intrinsics.float()}
    told = {"poses": poses, "parts": parts, "keypoints": keypoints, "numbers": numbers}
    told |= {f"{FLAG}{name}": flag for name, flag in (flags or {}).items()}
    for name, value in told.items():
        if value is not None:
            tensors[name] = value.float() if value.is_floating_point() else value
            if value.shape[0] != count:
                raise DataError(f"{name} do not fit the images", where=where, found=len(value), expected=count)
    if int(starts[-1]) != count or bool((starts.diff() <= 0).any()):
        raise DataError("clip starts do not rise to the number of frames", where=where, found=starts.tolist()[-3:])
    if poses is not None:
        _check_finite("poses", poses, where)
    meta = {"fps": fps, "licence": licence, "families": list(families), "skeleton": skeleton, "names": list(names)}
    write_tensors(split_file(folder, split), tensors, meta)


def _check_finite(what: str, values: Tensor, where: str) -> None:
    if not bool(torch.isfinite(values).all()):
        raise DataError(f"{what} are not finite", where=where, found="NaN or infinity", expected="metres")


class Pixels(Protocol):
    """The images of a split where its file holds none: indexed as the tensor ``(N, 3, H, W)`` uint8 would be."""

    def __len__(self) -> int:
        """N."""
        ...

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """``(*index.shape, 3, H, W)`` uint8; raises `DataError` for what cannot be read."""
        ...


class _Frames:
    """What both faces share: a split's arrays and windows."""

    def __init__(self, folder: Path, split: str, pixels: Pixels | None = None) -> None:
        path = split_file(folder, split)
        self._folder, self._split = folder, split
        self.where = str(path)
        self._tensors = read_tensors(path)
        self._pixels: Pixels = self._tensors["images"] if pixels is None else pixels
        meta = read_meta(path)
        self.fps = float(meta["fps"])
        self.licence = str(meta["licence"])
        self.skeleton = skeleton_card(meta["skeleton"])
        starts = self._tensors["starts"]
        self._families = tuple(meta["families"]) or ("",) * (len(starts) - 1)
        self._names = tuple(ClipName(*name) for name in meta.get("names", ()))
        self._starts = starts

    def __len__(self) -> int:
        return len(self._pixels)

    def families(self) -> tuple[str, ...]:
        """Motion family of each clip, empty where unknown."""
        return self._families

    def clip_index(self) -> Tensor:
        """``(N,)`` clip of each frame."""
        return torch.repeat_interleave(torch.arange(len(self._starts) - 1), self._starts.diff())

    def frame_facts(self) -> FrameFacts:
        """Subject, camera, number and flags of each frame, where they were written."""
        names = [self._names[clip] for clip in self.clip_index().tolist()] if self._names else []
        flags = {key.removeprefix(FLAG): flag for key, flag in self._tensors.items() if key.startswith(FLAG)}
        return FrameFacts(
            [name.subject for name in names] or None,
            [name.camera for name in names] or None,
            self._tensors.get("numbers"),
            flags,
        )

    def _images(self, index: Tensor | slice) -> Tensor:
        return self._pixels[index].float().div_(255.0)


class ArrayImages(_Frames):
    """`LabelledImages` over a prepared split, with its own poses or those that are given.

    Raises:
        DataError: there are no poses, or those given are not as many as the frames or not finite.
    """

    def __init__(self, folder: Path, split: str, poses: Tensor | None = None, pixels: Pixels | None = None) -> None:
        super().__init__(folder, split, pixels)
        if poses is not None:
            expected = (len(self), len(self.skeleton), 3)
            if tuple(poses.shape) != expected:
                raise DataError("poses do not fit", where=self.where, found=tuple(poses.shape), expected=expected)
            _check_finite("poses", poses, self.where)
            self._tensors = {**self._tensors, "poses": poses}
        if "poses" not in self._tensors:
            raise DataError("this split has no ground-truth poses", where=self.where, hint="use it as unlabelled clips")

    def _batch(self, index: Tensor | slice) -> LabelledBatch:
        further = {name: self._tensors[name][index] for name in ("parts", "keypoints") if name in self._tensors}
        return LabelledBatch(
            images=self._images(index),
            poses=self._tensors["poses"][index],
            intrinsics=self._tensors["intrinsics"][index],
            parts=further.get("parts"),
            keypoints=further.get("keypoints"),
        )

    def draw(self, count: int, generator: torch.Generator, shard: Shard = WHOLE) -> LabelledBatch:
        """`count` images drawn uniformly over all ranks; this rank's shard."""
        index = torch.randint(len(self), (count,), generator=generator)
        return self._batch(index[shard.rank :: shard.world])

    def batches(self, size: int) -> Iterator[LabelledBatch]:
        """All images once, in order."""
        for start in range(0, len(self), size):
            yield self._batch(slice(start, start + size))


class ArrayClips(_Frames):
    """`Clips` over a prepared split. It reads no label even where the file has some."""

    def __init__(self, folder: Path, split: str, pixels: Pixels | None = None) -> None:
        super().__init__(folder, split, pixels)
        kept = ("starts", "intrinsics", "numbers")
        self._tensors = {k: v for k, v in self._tensors.items() if k in kept or k.startswith(FLAG)}
        self._windows = Windows(self._starts, self.where)

    def tracked(self, poses: Tensor) -> ArrayImages:
        """The same frames, labelled by estimated poses ``(N, J, 3)``; raises `DataError` if they do not fit."""
        return ArrayImages(self._folder, self._split, poses, self._pixels)

    def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> ClipBatch:
        """`count` windows drawn uniformly over all windows of `frames` frames; this rank's shard."""
        first, clip = self._windows.draw(count, frames, generator, shard)
        index = first[:, None] + torch.arange(frames)
        return ClipBatch(self._images(index), self._tensors["intrinsics"][index], clip)

    def batches(self, size: int) -> Iterator[Tensor]:
        """Every frame once, in order."""
        for start in range(0, len(self), size):
            yield self._images(slice(start, start + size))


def starts_of(lengths: Tensor) -> Tensor:
    """What comes before each of C clips of so many frames ``(C,)``, and in all: ``(C + 1,)``."""
    return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])


class Windows:
    """Windows of a split's clips.

    Args:
        starts: ``(C + 1,)`` first frame of each clip, and their end.
        where: the file, for messages.
    """

    def __init__(self, starts: Tensor, where: str) -> None:
        self._starts, self._where = starts, where
        self._before: dict[int, Tensor] = {}

    def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> tuple[Tensor, Tensor]:
        """First frames ``(b,)`` and clips ``(b,)`` of this rank's of `count` windows, uniformly over all that fit.

        Raises:
            DataError: none does.
        """
        before = self._counted(frames)
        pick = torch.randint(int(before[-1]), (count,), generator=generator)[shard.rank :: shard.world].contiguous()
        clip = torch.searchsorted(before[1:], pick, right=True)
        return self._starts[clip] + pick - before[clip], clip

    def _counted(self, frames: int) -> Tensor:
        """How many windows there are before each clip, and in all; ``(C + 1,)``, counted once."""
        if frames not in self._before:
            lengths = self._starts.diff()
            room = (lengths - frames + 1).clamp(min=0)
            if int(room.sum()) == 0:
                raise DataError(
                    "no clip is long enough for the window that the recipe needs",
                    where=self._where,
                    found=f"longest clip: {int(lengths.max())} frames",
                    expected=f"at least {frames} frames",
                    hint="longer clips, a lower fps, or relations with a shorter window",
                )
            self._before[frames] = starts_of(room)
        return self._before[frames]


def write_poses(
    folder: Path,
    split: str,
    *,
    positions: Tensor,
    starts: Tensor,
    fps: float,
    licence: str,
    families: Sequence[str] = (),
    skeleton: str = "h36m-17",
) -> None:
    """Write one split of motion: ``positions (N, J, 3)`` metres, world frame z up (made root-relative here).

    Raises:
        DataError: the lengths do not fit, or a position is not finite.
    """
    where = str(split_file(folder, split))
    _check_finite("positions", positions, where)
    if int(starts[-1]) != len(positions) or bool((starts.diff() <= 0).any()):
        raise DataError("sequence starts do not rise to the number of frames", where=where, found=starts.tolist()[-3:])
    root = skeleton_card(skeleton).index(skeleton_card(skeleton).root)
    relative = positions - positions[:, root : root + 1]
    meta = {"fps": fps, "licence": licence, "families": list(families), "skeleton": skeleton}
    write_tensors(split_file(folder, split), {"positions": relative.float(), "starts": starts.to(torch.int64)}, meta)


class ArrayPoses:
    """`PoseSequences` over a prepared split."""

    def __init__(self, folder: Path, split: str) -> None:
        path = split_file(folder, split)
        self.where = str(path)
        tensors = read_tensors(path)
        meta = read_meta(path)
        self._positions, self._starts = tensors["positions"], tensors["starts"]
        self._windows = Windows(self._starts, self.where)
        self.fps = float(meta["fps"])
        self.licence = str(meta["licence"])
        self.skeleton = skeleton_card(meta["skeleton"])
        self._families = tuple(meta["families"]) or ("",) * (len(self._starts) - 1)

    def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
        """``(B, T, J, 3)`` windows drawn uniformly over all that fit; this rank's shard."""
        first, _ = self._windows.draw(count, frames, generator, shard)
        return self._positions[first[:, None] + torch.arange(frames)]

    def sequences(self) -> Iterator[Tensor]:
        """Each whole sequence ``(T, J, 3)``."""
        bounds = self._starts.tolist()
        for start, end in pairwise(bounds):
            yield self._positions[start:end]

    def families(self) -> tuple[str, ...]:
        """Motion family of each sequence."""
        return self._families
