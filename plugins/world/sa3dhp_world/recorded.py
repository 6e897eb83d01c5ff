"""Recorded motion as the world's actors: clips of a motion-capture `.npz` in the house skeleton."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np
import torch
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError

SHARES = {"train": (0.0, 0.7), "validation": (0.7, 0.82), "test": (0.82, 1.0)}
"""Which share of the recording's clips, in an order drawn once, belongs to which split."""


@attrs.frozen
class Recording:
    """Recorded clips: ``positions (N, J, 3)`` metres, z up; first frames and N; contents' names."""

    positions: Tensor
    starts: tuple[int, ...]
    families: tuple[str, ...]


def read_motion(path: Path) -> Recording:
    """Read `positions`, `clip_start`, `clip_names` of an `.npz`; raises `DataError`."""
    expected = "arrays positions (N, 17, 3), clip_start (C + 1), clip_names (C), as in the motion-capture README"
    if not path.is_file():
        raise DataError("no such motion file", where=str(path), expected=expected)
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [key for key in ("positions", "clip_start", "clip_names") if key not in file]
            if missing:
                raise DataError(f"arrays are missing: {', '.join(missing)}", where=str(path), expected=expected)
            positions = torch.from_numpy(np.asarray(file["positions"], dtype=np.float32))
            starts, names = [int(v) for v in file["clip_start"]], [str(v) for v in file["clip_names"]]
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError("not a readable .npz", where=str(path), found=error, expected=expected) from error
    if positions.dim() != 3 or positions.shape[1:] != (len(skeleton()), 3) or starts[-1:] != [len(positions)]:
        raise DataError("wrong shapes", where=str(path), found=tuple(positions.shape), expected=expected)
    if not bool(torch.isfinite(positions).all()):
        raise DataError("positions are not finite", where=str(path), found="NaN or infinity", expected="metres")
    contents = tuple("_".join(name.split("_")[1:2]) or name for name in names)
    return Recording(positions, tuple(starts), contents)


def recorded_actors(
    recording: Recording, split: str, indices: range, frames: int, *seed: object
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Windows of the split's recordings, drawn by the seed and the index.

    Returns:
        Joints ``(C, T, J, 3)`` around the world's origin, girths ``(C,)`` and the recordings' contents.
    """
    total = len(recording.families)
    order = torch.randperm(total, generator=generator_for("recording", total)).tolist()
    low, high = (round(share * total) for share in SHARES[split])
    long = _long(recording, order[low:high], frames)
    if not long:
        raise DataError(f"no recorded clip of {split} has {frames} frames", hint="lower `frames`")
    windows, names = [], []
    for index in indices:
        draws = generator_for("recorded", *seed, index)
        clip = long[int(torch.randint(len(long), (1,), generator=draws))]
        first, last = recording.starts[clip], recording.starts[clip + 1] - frames
        begin = int(torch.randint(first, last + 1, (1,), generator=draws))
        windows.append(_centred(recording.positions[begin : begin + frames]))
        names.append(recording.families[clip])
    return torch.stack(windows), torch.ones(len(windows)), tuple(names)


def recorded_people(recording: Recording, number: int, people: int, frames: int, *seed: object) -> Tensor:
    """The actors ``(people, T, J, 3)`` of video `number`: the beginnings of recorded clips, none used twice before all
    were used once, so that no two videos of a small enough folder show the same motion.
    """
    total = len(recording.families)
    order = torch.randperm(total, generator=generator_for("videos", *seed)).tolist()
    long = _long(recording, order, frames)
    if not long:
        raise DataError(f"no recorded clip has {frames} frames", hint="fewer --seconds")
    chosen = [long[(number * people + person) % len(long)] for person in range(people)]
    return torch.stack(
        [_centred(recording.positions[recording.starts[i] : recording.starts[i] + frames]) for i in chosen]
    )


def _long(recording: Recording, clips: Sequence[int], frames: int) -> list[int]:
    return [i for i in clips if recording.starts[i + 1] - recording.starts[i] >= frames]


def _centred(window: Tensor) -> Tensor:
    """Around the world's vertical axis."""
    return window - window.mean(dim=(0, 1)) * window.new_tensor([1.0, 1.0, 0.0])
