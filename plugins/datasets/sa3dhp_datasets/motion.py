"""Motion as read from any file, resampled in time and written as splits. Knows no file format."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import attrs
import numpy as np
import torch
from numpy.typing import NDArray

from sa3dhp_core.atomic import write_json
from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError, nearest
from sa3dhp_core.protocols.data_files import DataCheck
from sa3dhp_core.store import ArrayPoses, split_file, write_poses
from sa3dhp_datasets.config import MotionConfig
from sa3dhp_datasets.inputs import assign, content_of, matches, offered, with_splits
from sa3dhp_datasets.motion_check import checked

_log = logging.getLogger(__name__)
FPS_RANGE = (0.1, 2000.0)


@attrs.frozen
class Clip:
    """One recorded motion: ``positions (T, J, 3)`` metres, world frame z up, house joint order; float64."""

    name: str
    fps: float
    positions: NDArray[np.float64]
    where: str


def resample(positions: NDArray[np.float64], fps: float, target: float) -> NDArray[np.float64]:
    """Positions ``(T, J, 3)`` at `target` frames per second, over the same time.

    Every n-th frame where the rates allow it. Otherwise neighbours are interpolated bone by bone: directions linearly
    and renormalised, lengths linearly, so that limbs keep their length (a straight line between two positions of a
    swinging hand would shorten its arm).
    """
    ratio = fps / target
    if abs(ratio - round(ratio)) < 1e-3 and round(ratio) >= 1:
        return positions[:: round(ratio)]
    count = int(np.floor((len(positions) - 1) / ratio + 1e-6)) + 1
    time = np.minimum(np.arange(count) * ratio, len(positions) - 1)
    low = np.minimum(time.astype(int), max(len(positions) - 2, 0))
    high = np.minimum(low + 1, len(positions) - 1)
    weight = (time - low)[:, None]
    house = skeleton()
    result = (1 - weight[:, None]) * positions[low] + weight[:, None] * positions[high]
    for joint in house.bones:
        parent = house.parent_indices[joint]
        bone = positions[:, joint] - positions[:, parent]
        straight = (1 - weight) * bone[low] + weight * bone[high]
        lengths = np.linalg.norm(bone, axis=-1, keepdims=True)
        length = (1 - weight) * lengths[low] + weight * lengths[high]
        norm = np.linalg.norm(straight, axis=-1, keepdims=True)
        result[:, joint] = result[:, parent] + straight * np.where(norm > 1e-9, length / np.maximum(norm, 1e-9), 1.0)
    return result


def check_fps(fps: float, where: str) -> float:
    """The rate, if a person can move at it; raises `DataError` otherwise."""
    if not FPS_RANGE[0] <= fps <= FPS_RANGE[1]:
        raise DataError("impossible frame rate", where=where, found=fps, expected=f"{FPS_RANGE[0]} to {FPS_RANGE[1]}")
    return fps


def rate_of(name: str, usual: float, rates: Mapping[str, float]) -> float:
    """Frames per second of a clip: of the first pattern that fits its name, else the usual ones."""
    return next((fps for pattern, fps in rates.items() if fnmatchcase(name, pattern)), usual)


class MotionData:
    """`PoseData` over the clips that `read` finds.

    Args:
        keys: how clips are chosen, resampled and dealt to splits.
        read: gives clips, read lazily, and facts about them, complete when the last clip is read.
    """

    def __init__(self, keys: MotionConfig, read: Callable[[], tuple[Iterable[Clip], Mapping[str, object]]]) -> None:
        self._keys, self._read = keys, read
        self.splits = offered(*_dealt(keys))

    def prepare(self, folder: Path) -> None:
        """Convert all files, once; raises `DataError` on bad input and leaves no half-written split."""
        if not is_prepared(folder, self.splits):
            write_splits(folder, *self._read(), self._keys)

    def check(self) -> DataCheck:
        """Read all clips that the keys choose, at their own rates; raises `DataError` on bad input."""
        named: list[tuple[str, str]] = []
        where, seen = "", set[str]()

        def read() -> Iterator[tuple[str, NDArray[np.float64], float]]:
            nonlocal where
            for clip, content in _chosen(self._read()[0], self._keys, seen):
                named.append((clip.name, content))
                where = where or clip.where
                yield clip.name, clip.positions, clip.fps

        found = checked(read())
        if not named:
            raise _nothing_left(seen, 0, self._keys)
        return with_splits(found, named, *_dealt(self._keys), where)

    def sequences(self, folder: Path, split: str) -> ArrayPoses:
        """The split's motion."""
        return ArrayPoses(folder, split)


