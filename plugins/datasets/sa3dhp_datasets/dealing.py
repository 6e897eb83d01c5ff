"""Which shots a table chooses, and the split of each. Reads no file."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from sa3dhp_core.errors import DataError, nearest
from sa3dhp_datasets.config import RecordingsConfig
from sa3dhp_datasets.inputs import SPLITS
from sa3dhp_datasets.shots import ReadsShots, Shot

PICTURES = (".jpg", ".jpeg", ".png", ".bmp")


def chosen(config: RecordingsConfig, read: ReadsShots) -> Iterator[tuple[str, Shot]]:
    """Split and shot of all that a table asks for.

    A shot is where the keys `validation` and `test` put it, else where the set itself does, else in train.

    Raises:
        DataError: see the reader; or nothing fits the table's patterns.
    """
    seen, taken = [], 0
    for shot in read(config):
        split = split_of(config, shot)
        seen.append(f"{split}: {shot.title}")
        if _asked_for(config, shot) and (not config.splits or split in config.splits):
            taken += 1
            yield split, shot
    if not taken:
        keys = ("subjects", "cameras", "recordings", "splits")
        asked = {key: getattr(config, key) for key in keys if getattr(config, key)}
        found = f"{len(seen)} recordings: {', '.join(seen[:5])}" if seen else "none"
        hint = nearest(str(next(iter(asked.values()))[0]), seen) if asked and seen else None
        raise DataError("no recording fits", where=config.path, found=found, expected=asked or "one", hint=hint)


def _asked_for(config: RecordingsConfig, shot: Shot) -> bool:
    asked = (
        (config.subjects, (shot.subject,)),
        (config.cameras, (shot.camera,)),
        (config.recordings, (shot.name, shot.family)),
    )
    return all(not patterns or _fits(names, patterns) for patterns, names in asked)


def _fits(names: Iterable[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def split_of(config: RecordingsConfig, shot: Shot) -> str:
    """Where a shot belongs."""
    names = (shot.subject, shot.name, f"{shot.subject}/{shot.name}")
    for split, patterns in (("test", config.test), ("validation", config.validation)):
        if _fits(names, patterns):
            return split
    return shot.split or "train"


def offered_by(config: RecordingsConfig, own: Sequence[str]) -> tuple[str, ...]:
    """The splits that there may be: those that the set has of its own, and those that the table makes."""
    made = {"train": not own, "validation": config.validation, "test": config.test}
    return tuple(split for split in config.splits or SPLITS if split in own or made[split])


def fingerprint_of(config: RecordingsConfig) -> dict[str, Any]:
    """What would be read anew: sizes and times of a folder's files and those beside it of its name, pictures by number.

    Of a path that is a file, its own size and time; nothing where nothing is there.
    """
    path = Path(config.path).expanduser()
    if not config.path or not path.exists():
        return {}
    told = hashlib.sha256()
    for file in (path, *sorted(path.parent.glob(f"{glob.escape(path.name)}.*"))):
        told.update(_stamp(file, path.parent) if file.is_file() else b"")
    for here, folders, names in os.walk(path):
        folders.sort()
        others = sorted(name for name in names if not name.lower().endswith(PICTURES))
        told.update(f"{os.path.relpath(here, path)}: {len(names) - len(others)} pictures\n".encode())
        for file in (Path(here, name) for name in others):
            told.update(_stamp(file, path) if file.is_file() else b"")
    return {"files": told.hexdigest()}


def _stamp(file: Path, folder: Path) -> bytes:
    stat = file.stat()
    return f"{file.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}\n".encode("utf-8", "surrogatepass")


def one_rate(rates: Iterable[float], where: str) -> float:
    """The frame rate that all shots of a split share; raises `DataError` where they differ."""
    found = sorted({round(rate, 3) for rate in rates})
    if len(found) > 1:
        raise DataError(
            "recordings of several frame rates",
            where=where,
            found=", ".join(f"{rate:g}" for rate in found),
            expected="one rate",
            hint=f"fps = {found[0]:g} keeps as many frames of each",
        )
    return found[0]


def known_split(split: str, splits: Sequence[str]) -> str:
    """The split itself; raises `DataError` with the nearest one where there is none of its name."""
    if split not in splits:
        raise DataError(f"no split {split!r}", found=split, expected=", ".join(splits), hint=nearest(split, splits))
    return split
