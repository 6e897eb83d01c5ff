"""People of footage by what lies beside it: tracks of boxes, a camera, a truth. Reads no picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.beside import Recorded, Truth, intrinsics_of
from sa3dhp_datasets.lens import Lens
from sa3dhp_datasets.shots import Person, person_of
from sa3dhp_datasets.tracks import Track


def recorded_lens(found: Recorded, focal_px: float | None, fov_deg: float) -> Lens:
    """The camera of a recording, see `intrinsics_of`; raises `DataError` for one whose pixels are no rectangles."""
    matrix, where = intrinsics_of(found, focal_px, fov_deg)
    if matrix[0, 1] or matrix[1, 0]:
        raise DataError("pixels that are no rectangles", where=where, found=matrix.tolist(), expected="no skew")
    return Lens(np.diag(matrix)[:2], matrix[:2, 2])


def recorded_people(lens: Lens, tracks: Sequence[Track], truth: Truth | None) -> Iterator[Person]:
    """The people of gap-free tracks, by identity and time, with their truth where there is one.

    Raises:
        DataError: the truth has other tracks.
    """
    rows = {} if truth is None else truth.rows(sorted({track.identity for track in tracks}))
    for identity, parts in groupby(tracks, key=lambda track: track.identity):
        own = list(parts)
        frames = np.concatenate([part.first + np.arange(len(part.boxes)) for part in own])
        boxes = np.concatenate([part.boxes for part in own])
        solid = truth.joints[rows[identity]][frames] if truth is not None and identity in rows else None
        person = person_of(identity, frames, lens, joints=solid, boxes=boxes)
        if person is not None:
            yield person
