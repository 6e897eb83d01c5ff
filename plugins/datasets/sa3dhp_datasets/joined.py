"""Several image data sets as one. Reads no file itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.data import Clips, ImageData, LabelledImages, facts_of
from sa3dhp_core.types import WHOLE, ClipBatch, FrameFacts, LabelledBatch, Shard
from sa3dhp_datasets.config import JoinedConfig
from sa3dhp_datasets.dealing import known_split, one_rate
from sa3dhp_datasets.inputs import SPLITS


class Joined:
    """`ImageData` of several: a split is that split of all parts that have it.

    Args:
        config: the table.
        host: builds the parts.

    Raises:
        RecipeError: not as many weights as parts.
    """

    def __init__(self, config: JoinedConfig, *, host: Host) -> None:
        if config.weights and len(config.weights) != len(config.parts):
            expected = f"{len(config.parts)}, one a part"
            raise RecipeError(
                "weights do not fit the parts", where="weights", found=len(config.weights), expected=expected
            )
        self._weights = config.weights
        self._parts: list[ImageData] = [
            host.build("image_data", table, f"parts[{number}]") for number, table in enumerate(config.parts)
        ]

    @property
    def splits(self) -> tuple[str, ...]:
        """Those that any part has."""
        return tuple(split for split in SPLITS if any(split in part.splits for part in self._parts))

    def fingerprint(self) -> dict[str, Any]:
        """What the parts tell."""
        told: list[Any] = [getattr(part, "fingerprint", dict)() for part in self._parts]
        return {"parts": told}

    def prepare(self, folder: Path) -> None:
        """Prepare each part into a folder of its own."""
        for number, part in enumerate(self._parts):
            room = folder / str(number)
            room.mkdir(parents=True, exist_ok=True)
            part.prepare(room)

    def labelled(self, folder: Path, split: str) -> JoinedImages:
        """The split with its poses; raises `DataError` where a part has none."""
        numbers = self._with(split)
        parts = [self._parts[number].labelled(folder / str(number), split) for number in numbers]
        return JoinedImages(parts, self._shares(numbers))

    def clips(self, folder: Path, split: str) -> JoinedClips:
        """The split without any label."""
        numbers = self._with(split)
        parts = [self._parts[number].clips(folder / str(number), split) for number in numbers]
        return JoinedClips(parts, self._shares(numbers))

    def _with(self, split: str) -> list[int]:
        known_split(split, self.splits)
        return [number for number, part in enumerate(self._parts) if split in part.splits]

    def _shares(self, numbers: Sequence[int]) -> list[float]:
        return [self._weights[number] for number in numbers] if self._weights else []


def counts_of(shares: Tensor, count: int, generator: torch.Generator) -> list[int]:
    """How many of `count` items each part gives, drawn by the parts' shares."""
    drawn = torch.multinomial(shares, count, replacement=True, generator=generator)
    return torch.bincount(drawn, minlength=len(shares)).tolist()


def turned(shard: Shard, before: int) -> Shard:
    """The shard of items that stand behind `before` others in a batch whose items are dealt round."""
    return Shard((shard.rank - before) % shard.world, shard.world)


class _Several:
    """What both kinds share."""

    def __init__(self, parts: Sequence[Any], weights: Sequence[float]) -> None:
        sizes = [float(len(part.clip_index())) for part in parts]
        self._shares = torch.tensor(list(weights) or sizes, dtype=torch.float64)
        self._all = parts
        self.licence = "; ".join(dict.fromkeys(part.licence for part in parts))

    def clip_index(self) -> Tensor:
        """``(N,)`` clip of each frame, part after part."""
        found, before = [], 0
        for part in self._all:
            index = part.clip_index()
            found.append(index + before)
            before += int(index[-1]) + 1
        return torch.cat(found)

    def families(self) -> tuple[str, ...]:
        """Motion family of each clip, part after part."""
        return tuple(chain.from_iterable(part.families() for part in self._all))

    def frame_facts(self) -> FrameFacts:
        """What the parts tell of their frames; a frame of a part that tells no name has none, and carries no flag."""
        told = [facts_of(part) or FrameFacts() for part in self._all]
        sizes = [len(part.clip_index()) for part in self._all]
        numbers = [facts.numbers for facts in told if facts.numbers is not None]
        flags = {name for facts in told for name in facts.flags}
        return FrameFacts(
            _names([facts.subjects for facts in told], sizes),
            _names([facts.cameras for facts in told], sizes),
            torch.cat(numbers) if len(numbers) == len(told) else None,
            {
                name: torch.cat([_flag(facts, name, size) for facts, size in zip(told, sizes, strict=True)])
                for name in sorted(flags)
            },
        )


