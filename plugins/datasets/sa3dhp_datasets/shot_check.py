"""What is found in a data set of shots: counts, projection errors, bones, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs
import numpy as np

from sa3dhp_core.protocols.data_files import CameraCheck, DataCheck
from sa3dhp_datasets.bone_check import implausible, lengths_of, measured
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.shots import Person, Shot, projected

FAR_PX = 0.5
"""Median projection error of a camera beyond which 3D and 2D do not belong together."""


def checked(
    shots: Iterable[tuple[str, Shot]], far_px: float = FAR_PX, bones_m: Mapping[str, float] | None = None
) -> DataCheck:
    """Read all shots once, holding no picture; see the reader for errors.

    Args:
        shots: with the split of each.
        far_px: median projection error of a camera that is too large, where the set promises less than a hit.
        bones_m: house joint to the usual length of its bone, where the set's joints lie elsewhere than the skeleton's.
    """
    cameras: dict[str, list[_Seen]] = {}
    splits: dict[str, int] = {}
    subjects: dict[str, int] = {}
    bones: dict[str, list[Array]] = {}
    unseen = []
    for split, shot in shots:
        seen = _seen(shot)
        cameras.setdefault(shot.camera, []).append(seen)
        splits[split] = splits.get(split, 0) + 1
        subjects[shot.subject] = subjects.get(shot.subject, 0) + seen.frames
        if shot.pictures is None:
            unseen.append(shot.title)
        for person in shot.people:
            if person.joints is not None and len(person.joints):
                bones.setdefault(shot.subject, []).append(lengths_of(person.joints))
    found = [_camera(name, seen) for name, seen in sorted(cameras.items())]
    lengths = list(measured({subject: np.concatenate(rows) for subject, rows in bones.items()}))
    return DataCheck(
        tuple(sorted(subjects.items())),
        tuple(sorted(splits.items())),
        tuple(found),
        tuple(lengths),
        (*_of_cameras(found, far_px), *implausible(lengths, bones_m), *_of_pictures(unseen, sum(splits.values()))),
    )


@attrs.frozen(eq=False)
class _Seen:
    """One shot's counts, and its projection errors in pixels."""

    people: int
    frames: int
    fps: float
    errors: Array


def _seen(shot: Shot) -> _Seen:
    errors = [_errors(shot, person) for person in shot.people]
    frames = sum(len(person.frames) for person in shot.people)
    return _Seen(len(shot.people), frames, shot.fps, np.concatenate([np.zeros(0), *errors]))


def _errors(shot: Shot, person: Person) -> Array:
    """Pixels between projected joints and the set's own keypoints, joint by joint; none where it has not both."""
    if person.joints is None or person.keypoints is None or not person.told:
        return np.zeros(0)
    away = np.linalg.norm(projected(person.joints, shot.lens) - person.keypoints, axis=-1)
    return away[np.isfinite(away)]


def _camera(name: str, seen: Sequence[_Seen]) -> CameraCheck:
    errors = np.concatenate([one.errors for one in seen])
    return CameraCheck(
        name,
        len(seen),
        sum(one.people for one in seen),
        sum(one.frames for one in seen),
        tuple(sorted({one.fps for one in seen})),
        float(np.median(errors)) if len(errors) else None,
        float(errors.max()) if len(errors) else None,
    )


def _of_cameras(cameras: Iterable[CameraCheck], far_px: float) -> Iterator[str]:
    for camera in cameras:
        if camera.median_px is not None and camera.median_px > far_px:
            yield f"camera {camera.camera}: 3D joints project {camera.median_px:.1f} px away from the 2D joints"


def _of_pictures(unseen: Sequence[str], every: int) -> Iterator[str]:
    if unseen:
        yield f"{len(unseen)} of {every} recordings have no pictures ({unseen[0]})"