def _dealt(keys: MotionConfig) -> tuple[dict[str, float], dict[str, tuple[str, ...]]]:
    """Split to its share of the clips, and split to its shell patterns."""
    patterns = {"validation": keys.validation_contents, "test": keys.test_contents}
    return {"validation": keys.validation, "test": keys.test}, patterns


def write_splits(folder: Path, clips: Iterable[Clip], report: Mapping[str, object], keys: MotionConfig) -> None:
    """Resample, select, split and write motion; ``prepared.json``, written last, says what became of it.

    Args:
        folder: of the prepared data set.
        clips: read lazily.
        report: more facts for ``prepared.json``.
        keys: which clips, at which rate, in which split.

    Raises:
        DataError: no clip is left, rates differ without `fps`, names repeat, or positions are not finite.
    """
    fps, min_frames, content_pattern = keys.fps, keys.min_frames, keys.content_pattern
    shares, patterns = _dealt(keys)
    kept: dict[str, Clip] = {}
    short, seen = 0, set[str]()
    for clip, _ in _chosen(clips, keys, seen):
        positions = clip.positions if fps is None else resample(clip.positions, clip.fps, fps)
        if len(positions) < min_frames:
            short += 1
            continue
        if clip.name in kept:
            raise DataError("two clips have one name", where=clip.where, found=clip.name, hint=kept[clip.name].where)
        kept[clip.name] = attrs.evolve(clip, positions=np.ascontiguousarray(positions), fps=fps or clip.fps)
    if not kept:
        raise _nothing_left(seen, short, keys)
    rates = {clip.fps for clip in kept.values()}
    if len(rates) > 1:
        raise DataError(
            "the files have different frame rates", found=sorted(rates), hint=f"fps = {min(rates):g} resamples them"
        )
    named = [(name, content_of(name, content_pattern)) for name in kept]
    where = next(iter(kept.values())).where
    splits = assign(named, shares, patterns, where)
    for split in offered(shares, patterns):
        chosen = [(kept[name], content) for (name, content), s in zip(named, splits, strict=True) if s == split]
        lengths = [0, *(len(clip.positions) for clip, _ in chosen)]
        write_poses(
            folder,
            split,
            positions=torch.from_numpy(np.concatenate([clip.positions for clip, _ in chosen]).astype(np.float32)),
            starts=torch.tensor(lengths).cumsum(0),
            fps=next(iter(rates)),
            licence=keys.licence,
            families=[content for _, content in chosen],
        )
    facts = {
        **report,
        "clips": len(kept),
        "left_out_short": short,
        "fps": float(next(iter(rates))),
        "licence": keys.licence,
    }
    facts["splits"] = {
        s: [n for (n, _), t in zip(named, splits, strict=True) if t == s] for s in offered(shares, patterns)
    }
    _log.info("prepared %s: %d clips, %s", folder, len(kept), dict(report))
    write_json(folder / "prepared.json", {k: facts[k] for k in sorted(facts)})


def _chosen(clips: Iterable[Clip], keys: MotionConfig, seen: set[str]) -> Iterator[tuple[Clip, str]]:
    """Clips of the wanted contents, and their content; `seen` collects all. Raises `DataError` for bad positions."""
    for clip in clips:
        content = content_of(clip.name, keys.content_pattern)
        seen.add(content)
        if not keys.contents or matches(clip.name, content, keys.contents):
            check_positions(clip)
            yield clip, content


def _nothing_left(seen: set[str], short: int, keys: MotionConfig) -> DataError:
    wanted = f"contents that fit {', '.join(keys.contents)}" if keys.contents else f"clips of {keys.min_frames} frames"
    close = nearest(keys.contents[0], seen) if keys.contents and not short else "a lower min_frames, or longer clips"
    found = f"{len(seen)} contents ({', '.join(sorted(seen)[:20])}), {short} clips under {keys.min_frames} frames"
    return DataError("no clip is left", found=found, expected=wanted, hint=close)


def is_prepared(folder: Path, splits: Sequence[str]) -> bool:
    """Whether `write_splits` has finished in this folder."""
    return (folder / "prepared.json").is_file() and all(split_file(folder, s).is_file() for s in splits)


def check_positions(clip: Clip) -> None:
    """Raise `DataError`, naming clip, frame and joint, where a position is not finite."""
    bad = np.argwhere(~np.isfinite(clip.positions))
    if len(bad):
        frame, joint, _ = bad[0]
        raise DataError(
            "a position is not a finite number",
            where=f"{clip.where}: clip {clip.name}, frame {frame}, joint {skeleton().joints[joint]}",
            found=clip.positions[frame, joint].tolist(),
            expected="metres",
        )
