"""Data sets: labelled images, unlabelled clips, unpaired pose sequences.

Component targets: ``target(config) -> ImageData`` (noun `image_data`) and ``target(config) -> PoseData``
(noun `pose_data`); one with a parameter ``host`` is handed the host, for data that are made of others. `prepare`
does the slow work once (render, decode, crop, convert) into a folder that the runner caches; `open` reads it. Every
draw is a function of its generator alone, so batch k is the same whatever the number of workers, ranks or restarts:
all ranks draw the whole batch's indices and fetch only their shard. Batches are drawn ahead
(`sa3dhp_core.protocols.task.Fed`), so `draw` may be called from several threads at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from sa3dhp_core.types import WHOLE, ClipBatch, FrameFacts, LabelledBatch, Shard, Skeleton


@runtime_checkable
class TellsFrames(Protocol):
    """What a split may tell beside its promise, so that an evaluation protocol can select frames."""

    def frame_facts(self) -> FrameFacts:
        """Subject, camera, number and flags of each frame, in the order of `batches`, as far as they are known."""
        ...


def facts_of(data: object) -> FrameFacts | None:
    """What a split tells of its frames, or None."""
    return data.frame_facts() if isinstance(data, TellsFrames) else None


@runtime_checkable
class LabelledImages(Protocol):
    """Images with poses, cropped by virtual cameras."""

    skeleton: Skeleton
    licence: str

    def __len__(self) -> int:
        """Number of images."""
        ...

    def draw(self, count: int, generator: torch.Generator, shard: Shard = WHOLE) -> LabelledBatch:
        """`count` images drawn uniformly with replacement over all ranks; this rank's shard of them."""
        ...

    def batches(self, size: int) -> Iterator[LabelledBatch]:
        """All images once, in order."""
        ...

    def clip_index(self) -> Tensor:
        """``(N,)`` clip that each image of `batches` belongs to."""
        ...

    def families(self) -> tuple[str, ...]:
        """Name of the motion family (action, content) of each clip; empty strings where unknown."""
        ...


@runtime_checkable
class Clips(Protocol):
    """Unlabelled clips: windows of consecutive frames of one tracked person."""

    fps: float
    licence: str

    def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> ClipBatch:
        """`count` windows of `frames` frames drawn uniformly; raises `DataError` if no clip is that long."""
        ...

    def batches(self, size: int) -> Iterator[Tensor]:
        """Every frame once as images ``(<=size, 3, H, W)``, in order."""
        ...

    def clip_index(self) -> Tensor:
        """``(N,)`` clip that each frame of `batches` belongs to; frames of a clip stand side by side."""
        ...

    def tracked(self, poses: Tensor) -> LabelledImages:
        """The same frames with estimated poses ``(N, J, 3)`` in the place of labels; `DataError` if they do not fit."""
        ...


@runtime_checkable
class PoseSequences(Protocol):
    """Unpaired 3D motion, in a gravity-aligned world frame (right-handed, z up), metres, root-relative."""

    skeleton: Skeleton
    fps: float
    licence: str

    def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
        """``(B, T, J, 3)`` windows drawn uniformly; raises `DataError` if no sequence is that long."""
        ...

    def sequences(self) -> Iterator[Tensor]:
        """Each whole sequence ``(T, J, 3)``, in order."""
        ...

    def families(self) -> tuple[str, ...]:
        """Name of the motion family of each sequence."""
        ...


@runtime_checkable
class ImageData(Protocol):
    """What an `image_data` component builds.

    It may have a ``fingerprint() -> dict``: what beside its table decides the result, for example the numbers behind a
    name in it. Data are prepared anew when that changes. One that claims ``people`` has ``people(source) -> Film``
    (`sa3dhp_core.protocols.people`).
    """

    splits: tuple[str, ...]

    def prepare(self, folder: Path) -> None:
        """Write every split into `folder`; may be interrupted and called again."""
        ...

    def labelled(self, folder: Path, split: str) -> LabelledImages:
        """The split with its poses; raises `DataError` where the set has none."""
        ...

    def clips(self, folder: Path, split: str) -> Clips:
        """The split without any label."""
        ...


@runtime_checkable
class PoseData(Protocol):
    """What a `pose_data` component builds. It may have a ``fingerprint()``, as `ImageData` may."""

    splits: tuple[str, ...]

    def prepare(self, folder: Path) -> None:
        """Write every split into `folder`; may be interrupted and called again."""
        ...

    def sequences(self, folder: Path, split: str) -> PoseSequences:
        """The split's motion."""
        ...
