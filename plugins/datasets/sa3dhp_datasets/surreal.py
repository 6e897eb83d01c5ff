"""SURREAL as shots: one rendered person a clip, who is mirrored in the picture; the card's mapping undoes it."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.cards import read_card
from sa3dhp_core.errors import DataError
from sa3dhp_core.host import Host
from sa3dhp_datasets.config import RecordingsConfig, ShotImagesConfig, ShotKeypointsConfig, ShotMotionConfig
from sa3dhp_datasets.expected_arrays import array_of, need_equal, need_unit
from sa3dhp_datasets.footage import Footage, probe
from sa3dhp_datasets.layouts import data_folder, files_under, nothing_found
from sa3dhp_datasets.lens import Array, Lens
from sa3dhp_datasets.mat_file import read_mat
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shot_keypoints import ShotKeypoints
from sa3dhp_datasets.shot_motion import ShotMotion
from sa3dhp_datasets.shots import Person, Shot, boxes_of, house, person_of, projected
from sa3dhp_datasets.smpl_joints import with_head_top

CARD, ENDING = "surreal", "_info.mat"
LAYOUT = "cmu/{train,val,test}/run{0,1,2}/{sequence}/{sequence}_c0001_info.mat …, and .mp4 for crops"
SPLITS = {"train": "train", "val": "validation", "test": "test"}
FPS, WIDTH, HEIGHT = 30.0, 320, 240
LENS = Lens(np.array([600.0, 600.0]), np.array([WIDTH / 2, HEIGHT / 2]))
INTO_CAMERA = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
"""From Blender's world into the camera; its determinant is -1."""

UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""From the camera, which looks straight ahead, into a world with z up."""


def shots(config: RecordingsConfig) -> Iterator[Shot]:
    """Each clip but those that the card excludes; raises `DataError` for a folder without any, and as `shot_of`."""
    folder = data_folder(config.path, LAYOUT)
    files = files_under(folder, ENDING)
    if not files:
        raise nothing_found(folder, LAYOUT)
    excluded = [pattern for entry in read_card("datasets", CARD)["exclusions"] for pattern in entry["sequences"]]
    for path in files:
        if not any(fnmatchcase(path.parent.name, pattern) for pattern in excluded):
            yield shot_of(path)


def shot_of(path: Path) -> Shot:
    """A clip.

    Raises:
        DataError: the file is not where SURREAL has it, cannot be read, lacks an array or holds one of a wrong shape,
            or of no person's size in metres.
    """
    split, run, sequence = (parent.name for parent in reversed(path.absolute().parents[:3]))
    if split not in SPLITS:
        found = f"{split}/{run}/{sequence}/{path.name}"
        raise DataError("not where SURREAL has its clips", where=str(path), found=found, expected=LAYOUT)
    clip, person = path.name[: -len(ENDING)], person_in(path)
    video = path.with_name(f"{clip}.mp4")
    return Shot(
        f"{run}/{clip}",
        sequence.rpartition("_")[0] or sequence,
        "",
        "",
        FPS,
        LENS,
        () if person is None else (person,),
        str(path),
        SPLITS[split],
        partial(open_video, video) if video.is_file() else None,
        UPRIGHT,
    )


def person_in(path: Path) -> Person | None:
    """The person of a clip over the frames that show him; None where none does. Raises as `shot_of`."""
    where, content = str(path), read_mat(path, "joints3D", "joints2D", "camLoc")
    solid, flat = (_by_frame(content[key], axes, f"{where}: {key}") for key, axes in (("joints3D", 3), ("joints2D", 2)))
    need_equal({"frames of joints3D": len(solid), "frames of joints2D": len(flat)}, where)
    place = np.ravel(content["camLoc"])
    solid = with_head_top(into_camera(solid, array_of(place, (3,), f"{where}: camLoc", "metres")))
    flat = np.concatenate([flat, projected(solid[:, 24:], LENS)], axis=1)
    joints = house(solid, CARD, where)
    need_unit(joints, "metre", f"{where}: joints3D")
    boxes = boxes_of(flat)
    shown = np.flatnonzero((solid[..., 2] > 0).all(axis=1) & _meets_picture(boxes))
    if not len(shown):
        return None
    keypoints = house(flat[shown], CARD, where)
    return person_of(0, shown, LENS, joints=joints[shown], keypoints=keypoints, boxes=boxes[shown])


def _by_frame(values: object, axes: int, where: str) -> Array:
    """``(T, 24, axes)`` of MATLAB's ``(axes, 24, T)``, or of ``(axes, 24)`` where there is one frame."""
    whole = np.asarray(values)
    shaped = whole[..., None] if whole.ndim == 2 else whole
    unit = "metres" if axes == 3 else "pixels"
    return array_of(shaped, (axes, 24, None), where, f"24 joints of SMPL in {unit}").transpose(2, 1, 0)


def into_camera(joints: Array, place: Array) -> Array:
    """Joints ``(..., 3)`` of Blender's world as the camera at `place` (``camLoc``) shows them, mirrored; metres."""
    return (joints - place) @ INTO_CAMERA.T


def _meets_picture(boxes: Array) -> NDArray[np.bool_]:
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    return np.all((high > 0) & (low < [WIDTH, HEIGHT]), axis=1)


def open_video(path: Path) -> Footage:
    """A clip's video; raises `DataError` where it cannot be read, or is of another size than the camera's."""
    pictures = probe(path)
    if (pictures.width, pictures.height) != (WIDTH, HEIGHT):
        found, expected = f"{pictures.width} x {pictures.height}", f"{WIDTH} x {HEIGHT}"
        raise DataError("a video of another size", where=str(path), found=found, expected=expected)
    return pictures


OWN = ("train", "validation", "test")


def surreal_images(config: ShotImagesConfig) -> ShotImages:
    """`ImageData` over SURREAL."""
    return ShotImages(config, shots, CARD, OWN)


def surreal_keypoints(config: ShotKeypointsConfig, *, host: Host) -> ShotKeypoints:
    """`KeypointData` over SURREAL."""
    return ShotKeypoints(config, shots, CARD, OWN)


def surreal_motion(config: ShotMotionConfig) -> ShotMotion:
    """`PoseData` over SURREAL."""
    return ShotMotion(config, shots, CARD, OWN)
