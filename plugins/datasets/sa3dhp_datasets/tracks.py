"""Person boxes beside a video: read, checked, joined into gap-free tracks, smoothed, resampled. Opens no video."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.errors import DataError, nearest

Boxes = NDArray[np.float64]


@attrs.frozen
class Track:
    """A person over consecutive video frames: ``boxes (T, 4)`` x, y, width, height in pixels from frame `first`.

    Pixel coordinates are those of keypoints: the centre of the first pixel is (0, 0).
    """

    identity: int
    first: int
    boxes: Boxes


def whole_frame(width: int, height: int, frames: int) -> tuple[Track, ...]:
    """One track that is the whole frame all the time."""
    return (Track(0, 0, np.tile(np.asarray([-0.5, -0.5, width, height], dtype=np.float64), (frames, 1))),)


def read_boxes(path: Path, width: int, height: int, frames: int) -> dict[int, dict[int, Boxes]]:
    """Boxes by track and frame from JSON lines ``{"frame": 0, "track": 1, "box": [x, y, w, h]}``.

    Raises:
        DataError: naming the line: no JSON, a key missing or of wrong type, a box without size or wholly outside the
            frame, a frame that the video lacks, a repeated box; or no line at all.
    """
    tracks: dict[int, dict[int, Boxes]] = {}
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        frame, identity, box = _line(line, where)
        x, y, w, h = box
        if w <= 0 or h <= 0:
            raise DataError("a box without size", where=where, found=box, expected="[x, y, width > 0, height > 0]")
        if x >= width or y >= height or x + w <= 0 or y + h <= 0:
            found, expected = f"[x, y, w, h] = {box}", f"a part of it within {width} x {height} pixels"
            raise DataError("a box outside the frame", where=where, found=found, expected=expected)
        if frame >= frames:
            raise DataError(
                "a frame beyond the video",
                where=where,
                found=frame,
                expected=f"0 to {frames - 1}",
                hint="frames count from 0, in the order they are shown",
            )
        if frame in tracks.setdefault(identity, {}):
            raise DataError("a track has two boxes in a frame", where=where, found=f"track {identity}, frame {frame}")
        tracks[identity][frame] = np.asarray(box)
    if not tracks:
        raise DataError(
            "the file of boxes is empty",
            where=str(path),
            expected='lines such as {"frame": 0, "track": 1, "box": [10, 20, 50, 120]}',
            hint="remove the file to use whole frames",
        )
    return tracks


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from file
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"the boxes cannot be read: {error}", where=str(path)) from error


def _line(line: str, where: str) -> tuple[int, int, list[float]]:
    try:
        record: Any = json.loads(line)
    except (json.JSONDecodeError, RecursionError, ValueError) as error:
        raise DataError(f"not JSON: {error}", where=where, found=line[:80], expected="a JSON object") from error
    if not isinstance(record, dict):
        raise DataError(
            "not a JSON object", where=where, found=line[:80], expected='{"frame": …, "track": …, "box": …}'
        )
    for key in ("frame", "track", "box"):
        if key not in record:
            raise DataError(
                f"the key {key!r} is missing",
                where=where,
                found=", ".join(map(str, record)) or "{}",
                hint=nearest(key, record),
            )
    for key in ("frame", "track"):
        if type(record[key]) is not int or record[key] < 0:
            raise DataError(f"{key} is no whole number from 0", where=where, found=repr(record[key])[:80])
    box = record["box"]
    numbers = isinstance(box, list) and len(box) == 4 and all(type(x) in (int, float) for x in box)
    if not numbers or not all(math.isfinite(x) and abs(x) < 1e9 for x in box):
        raise DataError("box is not four finite numbers", where=where, found=repr(box)[:80], expected="[x, y, w, h]")
    return record["frame"], record["track"], [float(x) for x in box]


def join(boxes: dict[int, dict[int, Boxes]], max_gap: int) -> tuple[Track, ...]:
    """Tracks without gaps, by identity and time: gaps up to `max_gap` frames are interpolated, longer ones split."""
    result = []
    for identity in sorted(boxes):
        frames = sorted(boxes[identity])
        cuts = [i for i, (a, b) in enumerate(pairwise(frames), 1) if b - a - 1 > max_gap]
        for start, end in pairwise([0, *cuts, len(frames)]):
            part = frames[start:end]
            known = np.stack([boxes[identity][frame] for frame in part])
            every = np.arange(part[0], part[-1] + 1)
            filled = np.stack([np.interp(every, part, known[:, column]) for column in range(4)], axis=1)
            result.append(Track(identity, part[0], filled))
    return tuple(result)


def smooth(track: Track, half_width: int) -> Track:
    """Boxes averaged with triangular weights over ``±half_width`` frames; at the ends over what is there."""
    if half_width < 1:
        return track
    weights = half_width + 1.0 - np.abs(np.arange(-half_width, half_width + 1))
    length = len(track.boxes)
    total = np.convolve(np.ones(length), weights)[half_width : half_width + length]
    columns = [np.convolve(track.boxes[:, c], weights)[half_width : half_width + length] / total for c in range(4)]
    return attrs.evolve(track, boxes=np.stack(columns, axis=1))


def sample(track: Track, times_s: NDArray[np.float64], fps: float) -> NDArray[np.int64]:
    """Video frames of a track at the ticks k / fps within it, each the nearest in time; may repeat frames.

    Args:
        track: gap-free.
        times_s: ``(frames,)`` when each video frame is shown, rising.
        fps: ticks a second.
    """
    last = track.first + len(track.boxes) - 1
    low, high = times_s[track.first], times_s[last]
    ticks = np.arange(math.ceil(low * fps - 1e-6), math.floor(high * fps + 1e-6) + 1) / fps
    right = np.clip(np.searchsorted(times_s, ticks - 1e-9), track.first, last)
    left = np.clip(right - 1, track.first, last)
    nearer_left = np.abs(times_s[left] - ticks) <= np.abs(times_s[right] - ticks)
    return np.where(nearer_left, left, right).astype(np.int64)
