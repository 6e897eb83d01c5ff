"""What a data set of shots is prepared into, whatever is kept of it: splits of clips. Opens no picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sa3dhp_core.atomic import read_json, write_json
from sa3dhp_core.cards import read_card
from sa3dhp_core.errors import DataError
from sa3dhp_core.protocols.data_files import DataCheck
from sa3dhp_datasets.config import RecordingsConfig
from sa3dhp_datasets.dealing import chosen, fingerprint_of, known_split, offered_by, one_rate
from sa3dhp_datasets.shot_check import checked
from sa3dhp_datasets.shot_rows import fps_of, rows_of
from sa3dhp_datasets.shots import Person, ReadsShots, Shot

PREPARED = "prepared.json"


@attrs.frozen(eq=False)
class Stretch:
    """Some rows of a person, that make a clip.

    Attributes:
        shot: what it is of.
        person: who.
        rows: ``(T,)`` of the person's frames.
        fps: frames per second that remain.
    """

    shot: Shot
    person: Person
    rows: NDArray[np.int64]
    fps: float


def stretches(shot: Shot, config: RecordingsConfig) -> Iterator[Stretch]:
    """The clips of a shot that a table asks for."""
    for person in shot.people:
        for rows in rows_of(shot, person, config.fps, config.min_frames):
            yield Stretch(shot, person, rows, fps_of(shot, config.fps))


class ShotSplits(ABC):
    """A data set's splits, read by an importer and written by a subclass.

    Args:
        config: the table.
        read: the importer.
        card: id of the set's card, whose licence goes into everything made from it.
        own: splits that the set itself has.
        licence: that the table tells; empty: the card's.
    """

    def __init__(
        self, config: RecordingsConfig, read: ReadsShots, card: str, own: Sequence[str] = (), *, licence: str = ""
    ) -> None:
        self._config, self._read, self._card = config, read, card
        self._licence = licence or str(read_card("datasets", card)["licence"])
        self.splits = offered_by(config, own)

    def fingerprint(self) -> dict[str, Any]:
        """See `fingerprint_of`."""
        return fingerprint_of(self._config)

    def check(self) -> DataCheck:
        """What the files hold and what is wrong with it, without a picture; see `checked` and the card, ``[check]``."""
        return checked(chosen(self._config, self._read), **read_card("datasets", self._card).get("check", {}))

    def prepare(self, folder: Path) -> None:
        """Write all splits that have a clip; raises `DataError` on bad input and leaves no half-written split."""
        if (folder / PREPARED).is_file():
            return
        dealt = self._dealt()
        folder.mkdir(parents=True, exist_ok=True)
        for split, clips in dealt.items():
            self._write(folder, split, clips)
        write_json(folder / PREPARED, {split: _facts(clips) for split, clips in dealt.items()})

    def _dealt(self) -> dict[str, list[Stretch]]:
        """The clips of each split that has some; raises `DataError` where none is long enough."""
        dealt: dict[str, list[Stretch]] = {}
        for split, shot in self._shots():
            if clips := list(stretches(shot, self._config)):
                dealt.setdefault(split, []).extend(clips)
        if not dealt:
            expected = f"{self._config.min_frames} frames in a row"
            raise DataError("no clip is long enough", where=self._config.path, expected=expected, hint="min_frames")
        return dealt

    def _shots(self) -> Iterator[tuple[str, Shot]]:
        return chosen(self._config, self._read)

    @abstractmethod
    def _write(self, folder: Path, split: str, clips: Sequence[Stretch]) -> None: ...

    def _common(self, clips: Sequence[Stretch]) -> dict[str, Any]:
        """What is written of clips of any kind."""
        fps = one_rate((clip.fps for clip in clips), self._config.path)
        starts = torch.tensor([0, *accumulate(len(clip.rows) for clip in clips)])
        return {"starts": starts, "fps": fps, "licence": self._licence}

    def _known(self, folder: Path, split: str) -> str:
        """The split itself; raises `DataError` where there is none of that name, or no recording in it."""
        known_split(split, self.splits)
        found = read_json(folder / PREPARED)
        if split not in found:
            where = self._config.path
            raise DataError(f"the split {split!r} has no recording", where=where, found=", ".join(found))
        return split


def numbers_of(clips: Sequence[Stretch]) -> Tensor:
    """``(N,)`` the number of each frame in its shot."""
    return torch.from_numpy(np.concatenate([clip.person.frames[clip.rows] for clip in clips]))


def flags_of(clips: Sequence[Stretch]) -> dict[str, Tensor]:
    """``(N,)`` of each flag that all clips tell."""
    shared = set.intersection(*(set(clip.person.flags) for clip in clips))
    return {
        name: torch.from_numpy(np.concatenate([clip.person.flags[name][clip.rows] for clip in clips]))
        for name in sorted(shared)
    }


def _facts(clips: Sequence[Stretch]) -> dict[str, int]:
    recordings = {clip.shot.title for clip in clips}
    return {"recordings": len(recordings), "clips": len(clips), "frames": sum(len(clip.rows) for clip in clips)}
