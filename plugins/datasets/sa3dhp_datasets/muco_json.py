"""MuCo-3DHP.json: the community's labels of MuCo-3DHP in COCO's form, with cameras and people in their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.expected_arrays import array_of, whole_numbers
from sa3dhp_datasets.json_file import read_object
from sa3dhp_datasets.lens import Lens
from sa3dhp_datasets.muco_joints import house_of, metres, need_in_front
from sa3dhp_datasets.shots import Shot
from sa3dhp_datasets.single_pictures import Labels, single

JOINTS = 21
SETS = ("", "augmented_set", "unaugmented_set")
"""Folders beside the file that its pictures' names may begin in."""


def json_shots(path: Path) -> Iterator[Shot]:
    """A shot a picture that has people in it, in the file's order.

    Raises:
        DataError: the file is damaged or of another form, people are no people, or of pictures that it does not list.
    """
    where = str(path)
    content = read_object(path)
    images, people = (_records(content, key, where) for key in ("images", "annotations"))
    focal, centre = (array_of(_column(images, key, where), (None, 2), f"{where}: {key}", "pixels") for key in "fc")
    sizes = [array_of(_column(images, key, where), (None,), f"{where}: {key}", "pixels") for key in ("width", "height")]
    if not (focal > 0).all():
        raise DataError("a focal length that is none", where=f"{where}: f", found=focal.min(), expected="pixels, > 0")
    files = [_picture(path, name) for name in _column(images, "file_name", where)]
    labels = _labels(people, where)
    rows = _rows(images, people, where)
    for number, file in enumerate(files):
        seen = labels.seen_in(rows[number], float(sizes[0][number]), float(sizes[1][number]))
        if seen:
            yield single(file, file.parent.name, Lens(focal[number], centre[number]), seen, where, "train")


def _records(content: dict[str, Any], key: str, where: str) -> list[Any]:
    records = content.get(key)
    if not isinstance(records, list) or not records:
        raise DataError(
            f"no list of {key}", where=where, found=", ".join(content)[:200], expected=f"{key!r}: [{{…}}, …]"
        )
    return records


def _column(records: Sequence[Any], key: str, where: str) -> list[Any]:
    for number, record in enumerate(records):
        if not isinstance(record, dict) or key not in record:
            found = ", ".join(record)[:200] if isinstance(record, dict) else type(record).__name__
            raise DataError(f"the key {key!r} is missing", where=f"{where}: record {number}", found=found)
    return [record[key] for record in records]


def _labels(people: Sequence[Any], where: str) -> Labels:
    seen, solid = (
        array_of(_column(people, key, where), (None, JOINTS, axes), f"{where}: {key}", what)
        for key, axes, what in (("keypoints_img", 2, "pixels"), ("keypoints_cam", 3, "millimetres"))
    )
    joints = metres(solid, f"{where}: keypoints_cam")
    need_in_front(joints, f"{where}: keypoints_cam")
    return Labels.of(house_of(seen, f"{where}: keypoints_img"), joints)


def _rows(images: Sequence[Any], people: Sequence[Any], where: str) -> list[list[int]]:
    """For each picture the people in it."""
    known = whole_numbers(_column(images, "id", where), (None,), f"{where}: images: id", "ids").tolist()
    owners = whole_numbers(_column(people, "image_id", where), (None,), f"{where}: image_id", "ids").tolist()
    place = {image: number for number, image in enumerate(known)}
    if len(place) != len(known):
        raise DataError("two images have one id", where=where, found=f"{len(known)} images, {len(place)} ids")
    rows: list[list[int]] = [[] for _ in images]
    for row, owner in enumerate(owners):
        if owner not in place:
            raise DataError("a person of an image that is not listed", where=f"{where}: annotation {row}", found=owner)
        rows[place[owner]].append(row)
    return rows


def _picture(path: Path, name: Any) -> Path:
    """The file that a name means: beside the labels, or in a set's folder there."""
    if not isinstance(name, str) or not name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        expected = "a path below the folder"
        raise DataError("no name of a picture", where=f"{path}: file_name", found=repr(name)[:80], expected=expected)
    candidates = [path.parent / folder / name for folder in SETS]
    return next((file for file in candidates if file.is_file()), candidates[0])
