"""Human3.6M as its home page gives it: poses in CDF files, videos, and the cameras of metadata.xml.

Where files lie is `human36m_files`' business, what metadata.xml says `human36m_cameras`'; facts stand in the card.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.cards import read_card
from sa3dhp_core.errors import DataError
from sa3dhp_core.host import Host
from sa3dhp_datasets.cdf_file import read_cdf
from sa3dhp_datasets.config import RecordingsConfig, ShotImagesConfig, ShotKeypointsConfig, ShotMotionConfig
from sa3dhp_datasets.expected_arrays import array_of, need_unit
from sa3dhp_datasets.footage import probe
from sa3dhp_datasets.human36m_cameras import Camera, metadata_of, read_rig
from sa3dhp_datasets.human36m_files import FLAT, LAYOUT, MONO, VIDEOS, Subject, View, subjects_of
from sa3dhp_datasets.layouts import data_folder
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shot_keypoints import ShotKeypoints
from sa3dhp_datasets.shot_motion import ShotMotion
from sa3dhp_datasets.shots import Person, Pictures, Shot, house, person_of

Array = NDArray[np.float64]
CARD, FPS = "human36m", 50.0
OWN = ("train", "test")


def human36m_images(config: ShotImagesConfig) -> ShotImages:
    """Crops of its videos."""
    return ShotImages(config, shots, CARD, OWN)


def human36m_keypoints(config: ShotKeypointsConfig, *, host: Host) -> ShotKeypoints:
    """Its keypoints."""
    return ShotKeypoints(config, shots, CARD, OWN)


def human36m_motion(config: ShotMotionConfig) -> ShotMotion:
    """Its motion."""
    return ShotMotion(config, shots, CARD, OWN)


def shots(config: RecordingsConfig) -> Iterator[Shot]:
    """Every recording in every camera: subjects by number, recordings and cameras by name.

    Raises:
        DataError: see `subjects_of`, `read_rig` and `read_cdf`; poses of another shape, not finite or in metres;
            keypoints that end before the poses do.
    """
    folder, card = data_folder(config.path, LAYOUT), read_card("datasets", CARD)
    known = {subject: split for split, subjects in card["splits"].items() for subject in subjects}
    subjects = subjects_of(folder, list(known), card["names"])
    rig = read_rig(metadata_of(folder))
    excluded = {(entry["subject"], entry["recording"]) for entry in card["exclusions"]}
    for subject in subjects:
        for view in subject.views(rig.ids):
            if (subject.name, view[0]) not in excluded:
                yield _shot(subject, view, rig.camera(view[1], subject.number), known.get(subject.name))


def _shot(subject: Subject, view: View, camera: Camera, split: str | None) -> Shot:
    path = subject.file(subject.solid, view if subject.solid == MONO else (view[0], ""))
    person = _person(subject, view, camera, path)
    return Shot(
        name=view[0],
        subject=subject.name,
        camera=view[1],
        family=re.sub(r" \d+$", "", view[0]),
        fps=FPS,
        lens=camera.lens,
        people=(person,) if person else (),
        where=str(path),
        split=split,
        pictures=partial(_pictures, subject, view) if VIDEOS in subject.folders else None,
        upright=camera.turn.T,
    )


def _person(subject: Subject, view: View, camera: Camera, path: Path) -> Person | None:
    solid = _pose(path, 3, "joints in millimetres")
    need_unit(solid, "millimetre", str(path))
    joints = solid / 1000 if subject.solid == MONO else camera.seen(solid / 1000)
    seen = None
    if FLAT in subject.folders:
        seen = _pose(other := subject.file(FLAT, view), 2, "keypoints in pixels")
        if len(seen) < len(joints):
            found = f"{len(seen)} frames of keypoints, {len(joints)} of joints"
            raise DataError("keypoints end before the joints do", where=str(other), found=found, expected=str(path))
        seen = seen[: len(joints)]
    return person_of(subject.number, np.arange(len(joints)), camera.lens, joints=joints, keypoints=seen)


def _pose(path: Path, axes: int, what: str) -> Array:
    """A file's joints ``(T, J, axes)`` of the house skeleton, in the file's unit."""
    count = len(read_card("datasets", CARD)["columns"])
    found = array_of(read_cdf(path, "Pose")["Pose"], (1, None, axes * count), f"{path}: Pose", what)
    return house(found.reshape(-1, count, axes), CARD, str(path))


def _pictures(subject: Subject, view: View) -> Pictures:
    return probe(subject.file(VIDEOS, view))
