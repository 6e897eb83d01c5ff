"""What a data component may do with the user's own files before anything learns from them: check them, pack them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import attrs


@attrs.frozen
class CameraCheck:
    """What was found of one camera.

    Attributes:
        camera: its name.
        recordings: number of them.
        people: number of tracks of people in them.
        frames: number of frames in which somebody is seen, person by person.
        fps: pictures per second, rising.
        median_px: median distance of projected 3D joints from the set's own 2D joints; None where it has not both.
        worst_px: the largest.
    """

    camera: str
    recordings: int
    people: int
    frames: int
    fps: tuple[float, ...]
    median_px: float | None
    worst_px: float | None


@attrs.frozen
class BoneCheck:
    """One bone over all subjects: the joint that it ends at, and metres.

    Attributes:
        joint: of the house skeleton.
        median_m: over subjects.
        shortest_m: the shortest subject's.
        longest_m: the longest subject's.
        varies: the largest change within one subject, from the 5 % to the 95 % quantile, as a share of its median.
    """

    joint: str
    median_m: float
    shortest_m: float
    longest_m: float
    varies: float


@attrs.frozen
class DataCheck:
    """What was found.

    Attributes:
        subjects: name and number of frames of each.
        splits: name and number of recordings of each.
        cameras: by name.
        bones: those that end at a joint of the house skeleton; empty where the set has no 3D joints.
        problems: sentences, the worst first; none where all is well.
    """

    subjects: tuple[tuple[str, int], ...]
    splits: tuple[tuple[str, int], ...]
    cameras: tuple[CameraCheck, ...]
    bones: tuple[BoneCheck, ...]
    problems: tuple[str, ...]


@runtime_checkable
class ChecksFiles(Protocol):
    """A data component that can look at its files without preparing them."""

    def check(self) -> DataCheck:
        """Read all annotations; raises `DataError` for what cannot be read at all."""
        ...


@runtime_checkable
class DrawsSheet(Protocol):
    """A data component that can show what a model would see of its files."""

    def write_sheet(self, path: Path, seed: int) -> Sequence[str]:
        """Write a PNG of a few crops with skeletons drawn in, and return what each shows; raises `DataError`."""
        ...


@runtime_checkable
class PacksShards(Protocol):
    """A data component that can write its crops as shards, to be read from disk or a web server."""

    def pack(
        self, out: Path, *, workers: int, frames: int, quality: int, progress: Callable[[int, int], None]
    ) -> Mapping[str, object]:
        """Write shards and an index, or go on with what an interrupted call left.

        Args:
            out: folder, new or of the same call.
            workers: shards written at once; they are the same whatever it is.
            frames: crops after which a shard is full.
            quality: of JPEG, 1 to 95.
            progress: told how many crops of how many are written.

        Returns:
            The index.

        Raises:
            DataError: bad input, or a folder that holds something else.
        """
        ...
