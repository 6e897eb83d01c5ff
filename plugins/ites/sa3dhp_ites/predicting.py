"""A run's student on keypoint files of the user's, clip by clip. Reads no truth and scores nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from sa3dhp_core.overrides import override
from sa3dhp_core.protocols.lifter import TrainedLifter
from sa3dhp_core.protocols.prediction import PosedClip
from sa3dhp_ites.keypoint_files import READER, SPLIT, need_keypoints, opened, table_of
from sa3dhp_ites.scoring import ROLE, whole

if TYPE_CHECKING:
    from sa3dhp_ites.method import Ites

FIXED = ("path", "truth", "test", "validation", "validation_subjects", "skeleton")
"""Keys of the reader that a prediction has no use for, or that follow from run and input."""


def predict(method: Ites, trained: TrainedLifter, source: Path, changes: Sequence[str]) -> Iterator[PosedClip]:
    """Lift every clip of keypoint files; every frame, unless `changes` say otherwise.

    Args:
        method: of the run.
        trained: its lifter.
        source: an npz file of keypoints, or a folder with one.
        changes: ``key=value`` for the reader: ``fps=25``.

    Raises:
        RecipeError: there is no such key, or its value is none.
        DataError: the input is of another kind or cannot be read.
    """
    need_keypoints(source)
    table = {**table_of(method, ROLE), "truth": "none", "stride": 1}
    table |= {"path": str(source), "skeleton": trained.skeleton.id}
    with opened(method, _changed(method, table, changes), "predict") as (files, room):
        keypoints = files.keypoints(room, SPLIT)
        points, clips = whole(keypoints), keypoints.clip_index()
        for name, some in zip(keypoints.clip_names(), points.split(clips.bincount().tolist()), strict=True):
            seen = some.isfinite().all(dim=-1)
            yield PosedClip(name, keypoints.fps, trained.skeleton, trained.lift(some), seen, keypoints.licence)


def _changed(method: Ites, table: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    found, config = dict(table), method.host.config("keypoint_data", {"use": READER}, "predict")
    known = [field.name for field in attrs.fields(type(config)) if field.name not in FIXED]
    for change in changes:
        found = override(found, change, known)
    return found
