"""A file of keypoint annotations in COCO's form: its pictures and people, checked. Maps no joint; opens no picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import numpy as np

from sa3dhp_core.errors import DataError, nearest
from sa3dhp_datasets.expected_arrays import array_of
from sa3dhp_datasets.json_file import read_object
from sa3dhp_datasets.lens import Array

HALF = 0.5
"""From a pixel's number to its middle: COCO's keypoints are numbers of pixels, its boxes measured from the corner."""

FAR = 1.0
"""How many widths or heights outside the picture a keypoint may be said to lie."""

_LARGEST = 100_000
"""Side of a picture, pixels."""

_FASTEST = 100_000
"""Pictures per second."""

Id = int | str


@attrs.frozen
class Picture:
    """A picture: its id, file, size in pixels, and where it belongs to a video that one's id and the frame's number."""

    identity: Id
    file: str
    width: int
    height: int
    video: Id | None
    frame: int


@attrs.frozen(eq=False)
class Figure:
    """A person in a picture.

    Attributes:
        keypoints: ``(K, 2)`` pixels from the picture's corner, NaN where not labelled.
        box: ``(4,)`` x, y, width, height in pixels; NaN where the file has none.
        track: the person's number in a video; None where the file has none.
        where: the annotation, for messages.
    """

    keypoints: Array
    box: Array
    track: int | None
    where: str


@attrs.frozen(eq=False)
class Annotations:
    """What a file tells.

    Attributes:
        names: of the K keypoints.
        pictures: in the file's order.
        figures: of each picture's id, in the file's order; crowds are left out.
        videos: id to name and, where the file tells it, pictures per second.
    """

    names: tuple[str, ...]
    pictures: tuple[Picture, ...]
    figures: Mapping[Id, list[Figure]]
    videos: Mapping[Id, tuple[str, float | None]]


def read_annotations(path: Path) -> Annotations:
    """Read a file.

    Raises:
        DataError: see `read_object`; a key is missing or of a wrong type; no or several categories have keypoints; an
            id stands twice, or is unknown; another number of keypoints than names; a visibility that is not 0, 1 or 2;
            keypoints in shares of the picture, or far outside it; a box outside it.
    """
    content, where = read_object(path), str(path)
    category, names = _category(_records(content, "categories", where), where)
    pictures = {}
    for record, place in _records(content, "images", where):
        picture = _picture(record, place)
        if picture.identity in pictures:
            raise DataError("an image's id stands twice", where=place, found=picture.identity)
        pictures[picture.identity] = picture
    figures: dict[Id, list[Figure]] = {}
    for record, place in _records(content, "annotations", where):
        if _of(record, "category_id", int, place) == category and not record.get("iscrowd"):
            picture = _pictured(record, pictures, place)
            figures.setdefault(picture.identity, []).append(_figure(record, len(names), picture, place))
    _need_pixels(figures, where)
    videos = dict(_video(*entry) for entry in _records(content, "videos", where)) if "videos" in content else {}
    return Annotations(names, tuple(pictures.values()), figures, videos)


def _records(content: Mapping[str, Any], key: str, where: str) -> Iterable[tuple[dict[str, Any], str]]:
    """The objects of a list, each with what messages call it."""
    if not isinstance(found := content.get(key), list):
        expected = "COCO's keypoint annotations: images, annotations, categories"
        raise DataError(f"no list of {key}", where=where, found=", ".join(content) or "{}", expected=expected)
    for number, record in enumerate(found):
        if not isinstance(record, dict):
            raise DataError("not a JSON object", where=f"{where}: {key}[{number}]", found=repr(record)[:80])
        yield record, f"{where}: {key}[{number}]"


def _of(record: Mapping[str, Any], key: str, kinds: Any, where: str) -> Any:
    """A value of a record; raises `DataError` where it is missing or of another type."""
    if key not in record:
        found = ", ".join(map(str, record)) or "{}"
        raise DataError(f"the key {key!r} is missing", where=where, found=found, hint=nearest(key, record))
    value = record[key]
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise DataError(f"{key} is of a wrong type", where=where, found=repr(value)[:80])
    return value


def _category(categories: Iterable[tuple[dict[str, Any], str]], where: str) -> tuple[int, tuple[str, ...]]:
    """The id of the people's category, and the names of its keypoints."""
    known = [(record, place) for record, place in categories if "keypoints" in record]
    people = [entry for entry in known if str(entry[0].get("name")).lower() == "person"] or known
    if len(people) != 1:
        found = ", ".join(str(record.get("name")) for record, _ in known) or "none"
        expected = "one category with keypoints, or one named person"
        raise DataError("no category of people", where=f"{where}: categories", found=found, expected=expected)
    record, place = people[0]
    names = _of(record, "keypoints", list, place)
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise DataError("keypoints are no different names", where=place, found=repr(names)[:80])
    return _of(record, "id", int, place), tuple(names)


