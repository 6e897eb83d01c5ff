"""Any data set of shots as image data: exact crops of its people, with poses where the set has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sa3dhp_core.atomic import read_json, write_json
from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_core.store import ArrayClips, ArrayImages, split_file, write_frames
from sa3dhp_core.types import ClipName
from sa3dhp_datasets.config import ShotImagesConfig
from sa3dhp_datasets.dealing import one_rate
from sa3dhp_datasets.shard_pack import Shard, plan_of, shards_of, together, write_shards
from sa3dhp_datasets.shot_crops import Cut, Framing, cut_crops, cut_of
from sa3dhp_datasets.shot_sheet import write_sheet
from sa3dhp_datasets.shot_splits import ShotSplits, Stretch, flags_of, numbers_of
from sa3dhp_datasets.shots import ReadsShots, Shot

Crops = np.memmap[Any, np.dtype[np.uint8]]

SAVED_FRAMES = 500
"""Crops after which progress is written, at the end of a shot: sets of single pictures have very many of them."""


class ShotImages(ShotSplits):
    """`ImageData` over a reader of shots. What an interrupted call has cut is not cut again."""

    def __init__(
        self, config: ShotImagesConfig, read: ReadsShots, card: str, own: Sequence[str] = (), *, licence: str = ""
    ) -> None:
        super().__init__(config, read, card, own, licence=licence)
        self._framing = Framing(config.size, config.box_scale, config.margin)

    def write_sheet(self, path: Path, seed: int) -> Sequence[str]:
        """Draw a few crops with their skeletons; see `shot_sheet.write_sheet`."""
        return write_sheet(path, list(self._shots()), self._framing, seed)

    def pack(
        self, out: Path, *, workers: int, frames: int, quality: int, progress: Callable[[int, int], None]
    ) -> Mapping[str, object]:
        """Write the crops as shards; see `PacksShards` and `write_shards`."""
        facts = {"licence": self._licence, "skeleton": skeleton().id, "data": self._card}
        told = f"{self._framing}|{quality}|{sorted(facts.items())}"
        shards: list[Shard] = []
        for split, clips in self._dealt().items():
            cuts = [cut_of(clip.shot, clip.person, clip.rows, self._framing) for clip in clips]
            one_rate((clip.fps for clip in clips), self._config.path)
            shards += shards_of(split, together(clips, cuts), frames, told)
        size = self._framing.size
        return write_shards(out, shards, facts, size=size, quality=quality, workers=workers, progress=progress)

    def _write(self, folder: Path, split: str, clips: Sequence[Stretch]) -> None:
        if split_file(folder, split).is_file():
            return
        cuts = [cut_of(clip.shot, clip.person, clip.rows, self._framing) for clip in clips]
        poses = [cut.poses for cut in cuts if cut.poses is not None]
        points = [cut.keypoints for cut in cuts if cut.keypoints is not None]
        crops = self._cut(folder, split, clips, cuts)
        write_frames(
            folder,
            split,
            images=torch.from_numpy(crops),
            intrinsics=torch.cat([cut.intrinsics for cut in cuts]),
            poses=torch.cat(poses) if len(poses) == len(cuts) else None,
            keypoints=torch.cat(points) if len(points) == len(cuts) else None,
            families=[clip.shot.family for clip in clips],
            names=[ClipName(clip.shot.subject, clip.shot.name, clip.shot.camera) for clip in clips],
            numbers=numbers_of(clips),
            flags=flags_of(clips),
            **self._common(clips),
        )
        del crops
        for path in _unfinished(folder, split):
            path.unlink(missing_ok=True)

    def _cut(self, folder: Path, split: str, clips: Sequence[Stretch], cuts: Sequence[Cut]) -> Crops:
        """All crops of a split, ``(N, 3, size, size)``, in a file that a further call goes on with."""
        path, log = _unfinished(folder, split)
        plan = plan_of(together(clips, cuts), repr(self._framing))
        done = read_json(log) if log.is_file() and path.is_file() else {}
        kept = done["shots"] if done.get("plan") == plan else 0
        shape = (sum(len(cut.frames) for cut in cuts), 3, self._framing.size, self._framing.size)
        out = np.lib.format.open_memmap(path, "r+" if kept else "w+", np.uint8, shape)
        first, saved, finished = 0, 0, kept
        try:
            for number, (shot, pairs) in enumerate(together(clips, cuts), 1):
                last = first + sum(len(cut.frames) for _, cut in pairs)
                if number > kept:
                    _cut_shot(shot, [cut for _, cut in pairs], self._framing.size, out[first:last])
                    finished = number
                    if last - saved >= SAVED_FRAMES:
                        _save(out, log, plan, finished)
                        kept = finished
                saved = last if number <= kept else saved
                first = last
        finally:
            if finished > kept:
                _save(out, log, plan, finished)
        return out

    def labelled(self, folder: Path, split: str) -> ArrayImages:
        """The split with its poses; raises `DataError` where the set has none."""
        return ArrayImages(folder, self._known(folder, split))

    def clips(self, folder: Path, split: str) -> ArrayClips:
        """The split without any label."""
        return ArrayClips(folder, self._known(folder, split))


def _unfinished(folder: Path, split: str) -> tuple[Path, Path]:
    return folder / f".{split}.crops.npy", folder / f".{split}.progress.json"


def _save(crops: Crops, log: Path, plan: str, finished: int) -> None:
    crops.flush()
    write_json(log, {"plan": plan, "shots": finished})


def _cut_shot(shot: Shot, cuts: Sequence[Cut], size: int, out: NDArray[np.uint8]) -> None:
    if shot.pictures is None:
        where = f"{shot.where}: {shot.title}"
        raise DataError("there are no pictures", where=where, hint="the same data set as keypoint or pose data")
    starts = np.cumsum([0, *(len(cut.frames) for cut in cuts)])
    for clip, row, image in cut_crops(shot.pictures(), shot, cuts, size):
        out[starts[clip] + row] = image.numpy()
