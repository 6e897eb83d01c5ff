"""What is found in a data set of shots: counts, projection errors, bones, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs
import numpy as np
import torch

from sa3dhp_core.cards import skeleton
from sa3dhp_core.geometry import bone_lengths
from sa3dhp_core.protocols.data_files import BoneCheck, CameraCheck, DataCheck
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.shots import Person, Shot, projected

FAR_PX = 0.5
"""Median projection error of a camera beyond which 3D and 2D do not belong together."""

ODD_BONE = 1.8
"""Times longer or shorter than a usual adult's: implausible."""

UNEVEN = 1.25
"""Ratio of the bones of a pair beyond which left and right cannot be one person's."""


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
                bones.setdefault(shot.subject, []).append(_lengths(person.joints))
    found = [_camera(name, seen) for name, seen in sorted(cameras.items())]
    measured = list(_bones({subject: np.concatenate(rows) for subject, rows in bones.items()}))
    return DataCheck(
        tuple(sorted(subjects.items())),
        tuple(sorted(splits.items())),
        tuple(found),
        tuple(measured),
        (*_of_cameras(found, far_px), *_of_bones(measured, bones_m or {}), *_of_pictures(unseen, sum(splits.values()))),
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


def _lengths(joints: Array) -> Array:
    return bone_lengths(torch.from_numpy(joints), skeleton()).numpy()


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


def _bones(lengths: Mapping[str, Array]) -> Iterator[BoneCheck]:
    """Each bone over subjects ``(T, J)`` each."""
    body = skeleton()
    for number, joint in enumerate(body.joints if lengths else ()):
        if joint == body.root:
            continue
        each = [float(np.median(rows[:, number])) for rows in lengths.values()]
        spread = [np.quantile(rows[:, number], (0.05, 0.95)) for rows in lengths.values()]
        varies = max(float(high - low) / max(middle, 1e-9) for (low, high), middle in zip(spread, each, strict=True))
        yield BoneCheck(joint, float(np.median(each)), min(each), max(each), varies)


def _of_cameras(cameras: Iterable[CameraCheck], far_px: float) -> Iterator[str]:
    for camera in cameras:
        if camera.median_px is not None and camera.median_px > far_px:
            yield f"camera {camera.camera}: 3D joints project {camera.median_px:.1f} px away from the 2D joints"


def _of_bones(bones: Sequence[BoneCheck], own_m: Mapping[str, float]) -> Iterator[str]:
    usual, known = {**skeleton().bone_lengths_m, **own_m}, {bone.joint: bone for bone in bones}
    for bone in bones:
        ratio = bone.median_m / usual[bone.joint]
        if not 1 / ODD_BONE < ratio < ODD_BONE:
            yield f"the bone to {bone.joint} is {bone.median_m:.3f} m long; {usual[bone.joint]:.2f} m is usual"
    for left, right in skeleton().pairs:
        a, b = known.get(left), known.get(right)
        if a and b and not 1 / UNEVEN < a.median_m / max(b.median_m, 1e-9) < UNEVEN:
            yield f"the bones to {left} and {right} are {a.median_m:.3f} m and {b.median_m:.3f} m"


def _of_pictures(unseen: Sequence[str], every: int) -> Iterator[str]:
    if unseen:
        yield f"{len(unseen)} of {every} recordings have no pictures ({unseen[0]})"
