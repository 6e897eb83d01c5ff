"""A small MPI-INF-3DHP in the real files, training and test set, for the kit and the tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from sa3dhp_core.cards import read_card, skeleton
from sa3dhp_datasets.example import picture_of, write_video
from sa3dhp_datasets.keypoint_example import person
from sa3dhp_datasets.lens import Array, Lens
from sa3dhp_datasets.shots import projected
from sa3dhp_datasets.skeletool_file import HEADER, StudioCamera, parse_skeletool

SIDE, FRAMES, CAMERAS = 96, 8, 14
UNIVERSAL = 0.92
"""Size of all people together over that of these."""

BETWEEN = {
    "spine2": ("spine", "spine", "thorax"),
    "spine3": ("spine", "thorax"),
    "spine4": ("spine", "thorax", "thorax"),
    "left_clavicle": ("thorax", "left_shoulder"),
    "right_clavicle": ("thorax", "right_shoulder"),
}
"""Columns of no house joint, as means of some."""

BEYOND = {"hand": ("elbow", "wrist", 0.3), "foot": ("knee", "ankle", 0.2), "toe": ("knee", "ankle", 0.35)}
"""Columns that lie beyond a limb: its two joints, and how far beyond the second, over their distance."""

TEST_LENS = Lens(np.array([101.0, 99.0]), np.array([49.0, 47.5]))


def world_joints(seed: int, frames: int = FRAMES) -> Array:
    """``(frames, J, 3)`` metres, y up, house order: someone upright who turns, limbs a little any which way."""
    standing = person(seed, frames).double().numpy()
    return np.stack([standing[..., 0], standing[..., 2] + 0.95, -standing[..., 1]], axis=-1)


def columns(joints: Array, card: str) -> Array:
    """``(T, J, 3)`` of the house skeleton in the order of a card's columns."""
    content = read_card("datasets", card)
    house = {names[0]: joints[:, skeleton().index(joint)] for joint, names in content["joints"].items()}
    place = {joint: joints[:, index] for index, joint in enumerate(skeleton().joints)}
    house |= {name: np.mean([place[joint] for joint in among], axis=0) for name, among in BETWEEN.items()}
    for side in ("left", "right"):
        for name, (inner, outer, share) in BEYOND.items():
            start, end = place[f"{side}_{inner}"], place[f"{side}_{outer}"]
            house[f"{side}_{name}"] = end + share * (end - start)
    return np.stack([house[name] for name in content["columns"]], axis=1)


