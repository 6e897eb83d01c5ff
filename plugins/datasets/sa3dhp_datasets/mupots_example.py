"""A small MuPoTS-3D in the real files, from which the conformance kit and the tests build the data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from sa3dhp_core.cards import read_card, skeleton
from sa3dhp_datasets.example import picture_of
from sa3dhp_datasets.keypoint_example import person
from sa3dhp_datasets.lens import Array, Lens
from sa3dhp_datasets.shots import projected

WIDTH, HEIGHT = 160, 120
LENS = Lens(np.array([151.0, 149.0]), np.array([82.0, 58.0]))
PLACES = ((-0.6, 0.1, 4.0), (0.7, 0.0, 4.6))
"""Where the two people of a sequence stand, metres."""

FRAMES = {"TS1": 6, "TS6": 12}
UNIVERSAL = 0.95
"""Size of all people together over that of these."""


def columns(joints: Array, card: str) -> Array:
    """``(T, J, 3)`` of the house skeleton in the order of a card's columns, each of which is one house joint."""
    house = {names[0]: joint for joint, names in read_card("datasets", card)["joints"].items()}
    return joints[:, [skeleton().index(house[name]) for name in read_card("datasets", card)["columns"]]]


def before_the_camera(seed: int, frames: int, place: tuple[float, float, float]) -> Array:
    """``(frames, J, 3)`` metres, camera frame, house order: someone upright who turns at a place."""
    standing = person(seed, frames).double().numpy()
    return np.stack([standing[..., 0], -standing[..., 2], standing[..., 1]], axis=-1) + np.array(place)


def people_of(name: str) -> list[Array]:
    """The people of a sequence, ``(T, J, 3)`` metres, camera frame, house order."""
    seed = int(name[2:])
    return [before_the_camera(10 * seed + who, FRAMES[name], place) for who, place in enumerate(PLACES)]


def annotation_cells(people: list[Array]) -> np.ndarray[Any, np.dtype[np.object_]]:
    """The cells of annot.mat: all frames valid but the last one of the first person."""
    frames = len(people[0])
    cells = np.empty((frames, len(people)), dtype=object)
    for who, joints in enumerate(people):
        solid = columns(joints, "mupots-3d")
        for frame in range(frames):
            cells[frame, who] = {
                "annot2": projected(solid[frame], LENS).T,
                "annot3": 1000 * solid[frame].T,
                "univ_annot3": 1000 * UNIVERSAL * solid[frame].T,
                "isValidFrame": np.array([[who > 0 or frame < frames - 1]], dtype=np.uint8),
            }
    return cells


def label_cells(frames: int, people: int) -> np.ndarray[Any, np.dtype[np.object_]]:
    """The cells of occlusion.mat: in frame 1 the first nine joints of everybody, in the others the first of them."""
    cells = np.empty((frames, people), dtype=object)
    for frame, who in np.ndindex(frames, people):
        cells[frame, who] = (np.arange(17) < (9 if frame == 1 else 1)).astype(np.uint8)[None]
    return cells


def write_sequence(folder: Path, people: list[Array]) -> None:
    """A folder TSk with annot.mat, occlusion.mat and pictures."""
    folder.mkdir(parents=True)
    savemat(folder / "annot.mat", {"annotations": annotation_cells(people)}, do_compression=True)
    savemat(folder / "occlusion.mat", {"occlusion_labels": label_cells(len(people[0]), len(people))})
    for frame, points in enumerate(projected(np.concatenate(people, axis=1), LENS)):
        Image.fromarray(picture_of(points, WIDTH, HEIGHT)).save(folder / f"img_{frame:06d}.jpg", quality=95)


def mupots_keypoints(folder: Path) -> dict[str, Any]:
    """Two sequences, of 30 and of 60 frames a second."""
    for name in FRAMES:
        write_sequence(folder / "MultiPersonTestSet" / name, people_of(name))
    return {"path": str(folder), "fps": 30.0}


def mupots_images(folder: Path) -> dict[str, Any]:
    """The same in small crops."""
    return {**mupots_keypoints(folder), "size": 32}
