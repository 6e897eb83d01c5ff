"""A small data set in COCO's form, from which the conformance kit and the tests build it: two people a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sa3dhp_core.cards import read_card, skeleton
from sa3dhp_datasets.example import picture_of, standing
from sa3dhp_datasets.lens import Array, middle_lens
from sa3dhp_datasets.shots import projected

WIDTH, HEIGHT = 160, 120
LENS = middle_lens(WIDTH, HEIGHT, None, 60.0)
PLACES = ((-0.7, 0.1, 4.0), (0.8, 0.0, 4.6))
"""Where the two people of a picture stand, metres."""

SETS = {"train2017": (139, 285, 632), "val2017": (724, 776)}
"""Ids of the pictures of each file."""

HIDDEN, UNLABELLED = "left_wrist", "right_ankle"
"""Of the second person of each picture: labelled but not visible, and not labelled."""

EDGES = ((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11))


def people_of(number: int) -> list[Array]:
    """The people of a picture, ``(J, 2)`` pixels from its corner, house order; others in every picture."""
    found = []
    for who, place in enumerate(PLACES):
        person = standing(number % 11 + 10 * who)[number % 10]
        seen = np.stack([person[:, 0], -person[:, 2], person[:, 1]], axis=-1)
        found.append(projected(seen - seen.mean(0) + np.array(place), LENS))
    return found


def labels_of(person: Array, who: int) -> Array:
    """``(17, 3)`` COCO's keypoints of a person: numbers of pixels and visibility."""
    house = dict(zip(skeleton().joints, person, strict=True))
    face = {
        "nose": house["neck"],
        "left_eye": house["head"] + [1.5, 0.0],
        "right_eye": house["head"] - [1.5, 0.0],
        "left_ear": house["neck"] + [3.0, -1.0],
        "right_ear": house["neck"] - [3.0, 1.0],
    }
    rows = []
    for name in read_card("datasets", "coco-keypoints")["columns"]:
        visible = 2 if not who or name not in (HIDDEN, UNLABELLED) else int(name == HIDDEN)
        rows.append([*np.floor((face | house)[name]), visible] if visible else [0, 0, 0])
    return np.array(rows)


def content(pictures: tuple[int, ...]) -> dict[str, Any]:
    """What a file of annotations holds: two people a picture, and a crowd in the first."""
    annotations = []
    for image in pictures:
        for who, person in enumerate(people_of(image)):
            labels, low, high = labels_of(person, who), person.min(0).round(2), person.max(0).round(2)
            annotations.append(_annotation(image, who, labels, [*low.tolist(), *(high - low).round(2).tolist()]))
    annotations.append(_annotation(pictures[0], 9, np.zeros((17, 3)), [0.0, 0.0, 99.0, 50.0]) | _crowd())
    return {
        "info": {"description": "COCO 2017 Dataset", "url": "http://cocodataset.org", "version": "1.0", "year": 2017},
        "licenses": [{"url": "http://creativecommons.org/licenses/by/2.0/", "id": 4, "name": "Attribution License"}],
        "images": [_image(image) for image in pictures],
        "annotations": annotations,
        "categories": [
            {
                "supercategory": "person",
                "id": 1,
                "name": "person",
                "keypoints": read_card("datasets", "coco-keypoints")["columns"],
                "skeleton": [list(edge) for edge in EDGES],
            }
        ],
    }


def _image(image: int) -> dict[str, Any]:
    name = f"{image:012d}.jpg"
    url = f"http://images.cocodataset.org/val2017/{name}"
    told = {"license": 4, "file_name": name, "coco_url": url, "height": HEIGHT, "width": WIDTH}
    return {**told, "date_captured": "2013-11-14 17:02:52", "flickr_url": "", "id": image}


def _annotation(image: int, who: int, labels: Array, box: list[float]) -> dict[str, Any]:
    x, y, width, height = box
    return {
        "segmentation": [[x, y, x + width, y, x + width, y + height, x, y + height]],
        "num_keypoints": int((labels[:, 2] > 0).sum()),
        "area": width * height,
        "iscrowd": 0,
        "keypoints": labels.astype(int).flatten().tolist(),
        "image_id": image,
        "bbox": box,
        "category_id": 1,
        "id": 100 * image + who,
    }


def _crowd() -> dict[str, Any]:
    return {"iscrowd": 1, "segmentation": {"counts": [0, 10, WIDTH * HEIGHT - 10], "size": [HEIGHT, WIDTH]}}


def write_pictures(folder: Path, pictures: tuple[int, ...]) -> None:
    """A jpg of each picture, a disc at each joint."""
    folder.mkdir(parents=True)
    for image in pictures:
        drawn = picture_of(np.concatenate(people_of(image)), WIDTH, HEIGHT)
        Image.fromarray(drawn).save(folder / f"{image:012d}.jpg", quality=95)


def coco_keypoints(folder: Path) -> dict[str, Any]:
    """Files of a training and a validation set, with their pictures."""
    (folder / "annotations").mkdir()
    for name, pictures in SETS.items():
        path = folder / "annotations" / f"person_keypoints_{name}.json"
        path.write_text(json.dumps(content(pictures)), encoding="utf-8")
        write_pictures(folder / name, pictures)
    return {"path": str(folder)}


def coco_images(folder: Path) -> dict[str, Any]:
    """The same in small crops."""
    return {**coco_keypoints(folder), "size": 32}