def _names(each: Sequence[Sequence[str] | None], sizes: Sequence[int]) -> list[str] | None:
    if all(names is None for names in each):
        return None
    return [name for names, size in zip(each, sizes, strict=True) for name in (names or [""] * size)]


def _flag(facts: FrameFacts, name: str, size: int) -> Tensor:
    return facts.flags.get(name, torch.zeros(size, dtype=torch.bool))


class JoinedImages(_Several):
    """`LabelledImages` of several sets; raises `DataError` where their skeletons differ."""

    def __init__(self, parts: Sequence[LabelledImages], weights: Sequence[float]) -> None:
        super().__init__(parts, weights)
        self._parts = parts
        skeletons = [part.skeleton.id for part in parts]
        if len(set(skeletons)) > 1:
            raise DataError("the parts have several skeletons", found=", ".join(skeletons), expected="one")
        self.skeleton = parts[0].skeleton

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def draw(self, count: int, generator: torch.Generator, shard: Shard = WHOLE) -> LabelledBatch:
        """`count` images, each of a part drawn by its weight; this rank's shard."""
        batches, before = [], 0
        for part, several in zip(self._parts, counts_of(self._shares, count, generator), strict=True):
            if several:
                batches.append(part.draw(several, generator, turned(shard, before)))
            before += several
        return _one_batch([batch for batch in batches if len(batch.images)] or batches[:1])

    def batches(self, size: int) -> Iterator[LabelledBatch]:
        """All images once, part after part."""
        return chain.from_iterable(part.batches(size) for part in self._parts)


def _one_batch(batches: Sequence[LabelledBatch]) -> LabelledBatch:
    _need_one_size([batch.images for batch in batches])
    parts = [batch.parts for batch in batches if batch.parts is not None]
    keypoints = [batch.keypoints for batch in batches if batch.keypoints is not None]
    return LabelledBatch(
        images=torch.cat([batch.images for batch in batches]),
        poses=torch.cat([batch.poses for batch in batches]),
        intrinsics=torch.cat([batch.intrinsics for batch in batches]),
        parts=torch.cat(parts) if len(parts) == len(batches) else None,
        keypoints=torch.cat(keypoints) if len(keypoints) == len(batches) else None,
    )


def _need_one_size(images: Sequence[Tensor]) -> None:
    sizes = sorted({image.shape[-1] for image in images})
    if len(sizes) > 1:
        hint = "one `size` in all parts"
        raise DataError("the parts have crops of several sizes", found=", ".join(map(str, sizes)), hint=hint)


class JoinedClips(_Several):
    """`Clips` of several sets."""

    def __init__(self, parts: Sequence[Clips], weights: Sequence[float]) -> None:
        super().__init__(parts, weights)
        self._parts = parts

    @property
    def fps(self) -> float:
        """That of all parts; raises `DataError` where theirs differ, so that windows would."""
        return one_rate((part.fps for part in self._parts), "parts")

    def draw(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> ClipBatch:
        """`count` windows, each of a part drawn by its weight; this rank's shard. Raises `DataError` as `fps` does."""
        _ = self.fps
        found: list[tuple[ClipBatch, int]] = []
        before = clips = 0
        for part, several in zip(self._parts, counts_of(self._shares, count, generator), strict=True):
            if several:
                found.append((part.draw(several, frames, generator, turned(shard, before)), clips))
            before += several
            clips += int(part.clip_index()[-1]) + 1
        _need_one_size([batch.images for batch, _ in found])
        return ClipBatch(
            torch.cat([batch.images for batch, _ in found]),
            torch.cat([batch.intrinsics for batch, _ in found]),
            torch.cat([batch.clips + first for batch, first in found]),
        )

    def batches(self, size: int) -> Iterator[Tensor]:
        """Every frame once, part after part."""
        return chain.from_iterable(part.batches(size) for part in self._parts)

    def tracked(self, poses: Tensor) -> JoinedImages:
        """The same frames with estimated poses ``(N, J, 3)``; raises `DataError` if they do not fit."""
        lengths = [len(part.clip_index()) for part in self._parts]
        if len(poses) != sum(lengths):
            raise DataError("poses do not fit", where="parts", found=len(poses), expected=sum(lengths))
        pairs = zip(self._parts, poses.split(lengths), strict=True)
        return JoinedImages([part.tracked(some) for part, some in pairs], self._shares.tolist())
