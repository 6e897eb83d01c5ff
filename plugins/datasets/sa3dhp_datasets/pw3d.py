"""3DPW as shots: one moving camera a sequence, one or two people. Reads no pickle itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.errors import DataError
from sa3dhp_core.host import Host
from sa3dhp_datasets.body_model import model_file
from sa3dhp_datasets.body_surface import Surface, read_surface
from sa3dhp_datasets.expected_arrays import need_unit
from sa3dhp_datasets.layouts import data_folder, nothing_found
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.pictures import ImageFiles
from sa3dhp_datasets.pw3d_config import Pw3dImagesConfig, Pw3dKeypointsConfig, Pw3dMotionConfig
from sa3dhp_datasets.pw3d_file import Body, Sequence3dpw, read_sequence
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shot_keypoints import ShotKeypoints
from sa3dhp_datasets.shot_motion import ShotMotion
from sa3dhp_datasets.shots import Person, Shot, boxes_of, house, person_of, projected
from sa3dhp_datasets.smpl_joints import with_head_top

CARD = "3dpw"
LAYOUT = "sequenceFiles/{train,validation,test}/*.pkl, and imageFiles/{sequence}/image_00000.jpg … for crops"
FOLDERS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
"""Folder of ``sequenceFiles`` to split."""

FPS, REGRESSED = 30.0, 17
_GET = """SMPL of smpl.is.tue.mpg.de as npz, and J_regressor_h36m.npy, which github.com/nkolot/SPIN tells how to get"""
UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""From a world with y up into one with z up."""


Config = Pw3dImagesConfig | Pw3dKeypointsConfig | Pw3dMotionConfig
Surfaces = Callable[[str], Surface]
"""From a gender to the model that published figures regress joints from."""


def shots(config: Config) -> Iterator[Shot]:
    """Each sequence; raises `DataError` for a folder without any, and as `read_sequence` and `surfaces_of`."""
    folder, surfaces = data_folder(config.path, LAYOUT), surfaces_of(config.body_model, config.regressor)
    files = [
        (split, path)
        for name, split in FOLDERS.items()
        for path in sorted((folder / "sequenceFiles" / name).glob("*.pkl"))
    ]
    if not files:
        raise nothing_found(folder, LAYOUT)
    for split, path in files:
        yield shot_of(read_sequence(path, bodies=surfaces is not None), split, folder, str(path), surfaces)


def surfaces_of(body_model: str, regressor: str) -> Surfaces | None:
    """The models of a table, each read once; None where it names none; raises `DataError` where it names only one."""
    if not body_model and not regressor:
        return None
    if not (body_model and regressor):
        found = f"body_model = {body_model!r}, regressor = {regressor!r}"
        raise DataError("a body model and a regressor go together", found=found, expected="both, or none", hint=_GET)
    given = Path(body_model).expanduser(), Path(regressor).expanduser()
    return cache(lambda gender: read_surface(model_file(given[0], gender), given[1], REGRESSED))


def shot_of(sequence: Sequence3dpw, split: str, folder: Path, where: str, surfaces: Surfaces | None = None) -> Shot:
    """A sequence as a shot, its people in the frames of the camera.

    Args:
        sequence: as read.
        split: it belongs to.
        folder: of the data set.
        where: the sequence's file, for messages.
        surfaces: give the joints of people whose bodies were read; None: the file's own joints.

    Raises:
        DataError: a person has no person's size in metres.
    """
    people = (person_in(sequence, number, where, surfaces) for number in range(len(sequence.actors)))
    pictures = folder / "imageFiles" / sequence.name
    count = len(sequence.turns)
    return Shot(
        sequence.name,
        sequence.name,
        "",
        action_of(sequence.name),
        FPS,
        sequence.lens,
        tuple(person for person in people if person is not None),
        where,
        split,
        partial(open_pictures, pictures, count) if pictures.is_dir() else None,
        UPRIGHT @ sequence.turns.swapaxes(1, 2),
    )


def open_pictures(folder: Path, count: int) -> ImageFiles:
    """The pictures of a sequence; raises `DataError` where the first is missing."""
    return ImageFiles.open([folder / f"image_{number:05d}.jpg" for number in range(count)])


def action_of(name: str) -> str:
    """The action that a sequence's name tells: ``arguing`` of ``courtyard_arguing_00``."""
    return "_".join(name.split("_")[1:-1])


def person_in(sequence: Sequence3dpw, number: int, where: str, surfaces: Surfaces | None) -> Person | None:
    """A person over the valid pictures in which all joints are before the camera; None where there are none."""
    actor = sequence.actors[number]
    frames = np.flatnonzero(actor.valid)
    solid = with_head_top(_placed(actor.joints[frames], sequence, frames))
    ahead = np.flatnonzero((solid[..., 2] > 0).all(axis=1))
    frames, solid = frames[ahead], solid[ahead]
    if not len(frames):
        return None
    joints = house(solid, CARD, where)
    if actor.body is not None and surfaces is not None:
        points = _regressed(actor.body, surfaces(actor.body.gender), frames, where)
        joints = house(_placed(points, sequence, frames), CARD, where, "regressed")
    need_unit(joints, "metre", f"{where}: jointPositions[{number}]")
    detected = actor.detected[frames]
    flags = {"campose_valid": np.ones(len(frames), np.bool_), "detected": np.any(np.isfinite(detected), axis=(1, 2))}
    return person_of(
        number,
        frames,
        sequence.lens,
        joints=joints,
        keypoints=house(detected, CARD, where, "keypoints"),
        boxes=boxes_of(projected(solid, sequence.lens)),
        flags=flags,
    )


def _placed(points: Array, sequence: Sequence3dpw, frames: NDArray[np.int64]) -> Array:
    """Points ``(T, P, 3)`` of the world in the camera of each picture."""
    with np.errstate(over="ignore", invalid="ignore"):
        return points @ sequence.turns[frames].swapaxes(1, 2) + sequence.places[frames, None]


def _regressed(body: Body, surface: Surface, frames: NDArray[np.int64], where: str) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        return surface.points(body.betas, body.turns[frames], body.places[frames], where)


OWN = ("train", "validation", "test")


def pw3d_images(config: Pw3dImagesConfig) -> ShotImages:
    """`ImageData` over 3DPW."""
    return ShotImages(config, shots, CARD, OWN)


def pw3d_keypoints(config: Pw3dKeypointsConfig, *, host: Host) -> ShotKeypoints:
    """`KeypointData` over 3DPW."""
    return ShotKeypoints(config, shots, CARD, OWN)


def pw3d_motion(config: Pw3dMotionConfig) -> ShotMotion:
    """`PoseData` over 3DPW."""
    return ShotMotion(config, shots, CARD, OWN)
