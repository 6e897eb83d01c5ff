"""3DPW as shots: one moving camera a sequence, one or two people. Reads no pickle itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from sa3dhp_core.host import Host
from sa3dhp_datasets.config import RecordingsConfig, ShotImagesConfig, ShotKeypointsConfig, ShotMotionConfig
from sa3dhp_datasets.expected_arrays import need_unit
from sa3dhp_datasets.layouts import data_folder, nothing_found
from sa3dhp_datasets.pictures import ImageFiles
from sa3dhp_datasets.pw3d_file import Sequence3dpw, read_sequence
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shot_keypoints import ShotKeypoints
from sa3dhp_datasets.shot_motion import ShotMotion
from sa3dhp_datasets.shots import Person, Shot, boxes_of, house, person_of, projected
from sa3dhp_datasets.smpl_joints import with_head_top

CARD = "3dpw"
LAYOUT = "sequenceFiles/{train,validation,test}/*.pkl, and imageFiles/{sequence}/image_00000.jpg … for crops"
FOLDERS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
"""Folder of ``sequenceFiles`` to split."""

FPS = 30.0
UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""From a world with y up into one with z up."""


def shots(config: RecordingsConfig) -> Iterator[Shot]:
    """Each sequence; raises `DataError` for a folder without any, and as `read_sequence`."""
    folder = data_folder(config.path, LAYOUT)
    files = [
        (split, path)
        for name, split in FOLDERS.items()
        for path in sorted((folder / "sequenceFiles" / name).glob("*.pkl"))
    ]
    if not files:
        raise nothing_found(folder, LAYOUT)
    for split, path in files:
        yield shot_of(read_sequence(path), split, folder, str(path))


def shot_of(sequence: Sequence3dpw, split: str, folder: Path, where: str) -> Shot:
    """A sequence as a shot, its people in the frames of the camera.

    Args:
        sequence: as read.
        split: it belongs to.
        folder: of the data set.
        where: the sequence's file, for messages.

    Raises:
        DataError: a person has no person's size in metres.
    """
    people = (person_in(sequence, number, where) for number in range(len(sequence.actors)))
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


def person_in(sequence: Sequence3dpw, number: int, where: str) -> Person | None:
    """A person over the valid pictures in which all joints are before the camera; None where there are none."""
    actor = sequence.actors[number]
    frames = np.flatnonzero(actor.valid)
    with np.errstate(over="ignore", invalid="ignore"):
        placed = actor.joints[frames] @ sequence.turns[frames].swapaxes(1, 2) + sequence.places[frames, None]
    ahead = np.flatnonzero((placed[..., 2] > 0).all(axis=1))
    frames, solid = frames[ahead], with_head_top(placed[ahead])
    if not len(frames):
        return None
    joints = house(solid, CARD, where)
    need_unit(joints, "metre", f"{where}: jointPositions[{number}]")
    detected = actor.detected[frames]
    flags = {"campose_valid": np.ones(len(frames), bool), "detected": np.isfinite(detected).any(axis=(1, 2))}
    return person_of(
        number,
        frames,
        sequence.lens,
        joints=joints,
        keypoints=house(detected, CARD, where, "keypoints"),
        boxes=boxes_of(projected(solid, sequence.lens)),
        flags=flags,
    )


OWN = ("train", "validation", "test")


def pw3d_images(config: ShotImagesConfig) -> ShotImages:
    """`ImageData` over 3DPW."""
    return ShotImages(config, shots, CARD, OWN)


def pw3d_keypoints(config: ShotKeypointsConfig, *, host: Host) -> ShotKeypoints:
    """`KeypointData` over 3DPW."""
    return ShotKeypoints(config, shots, CARD, OWN)


def pw3d_motion(config: ShotMotionConfig) -> ShotMotion:
    """`PoseData` over 3DPW."""
    return ShotMotion(config, shots, CARD, OWN)
