"""A small MuCo-3DHP in the real files of both forms, of which the conformance kit and the tests build the set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from sa3dhp_datasets.example import picture_of
from sa3dhp_datasets.lens import Array, Lens
from sa3dhp_datasets.mupots_example import before_the_camera, columns
from sa3dhp_datasets.shots import projected

WIDTH, HEIGHT = 160, 120
LENSES = (
    Lens(np.array([151.0, 149.0]), np.array([82.0, 58.0])),
    Lens(np.array([140.0, 140.0]), np.array([80.0, 60.0])),
)
"""Pictures have them by turns; the second has its centre in the picture's middle."""

PLACES = ((-0.5, 0.1, 4.0), (0.7, 0.0, 4.6))
SETS = ("augmented_set", "unaugmented_set")
PICTURES = 6


def people_of(picture: int) -> Array:
    """The people of a picture, ``(P, J, 3)`` metres, camera frame, house order."""
    people = [before_the_camera(100 * picture + who, 1, place) for who, place in enumerate(PLACES)]
    return np.concatenate(people)


def lens_of(picture: int) -> Lens:
    """A picture's camera."""
    return LENSES[picture % len(LENSES)]


def further(joints: Array) -> Array:
    """``(P, 21, D)``: the set's 17 joints, and hands and toes a little beyond wrists and ankles."""
    own = columns(joints, "muco-3dhp")
    return np.concatenate([own, own[:, [4, 7, 10, 13]] + 0.05], axis=1)


def labels() -> dict[str, Any]:
    """The content of MuCo-3DHP.json."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(PICTURES):
        lens, solid = lens_of(number), further(people_of(number))
        name = f"{SETS[number % 2]}/{number:06d}.jpg"
        size = {"width": WIDTH, "height": HEIGHT}
        camera = {"f": lens.focal_px.tolist(), "c": lens.centre_px.tolist()}
        images.append({"id": 10 + number, "file_name": name, **size, **camera})
        for points, joints in zip(projected(solid, lens), solid, strict=True):
            low, high = points.min(0), points.max(0)
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": 10 + number,
                    "bbox": [*low.tolist(), *(high - low).tolist()],
                    "keypoints_img": points.tolist(),
                    "keypoints_cam": (1000 * joints).tolist(),
                }
            )
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}


def write_picture(path: Path, number: int) -> None:
    """A jpg of a picture's people."""
    path.parent.mkdir(parents=True, exist_ok=True)
    points = projected(people_of(number), lens_of(number)).reshape(-1, 2)
    Image.fromarray(picture_of(points, WIDTH, HEIGHT)).save(path, quality=95)


def chunk_of(pictures: list[int]) -> dict[str, Any]:
    """The variables of a chunk, of 17 joints."""
    names = np.empty((1, len(pictures)), dtype=object)
    names[0] = [f"{number + 1:06d}.jpg" for number in pictures]
    solid = [columns(people_of(number), "muco-3dhp") for number in pictures]
    seen = [projected(joints, lens_of(number)) for number, joints in zip(pictures, solid, strict=True)]
    relative = [1000 * (joints - joints[:, 14:15]) for joints in solid]
    return {
        "img_names": names,
        "joint_loc3": np.stack([joints.T for joints in relative], axis=-1),
        "joint_loc2": np.stack([points.T for points in seen], axis=-1),
    }


def write_chunks(folder: Path, pictures: tuple[list[int], ...] = ([1, 3], [5])) -> Path:
    """Chunks of pictures of one camera, and the pictures, in augmented_set_001; the last chunk has one picture."""
    inside = folder / "augmented_set_001"
    for chunk, numbers in enumerate(pictures, 1):
        for number in numbers:
            write_picture(inside / f"{number + 1:06d}.jpg", number)
        savemat(inside / f"chunk_{chunk:05d}_annot.mat", chunk_of(numbers), do_compression=True)
    return folder


def muco_keypoints(folder: Path) -> dict[str, Any]:
    """Labels in JSON, and pictures."""
    (folder / "MuCo-3DHP.json").write_text(json.dumps(labels()), encoding="utf-8")
    for number, image in enumerate(labels()["images"]):
        write_picture(folder / image["file_name"], number)
    return {"path": str(folder), "validation": ["000004"], "test": ["000005"]}


def muco_images(folder: Path) -> dict[str, Any]:
    """The same in small crops."""
    return {**muco_keypoints(folder), "size": 32}