def calibration(side: int = SIDE) -> str:
    """A camera.calibration: cameras around the origin that look at a person's middle, the last three from above."""
    blocks = [HEADER]
    for number in range(CAMERAS):
        angle, high = 0.4 + 2 * np.pi * number / 11, 3.2 if number > 10 else 1.2 + 0.05 * number
        away = 1.5 if number > 10 else 3.4
        eye = np.array([away * np.sin(angle), high, away * np.cos(angle)])
        ahead = np.array([0.0, 0.95, 0.0]) - eye
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, [0.0, 1.0, 0.0])
        right /= np.linalg.norm(right)
        turn = np.stack([right, np.cross(ahead, right), ahead])
        stand = np.eye(4)
        stand[:3, :3], stand[:3, 3] = turn, -1000 * turn @ eye
        focal, middle = 1.05 * side + 0.1 * number, side / 2 + 0.05 * number
        camera = [[focal, 0, middle, 0], [0, focal - 0.3, middle + 1.2, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
        blocks += [f"name          {number}", "  sensor      10 10", f"  size        {side} {side}", "  animated    0"]
        blocks += [f"  intrinsic   {_words(camera)} ", f"  extrinsic   {_words(stand)} ", "  radial      0"]
    return "\n".join(blocks) + "\n"


def _words(matrix: Any) -> str:
    return " ".join(f"{value:.7g}" for value in np.ravel(matrix))


def before(camera: StudioCamera, joints: Array) -> Array:
    """World joints in metres as a camera has them."""
    return joints @ camera.turn.T + camera.place / 1000


@attrs.frozen(eq=False)
class Annotated:
    """What annot.mat holds: for each camera ``(F, 28, ·)``, pixels and millimetres."""

    points: list[Array]
    joints: list[Array]
    universal: list[Array]


def annotated(joints: Array) -> Annotated:
    """The annotations of a person, ``(F, 28, 3)`` metres in the world."""
    cameras = parse_skeletool(calibration(), "example").values()
    seen = [before(camera, joints) for camera in cameras]
    root = read_card("datasets", "mpi-inf-3dhp")["columns"].index("pelvis")
    universal = [each[:, root : root + 1] + UNIVERSAL * (each - each[:, root : root + 1]) for each in seen]
    points = [projected(each, camera.lens) for each, camera in zip(seen, cameras, strict=True)]
    return Annotated(points, [1000 * each for each in seen], [1000 * each for each in universal])


def save_annotations(path: Path, told: Annotated, packed: bool = True, **changes: Any) -> None:
    """An annot.mat; `changes` replaces its variables, None takes one away."""
    content = {
        "annot2": _cells(told.points),
        "annot3": _cells(told.joints),
        "univ_annot3": _cells(told.universal),
        "cameras": np.arange(CAMERAS, dtype=np.uint8)[None],
        "frames": np.arange(len(told.points[0]), dtype=np.float64)[:, None],
    }
    savemat(
        path, {key: value for key, value in {**content, **changes}.items() if value is not None}, do_compression=packed
    )


def _cells(values: Sequence[Array]) -> NDArray[Any]:
    cells = np.empty((len(values), 1), dtype=object)
    for number, value in enumerate(values):
        cells[number, 0] = value.reshape(len(value), -1)
    return cells


def write_recording(place: Path, seed: int, frames: int = FRAMES) -> Annotated:
    """A folder SeqY with annotations and calibration."""
    place.mkdir(parents=True)
    told = annotated(columns(world_joints(seed, frames), "mpi-inf-3dhp"))
    save_annotations(place / "annot.mat", told)
    (place / "camera.calibration").write_text(calibration(), encoding="utf-8")
    return told


def drawn(points: Array) -> list[NDArray[np.uint8]]:
    """A picture a frame, with a disc at each of its joints."""
    return [picture_of(row, SIDE, SIDE) for row in points]


def training(folder: Path) -> dict[str, Any]:
    """Three subjects without pictures."""
    for seed, name in enumerate(("S1/Seq1", "S2/Seq2", "S8/Seq1")):
        write_recording(folder / name, seed + 3)
    return {"path": str(folder), "cameras": ["0", "7"], "validation": ["S2"], "test": ["S8"]}


def training_images(folder: Path) -> dict[str, Any]:
    """The same with the videos of two cameras, in small crops."""
    for seed, name in enumerate(("S1/Seq1", "S2/Seq2", "S8/Seq1")):
        told = write_recording(folder / name, seed + 3)
        (folder / name / "imageSequence").mkdir()
        for camera in (0, 7):
            write_video(folder / name / "imageSequence" / f"video_{camera}.avi", drawn(told.points[camera]), 25)
    return {"path": str(folder), "size": 32, "cameras": ["0", "7"], "validation": ["S2"], "test": ["S8"]}


def sequence_joints(seed: int, frames: int = FRAMES) -> Array:
    """``(frames, 17, 3)`` metres, camera frame, in the test set's order."""
    world = world_joints(seed, frames) - [0.1, 0.95, -0.05]
    return columns(np.stack([world[..., 0], -world[..., 1], 3.3 - world[..., 2]], axis=-1), "mpi-inf-3dhp-test")


def save_sequence(path: Path, joints: Array, **changes: Any) -> None:
    """An annot_data.mat of ``(F, 17, 3)`` metres; `changes` replaces its variables, None takes one away."""
    valid = np.ones((len(joints), 1))
    valid[len(joints) // 2] = 0
    pelvis = joints[:, 14:15]
    content = {
        "activity_annotation": np.ones((len(joints), 1)),
        "annot2": projected(joints, TEST_LENS)[:, None],
        "annot3": 1000 * joints[:, None],
        "univ_annot3": 1000 * (pelvis + UNIVERSAL * (joints - pelvis))[:, None],
        "valid_frame": valid,
    }
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, value in {**content, **changes}.items():
            if value is not None:
                file.create_dataset(key, data=value).attrs["MATLAB_class"] = np.bytes_("double")
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jun 26 12:00:00 2017 HDF5 schema 1.00 ."
    with path.open("r+b") as raw:
        raw.write(header.ljust(116) + bytes(8) + b"\x00\x02IM")


def write_sequence(place: Path, seed: int, frames: int = FRAMES, pictures: bool = True) -> Array:
    """A folder TSk; its pictures are one more than its annotations, as TS3's."""
    place.mkdir(parents=True)
    joints = sequence_joints(seed, frames)
    save_sequence(place / "annot_data.mat", joints)
    (place / "imageSequence").mkdir()
    for number, shown in enumerate(
        [*drawn(projected(joints, TEST_LENS)), drawn(TEST_LENS.centre_px[None, None])[0]], 1
    ):
        if pictures:
            Image.fromarray(shown).save(place / "imageSequence" / f"img_{number:06d}.jpg", quality=95)
    return joints


def evaluation(folder: Path) -> dict[str, Any]:
    """Two sequences, without pictures."""
    for seed, name in enumerate(("TS1", "TS5")):
        write_sequence(folder / name, seed + 20, pictures=False)
    return {"path": str(folder)}


def evaluation_images(folder: Path) -> dict[str, Any]:
    """The same with pictures, in small crops."""
    for seed, name in enumerate(("TS1", "TS5")):
        write_sequence(folder / name, seed + 20)
    return {"path": str(folder), "size": 32}
