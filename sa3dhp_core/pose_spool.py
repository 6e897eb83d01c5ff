"""Poses on disk while they come, in one file without a name, and read back a block at a time. Knows no form of them.

The file goes with the process, however that ends. What stays in memory is a pair of numbers for each part.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray

from sa3dhp_core.errors import DataError
from sa3dhp_core.protocols.prediction import Filmed, PosedClip

BLOCK = 1024
"""Poses that are read at once."""


class Spool:
    """Poses of any number of clips, kept in a file without a name in `folder`; closed, they are gone."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open until `__exit__`

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def append(self, rows: NDArray[Any]) -> int:
        """Keep rows; returns the place to read them from."""
        place = self._file.seek(0, 2)
        self._file.write(rows.tobytes())
        return place

    def read(self, place: int, count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """So many rows from this place on."""
        self._file.seek(place)
        return np.frombuffer(self._file.read(count * dtype.itemsize), dtype)


@attrs.define(eq=False)
class SpooledClip:
    """A clip whose poses are in a spool.

    Attributes:
        facts: the clip, of its first part, without any pose.
        length: number of poses so far.
        unseen: number of joints that were not seen.
        span: numbers of the film's first and last picture of it.
    """

    facts: PosedClip
    length: int
    unseen: int
    span: tuple[int, int]
    _spool: Spool
    _dtype: np.dtype[Any]
    _places: list[tuple[int, int]]

    @classmethod
    def begin(cls, spool: Spool, clip: PosedClip) -> SpooledClip:
        """A clip of which nothing is kept yet, like the given one."""
        filmed = clip.filmed and Filmed(clip.filmed.film, clip.filmed.frames[:0].clone(), clip.filmed.roots[:0].clone())
        facts = attrs.evolve(clip, poses=clip.poses[:0].clone(), seen=clip.seen[:0].clone(), filmed=filmed)
        return cls(facts, 0, 0, (0, -1), spool, _rows(facts).dtype, [])

    def add(self, clip: PosedClip) -> None:
        """Keep the poses that come next.

        Raises:
            DataError: they are not the next ones.
        """
        first = clip.part.first if clip.part else 0
        if first != self.length:
            name = "/".join(clip.name)
            raise DataError("parts of a clip out of order", where=name, found=f"pose {first}", expected=self.length)
        rows = _rows(clip)
        if clip.filmed is not None and len(rows):
            numbers = rows["frame_number"]
            self.span = (self.span[0] if self.length else int(numbers[0]), int(numbers[-1]))
        self._places.append((self._spool.append(rows), len(rows)))
        self.length += len(rows)
        self.unseen += int(torch.count_nonzero(~clip.seen))

    def blocks(self, step: int = 1) -> Iterator[NDArray[Any]]:
        """Every `step`-th pose in order, a block at a time: rows of ``poses (J, 3)``, ``seen (J,)`` and, of a film's
        people, ``frame_number`` and ``root_m (3,)``.
        """
        ahead = 0
        for rows in self._all():
            if len(some := rows[ahead::step]):
                yield some
            ahead = (ahead - len(rows)) % step

    def _all(self) -> Iterator[NDArray[Any]]:
        held: list[NDArray[Any]] = []
        count = 0
        for place, length in self._places:
            for begin in range(0, length, BLOCK):
                some = min(BLOCK, length - begin)
                held.append(self._spool.read(place + begin * self._dtype.itemsize, some, self._dtype))
                count += some
                if count >= BLOCK:
                    yield np.concatenate(held)
                    held, count = [], 0
        if held:
            yield np.concatenate(held)


def _rows(clip: PosedClip) -> NDArray[Any]:
    """A row of a structured array for each pose."""
    columns = {"poses": clip.poses, "seen": clip.seen}
    if clip.filmed is not None:
        columns |= {"frame_number": clip.filmed.frames, "root_m": clip.filmed.roots}
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in columns.items()}
    rows = np.empty(len(clip.poses), [(name, array.dtype, array.shape[1:]) for name, array in arrays.items()])
    for name, array in arrays.items():
        rows[name] = array
    return rows
