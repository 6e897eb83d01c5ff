"""Shots of one picture each, for data sets whose pictures do not follow one another. Opens no picture itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_datasets.lens import Array, Lens
from sa3dhp_datasets.pictures import ImageFiles
from sa3dhp_datasets.shots import Person, Shot, boxes_of

FPS = 1.0
"""What a single picture says of its rate: any number, and the same for all."""

_FIRST = np.zeros(1, dtype=np.int64)


@attrs.frozen(eq=False)
class Labels:
    """What a set tells of N people, each in a picture of one's own or beside others.

    Attributes:
        keypoints: ``(N, J, 2)`` pixels of the house skeleton, NaN where unseen.
        boxes: ``(N, 4)`` x, y, width, height in pixels; NaN where there is none.
        joints: ``(N, J, 3)`` metres, camera frame; None where the set has none.
        flags: name to ``(N,)``.
    """

    keypoints: Array
    boxes: Array
    joints: Array | None = None
    flags: Mapping[str, NDArray[np.bool_]] = attrs.field(factory=dict)

    @classmethod
    def of(cls, keypoints: Array, joints: Array | None = None) -> Labels:
        """People by their joints, boxes tight around them."""
        return cls(keypoints, boxes_of(keypoints), joints)

    def person(self, row: int, identity: int) -> Person:
        """One of them."""
        only = slice(row, row + 1)
        return Person(
            identity,
            _FIRST,
            self.boxes[only],
            None if self.joints is None else self.joints[only],
            self.keypoints[only],
            {name: flag[only] for name, flag in self.flags.items()},
        )

    def seen_in(self, rows: Iterable[int], width: float, height: float) -> tuple[Person, ...]:
        """Those of some rows of whom a joint lies in a picture of this size."""
        people = ((number, self.keypoints[row], row) for number, row in enumerate(rows))
        with np.errstate(invalid="ignore"):
            kept = [
                (row, number)
                for number, points, row in people
                if ((points >= 0) & (points <= (width, height))).all(-1).any()
            ]
        return tuple(self.person(row, number) for row, number in kept)


def single(picture: Path, subject: str, lens: Lens, people: tuple[Person, ...], where: str, split: str) -> Shot:
    """A shot of one picture, named as its file.

    Args:
        picture: its file.
        subject: who is seen, or what tells this picture's people from others'.
        lens: of its camera.
        people: who is seen.
        where: the annotation's file, for messages.
        split: the set's own.
    """
    return Shot(
        name=picture.stem,
        subject=subject,
        camera="",
        family="",
        fps=FPS,
        lens=lens,
        people=people,
        where=where,
        split=split,
        pictures=partial(ImageFiles.open, [picture]) if picture.is_file() else None,
    )
