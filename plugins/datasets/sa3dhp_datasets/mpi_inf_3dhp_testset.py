"""MPI-INF-3DHP, test set: six sequences of one camera, in MATLAB 7.3 files. `pinhole_fit` finds the cameras."""

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
from sa3dhp_datasets.expected_arrays import array_of, need_equal, need_unit
from sa3dhp_datasets.layouts import data_folder, nothing_found
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.mat_file import read_mat73
from sa3dhp_datasets.mpi_inf_3dhp_config import Mpi3dhpTestImagesConfig, Mpi3dhpTestKeypointsConfig
from sa3dhp_datasets.mpi_inf_3dhp_frames import MM, need_fit
from sa3dhp_datasets.pictures import ImageFiles
from sa3dhp_datasets.pinhole_fit import pinhole_of
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shot_keypoints import ShotKeypoints
from sa3dhp_datasets.shots import Shot, house, person_of

CARD = "mpi-inf-3dhp-test"
LAYOUT = "mpi_inf_3dhp_test_set/TS{1..6}/ with annot_data.mat and imageSequence/img_000001.jpg"
FPS, JOINTS, CAMERA = 25.0, 17, "0"


def shots(config: Mpi3dhpTestImagesConfig | Mpi3dhpTestKeypointsConfig) -> Iterator[Shot]:
    """A shot a sequence, TS1 to TS6; see `ReadsShots`."""
    known = {entry["name"]: entry for entry in read_card("datasets", CARD)["recordings"]}
    for place in sequences(data_folder(config.path, LAYOUT)):
        if place.name not in known:
            expected = ", ".join(known)
            raise DataError("no sequence of this set", where=str(place), found=place.name, expected=expected)
        yield _sequence(place, known[place.name]["scene"], config.truth)


def sequences(folder: Path) -> list[Path]:
    """The folders TS1, TS2, … in a folder or one below; raises `DataError` where none has annotations."""
    inside = [*folder.glob("TS*"), *folder.glob("*/TS*")]
    found = [path for path in inside if re.fullmatch(r"TS\d+", path.name) and path.is_dir()]
    if not any((path / "annot_data.mat").exists() for path in found):
        raise nothing_found(folder, LAYOUT)
    return sorted(found, key=lambda path: int(path.name[2:]))


def _sequence(place: Path, scene: str, truth: str) -> Shot:
    path = place / "annot_data.mat"
    points, joints, wanted, valid = _annotations(path, truth)
    usable = np.isfinite(points).all((1, 2)) & _before(joints) & _before(wanted)
    if (wrong := valid & ~usable).any():
        where = f"{path}: frame {int(np.flatnonzero(wrong)[0])}"
        raise DataError("valid, yet a joint has no place before the camera", where=where, expected="millimetres, z > 0")
    need_unit(house(joints[valid], CARD, str(path)), "millimetre", f"{path}: annot3")
    lens = pinhole_of(joints[valid].reshape(-1, 3), points[valid].reshape(-1, 2), str(path))
    need_fit(lens, joints[valid], points[valid], str(path))
    frames = np.flatnonzero(usable)
    person = person_of(
        0,
        frames,
        lens,
        joints=house(wanted[frames], CARD, "") / MM,
        keypoints=house(points[frames], CARD, ""),
        flags={"valid_frame": valid[frames]},
    )
    return Shot(
        name=place.name,
        subject=place.name,
        camera=CAMERA,
        family=scene,
        fps=FPS,
        lens=lens,
        people=() if person is None else (person,),
        where=str(path),
        split="test",
        pictures=partial(_pictures, place, len(points)) if (place / "imageSequence").is_dir() else None,
    )


def _annotations(path: Path, truth: str) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """Pixels ``(F, 17, 2)``, millimetres ``(F, 17, 3)`` that project there, the truth, and ``(F,)`` what is valid."""
    told = read_mat73(path, *dict.fromkeys(("annot2", "annot3", truth, "valid_frame")))
    points = array_of(told["annot2"], (None, 1, JOINTS, 2), f"{path}: annot2", "joints in pixels", gaps=True)
    joints, wanted = (
        array_of(told[key], (None, 1, JOINTS, 3), f"{path}: {key}", "joints in millimetres", gaps=True)
        for key in ("annot3", truth)
    )
    valid = array_of(told["valid_frame"], (None, 1), f"{path}: valid_frame", "whether a frame is valid")
    need_equal({"annot2": len(points), "annot3": len(joints), truth: len(wanted), "valid_frame": len(valid)}, str(path))
    if not valid.any():
        raise DataError("no frame is valid", where=f"{path}: valid_frame", expected="1 for frames that count")
    return points[:, 0], joints[:, 0], wanted[:, 0], valid[:, 0] > 0


def _before(joints: Array) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(joints).all((1, 2)) & (joints[..., 2] > 0).all(1))


def _pictures(place: Path, count: int) -> ImageFiles:
    return ImageFiles.open([place / "imageSequence" / f"img_{number:06d}.jpg" for number in range(1, count + 1)])


def mpi_inf_3dhp_test_images(config: Mpi3dhpTestImagesConfig) -> ShotImages:
    """`ImageData` over the set's folder."""
    return ShotImages(config, shots, CARD, own=("test",))


def mpi_inf_3dhp_test_keypoints(config: Mpi3dhpTestKeypointsConfig, *, host: Host) -> ShotKeypoints:
    """`KeypointData` over the set's folder."""
    return ShotKeypoints(config, shots, CARD, own=("test",))
