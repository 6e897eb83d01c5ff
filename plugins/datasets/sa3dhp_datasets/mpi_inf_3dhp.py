"""MPI-INF-3DHP, training set: people in a studio of 14 cameras, in MATLAB files, as shots."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sa3dhp_core.errors import DataError, RecipeError, nearest
from sa3dhp_core.host import Host
from sa3dhp_datasets.layouts import data_folder, nothing_found
from sa3dhp_datasets.mat_file import read_matlab
from sa3dhp_datasets.mpi_inf_3dhp_annotations import CARD, Seen, card, mended, seen_by
from sa3dhp_datasets.mpi_inf_3dhp_config import Mpi3dhpImagesConfig, Mpi3dhpKeypointsConfig, Mpi3dhpMotionConfig
from sa3dhp_datasets.mpi_inf_3dhp_frames import Y_UP_TO_Z_UP, need_fit
from sa3dhp_datasets.mpi_inf_3dhp_pictures import has_pictures, open_pictures
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shot_keypoints import ShotKeypoints
from sa3dhp_datasets.shot_motion import ShotMotion
from sa3dhp_datasets.shots import Person, Shot, house, person_of
from sa3dhp_datasets.skeletool_file import StudioCamera, read_skeletool

LAYOUT = "S{1..8}/Seq{1,2}/ with annot.mat, camera.calibration and imageSequence/video_{0..13}.avi"
Config = Mpi3dhpImagesConfig | Mpi3dhpKeypointsConfig | Mpi3dhpMotionConfig


def shots(config: Config) -> Iterator[Shot]:
    """A shot a recording and camera, in the order of their names; see `ReadsShots`."""
    folder = data_folder(config.path, LAYOUT)
    cameras = cameras_of(config.camera_set)
    for place in recordings(folder):
        yield from _recording(place, cameras, config.truth, config.inside)


def cameras_of(name: str) -> Sequence[str]:
    """The cameras of one of the card's sets; raises `RecipeError` with the nearest where there is none of this name."""
    known: Mapping[str, Sequence[str]] = card()["camera_sets"]
    if name not in known:
        raise RecipeError(f"no camera set {name!r}", where="camera_set", hint=nearest(name, known))
    return known[name]


def recordings(folder: Path) -> list[Path]:
    """The folders S1/Seq1, S1/Seq2, … of a folder, one below it, or one subject's; raises `DataError` without any."""
    for pattern in ("S*/Seq*", "*/S*/Seq*", "Seq*"):
        found = [path for path in folder.glob(pattern) if re.fullmatch(r"S\d+/Seq\d+", _name(path)) and path.is_dir()]
        if found:
            return sorted(found)
    raise nothing_found(folder, LAYOUT)


def _name(place: Path) -> str:
    return f"{place.parent.name}/{place.name}"


def _recording(place: Path, cameras: Sequence[str], truth: str, inside: bool) -> Iterator[Shot]:
    name = _name(place)
    facts = _facts(name, str(place))
    studio, path = read_skeletool(place / "camera.calibration"), place / "annot.mat"
    told = read_matlab(path, "annot2", truth, "frames", "cameras")
    for camera in cameras:
        if camera not in studio:
            found, where = ", ".join(studio), str(place / "camera.calibration")
            raise DataError(f"camera {camera} is missing", where=where, found=found, expected=", ".join(cameras))
        seen = mended(name, camera, seen_by(told, camera, truth, str(path)), facts["frames"])
        if truth == "annot3":
            need_fit(studio[camera].lens, seen.joints, seen.points, f"{path}: camera {camera}")
        yield Shot(
            name=place.name,
            subject=place.parent.name,
            camera=camera,
            family="",
            fps=facts["fps"],
            lens=studio[camera].lens,
            people=tuple(_people(seen, studio[camera], inside)),
            where=str(path),
            pictures=partial(open_pictures, place, camera, studio[camera]) if has_pictures(place) else None,
            upright=Y_UP_TO_Z_UP @ studio[camera].turn.T,
        )


def _facts(name: str, where: str) -> Mapping[str, Any]:
    """The card's entry of a recording."""
    known = {entry["name"]: entry for entry in card()["recordings"]}
    if name not in known:
        raise DataError("no recording of this set", where=where, found=name, expected=f"S1/Seq1 to {list(known)[-1]}")
    return known[name]


def _people(seen: Seen, camera: StudioCamera, inside: bool) -> Iterator[Person]:
    points = house(seen.points, CARD, "")
    if inside:
        within = np.asarray(((points >= 0) & (points <= (camera.width, camera.height))).all((1, 2)))
        seen, points = seen.rows(within), points[within]
    person = person_of(0, seen.frames, camera.lens, joints=house(seen.joints, CARD, ""), keypoints=points)
    if person is not None:
        yield person


def mpi_inf_3dhp_images(config: Mpi3dhpImagesConfig) -> ShotImages:
    """`ImageData` over the set's folder."""
    return ShotImages(config, shots, CARD)


def mpi_inf_3dhp_keypoints(config: Mpi3dhpKeypointsConfig, *, host: Host) -> ShotKeypoints:
    """`KeypointData` over the set's folder."""
    return ShotKeypoints(config, shots, CARD)


def mpi_inf_3dhp_motion(config: Mpi3dhpMotionConfig) -> ShotMotion:
    """`PoseData` over the set's folder."""
    return ShotMotion(config, shots, CARD)
