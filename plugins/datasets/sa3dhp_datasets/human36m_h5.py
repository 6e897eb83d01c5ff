"""Human3.6M as h36m-fetch prepares it: some frames of each recording as images, with poses in HDF5 files.

The intrinsics in those files are fitted without distortion; cameras are metadata.xml's instead, as `human36m`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.cards import read_card
from sa3dhp_core.errors import DataError
from sa3dhp_core.host import Host
from sa3dhp_datasets.config import RecordingsConfig, ShotImagesConfig, ShotKeypointsConfig
from sa3dhp_datasets.expected_arrays import array_of, need_equal, need_unit, whole_numbers
from sa3dhp_datasets.human36m import CARD, FPS, OWN
from sa3dhp_datasets.human36m_cameras import Rig, metadata_of, read_rig
from sa3dhp_datasets.layouts import data_folder, nothing_found
from sa3dhp_datasets.mat_file import read_mat73
from sa3dhp_datasets.pictures import ImageFiles
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shot_keypoints import ShotKeypoints
from sa3dhp_datasets.shots import Pictures, Shot, house, person_of

LAYOUT = "S1/Directions-1/annot.h5 and S1/Directions-1/imageSequence/{camera}/img_000001.jpg, beside metadata.xml"
KEYS = ("pose/2d", "pose/3d", "frame", "camera")
MOST_FRAMES = 1_000_000
_PATH = re.compile(r"S(?P<subject>\d{1,3})/(?P<action>[A-Za-z]+)-(?P<part>\d+)/annot.h5")


def human36m_h5_images(config: ShotImagesConfig) -> ShotImages:
    """Crops of its images."""
    return ShotImages(config, shots, CARD, OWN)


def human36m_h5_keypoints(config: ShotKeypointsConfig, *, host: Host) -> ShotKeypoints:
    """Its keypoints."""
    return ShotKeypoints(config, shots, CARD, OWN)


def shots(config: RecordingsConfig) -> Iterator[Shot]:
    """Every recording in every camera: subjects by number, recordings and cameras by name.

    Raises:
        DataError: see `read_rig` and `read_mat73`; arrays of other shapes or lengths, not finite or in metres; frames
            that do not rise.
    """
    folder, card = data_folder(config.path, LAYOUT), read_card("datasets", CARD)
    found = {match: path for path in folder.glob("S*/*/annot.h5") if (match := _match(path, folder))}
    if not found:
        raise nothing_found(folder, LAYOUT)
    rig = read_rig(metadata_of(folder))
    excluded = {(entry["subject"], entry["recording"]) for entry in card["exclusions"]}
    for (number, action, part), path in sorted(found.items()):
        action = card["names"].get(action, action)
        if (f"S{number}", f"{action}-{part}") not in excluded:
            yield from _views(path, number, action, f"{action}-{part}", rig, card)


def _match(path: Path, folder: Path) -> tuple[int, str, int] | None:
    match = _PATH.fullmatch(path.relative_to(folder).as_posix())
    return (int(match["subject"]), match["action"], int(match["part"])) if match else None


def _views(path: Path, subject: int, action: str, name: str, rig: Rig, card: Mapping[str, Any]) -> Iterator[Shot]:
    where, count = str(path), len(card["columns"])
    found = read_mat73(path, *KEYS)
    solid = array_of(found["pose/3d"], (None, count, 3), f"{where}: pose/3d", "joints in millimetres")
    flat = array_of(found["pose/2d"], (None, count, 2), f"{where}: pose/2d", "keypoints in pixels")
    frames = whole_numbers(found["frame"], (None,), f"{where}: frame", "numbers of frames")
    cameras = whole_numbers(found["camera"], (None,), f"{where}: camera", "numbers of cameras")
    need_equal(dict(zip(KEYS, map(len, (flat, solid, frames, cameras)), strict=True)), where)
    joints, keypoints = house(solid, CARD, where), house(flat, CARD, where)
    need_unit(joints, "millimetre", where)
    split = next((split for split, subjects in card["splits"].items() if f"S{subject}" in subjects), None)
    for number in sorted(set(cameras.tolist())):
        camera, rows = rig.camera(str(number), subject), cameras == number
        _need_rising(frames[rows], f"{where}: frame, camera {number}")
        person = person_of(
            subject, frames[rows] - 1, camera.lens, joints=joints[rows] / 1000, keypoints=keypoints[rows]
        )
        yield Shot(
            name=name,
            subject=f"S{subject}",
            camera=str(number),
            family=action,
            fps=FPS,
            lens=camera.lens,
            people=(person,) if person else (),
            where=where,
            split=split,
            pictures=partial(_pictures, path.parent / "imageSequence" / str(number), frames[rows]),
            upright=camera.turn.T,
        )


def _need_rising(frames: NDArray[np.int64], where: str) -> None:
    if frames.min() < 1 or frames.max() > MOST_FRAMES or bool((np.diff(frames) <= 0).any()):
        raise DataError("frames do not rise from 1", where=where, found=frames[:20].tolist(), expected="1, 2, 5, …")


def _pictures(folder: Path, frames: NDArray[np.int64]) -> Pictures:
    """Images by the numbers of their frames; those of other frames need not be there."""
    paths = [folder / f"img_{number:06d}.jpg" for number in range(1, int(frames[-1]) + 1)]
    first = ImageFiles.open([paths[int(frames[0]) - 1]])
    return ImageFiles(paths, first.width, first.height)