def _picture(record: Mapping[str, Any], where: str) -> Picture:
    width, height = _of(record, "width", int, where), _of(record, "height", int, where)
    if not (0 < width <= _LARGEST and 0 < height <= _LARGEST):
        raise DataError("no size of a picture", where=where, found=f"{width} x {height}", expected="pixels")
    file = _of(record, "file_name", str, where)
    parts = PurePosixPath(file)
    if not parts.name or parts.is_absolute() or ".." in parts.parts or any(sign in file for sign in "\0\\"):
        raise DataError(
            "file_name leads elsewhere", where=where, found=repr(file)[:80], expected="a name in the folder"
        )
    key = next((key for key in ("video_id", "vid_id") if record.get(key) is not None), None)
    video = None if key is None else _of(record, key, (int, str), where)
    frame = 0 if video is None else _of(record, "frame_id", int, where)
    return Picture(_of(record, "id", (int, str), where), file, width, height, video, frame)


def _pictured(record: Mapping[str, Any], pictures: Mapping[Id, Picture], where: str) -> Picture:
    identity = _of(record, "image_id", (int, str), where)
    if identity not in pictures:
        raise DataError("no image of this id", where=where, found=identity, expected="an id of `images`")
    return pictures[identity]


def _figure(record: Mapping[str, Any], count: int, picture: Picture, where: str) -> Figure:
    values = _of(record, "keypoints", list, where)
    points = array_of(values, (3 * count,), where, "x, y, visibility of each keypoint").reshape(count, 3)
    if not np.isin(points[:, 2], (0, 1, 2)).all():
        found = points[~np.isin(points[:, 2], (0, 1, 2)), 2][0]
        raise DataError("visibility is not 0, 1 or 2", where=where, found=found, hint="a confidence is none: round it")
    seen = np.where(points[:, 2:] > 0, points[:, :2] + HALF, np.nan)
    size = np.array([picture.width, picture.height])
    if (wrong := (seen < -FAR * size) | (seen > (1 + FAR) * size)).any():
        found, expected = seen[wrong.any(1)][0].tolist(), f"about {picture.width} x {picture.height} pixels"
        raise DataError("a keypoint far outside the picture", where=where, found=found, expected=expected)
    track = None if record.get("track_id") is None else _of(record, "track_id", int, where)
    return Figure(seen, _box(record, picture, where), track, where)


def _box(record: Mapping[str, Any], picture: Picture, where: str) -> Array:
    if not record.get("bbox"):
        return np.full(4, np.nan)
    box = array_of(_of(record, "bbox", list, where), (4,), where, "bbox: x, y, width, height in pixels")
    x, y, width, height = box.tolist()
    if width < 0 or height < 0:
        raise DataError("a box of negative size", where=where, found=box.tolist(), expected="[x, y, width, height]")
    if width == 0 or height == 0:
        return np.full(4, np.nan)
    if x >= picture.width or y >= picture.height or x + width <= 0 or y + height <= 0 or max(width, height) > _LARGEST:
        expected = f"a part of it within {picture.width} x {picture.height} pixels"
        raise DataError("a box outside the picture", where=where, found=box.tolist(), expected=expected)
    return box


def _need_pixels(figures: Mapping[Id, list[Figure]], where: str) -> None:
    """Raise `DataError` where no keypoint is beyond the first pixel: they are shares of the picture."""
    every = [figure.keypoints for several in figures.values() for figure in several]
    known = np.concatenate(every) if every else np.zeros((0, 2))
    known = known[~np.isnan(known).any(1)]
    if len(known) > 1 and float(known.max()) <= 1 + HALF:
        raise DataError(
            "looks like shares of the picture; expected pixels", where=where, found=(known[0] - HALF).tolist()
        )


def _video(record: Mapping[str, Any], where: str) -> tuple[Id, tuple[str, float | None]]:
    identity = _of(record, "id", (int, str), where)
    fps = None if record.get("fps") is None else _of(record, "fps", (int, float), where)
    if fps is not None and not 0 < fps < _FASTEST:
        raise DataError("no frame rate", where=where, found=fps, expected="pictures per second")
    return identity, (str(record.get("name", identity)), None if fps is None else float(fps))
