"""Keypoints in COCO's form: COCO and COCO-WholeBody's bodies, and any skeleton whose keypoints have known names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from sa3dhp_core.cards import read_card, skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_core.host import Host
from sa3dhp_datasets.coco_config import CocoImagesConfig, CocoKeypointsConfig
from sa3dhp_datasets.coco_file import Annotations, Figure, Id, Picture, read_annotations
from sa3dhp_datasets.inputs import SPLITS
from sa3dhp_datasets.joint_names import Means, means, plain, taken
from sa3dhp_datasets.layouts import data_folder, nothing_found
from sa3dhp_datasets.lens import Lens, middle_lens
from sa3dhp_datasets.pictures import ImageFiles
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shot_keypoints import ShotKeypoints
from sa3dhp_datasets.shots import Person, Shot, boxes_of, person_of

CARD = "coco-keypoints"
LAYOUT = "annotations/person_keypoints_*.json, the folders of pictures beside `annotations`; or one such file"
PATTERNS = ("person_keypoints_*.json", "coco_wholebody_*.json", "*.json")
PREFIXES = ("person_keypoints_", "coco_wholebody_")
LONGEST = 1_000_000
"""Numbers of a video's frames may span so many."""

_LOOKED_AT = 20
"""Pictures of a file that are looked for to find their folder."""

Config = CocoImagesConfig | CocoKeypointsConfig


def shots(config: Config) -> Iterator[Shot]:
    """A shot a picture, or a video where pictures belong to one, in the order of the files; see `ReadsShots`."""
    for path in annotation_files(config.path):
        found = read_annotations(path)
        columns = joints_of(found.names, config.joints, str(path))
        base = pictures_folder(path, config.images, found.pictures)
        for pictures in _recordings(found.pictures):
            shot = _shot(pictures, found, columns, base, path, config)
            if shot.people:
                yield shot


def annotation_files(path: str) -> list[Path]:
    """The files of annotations that a path names, sorted; raises `DataError` where there is none."""
    given = Path(path).expanduser()
    if path and given.is_file() and given.suffix.lower() == ".json":
        return [given]
    folder = data_folder(path, LAYOUT)
    for place in (folder / "annotations", folder):
        for pattern in PATTERNS:
            if found := sorted(file for file in place.glob(pattern) if file.is_file()):
                return found
    raise nothing_found(folder, LAYOUT)


def set_name(path: Path) -> str:
    """What a file's pictures are called together: ``train2017`` of ``person_keypoints_train2017.json``."""
    return next((path.stem.removeprefix(start) for start in PREFIXES if path.stem.startswith(start)), path.stem)


def split_of(path: Path) -> str | None:
    """The split that a file's name or folder tells, or None."""
    for name in (path.parent.name, path.stem):
        words = re.findall(r"[a-z]+", name.lower())
        for split, signs in zip(SPLITS, (("train",), ("val", "valid", "validation"), ("test",)), strict=True):
            if any(sign in words for sign in signs):
                return split
    return None


def own_splits(path: str) -> tuple[str, ...]:
    """The splits that the names of a path's files tell; none where nothing is there."""
    try:
        found = {split_of(file) or "train" for file in annotation_files(path)}
    except DataError:
        return ()
    return tuple(split for split in SPLITS if split in found)


def joints_of(names: Sequence[str], given: Mapping[str, Sequence[str]], where: str) -> Means:
    """For each house joint the file's keypoints whose mean it is: as `given`, else its own, else the card's.

    Raises:
        RecipeError: `given` names no joint of the house skeleton.
        DataError: a joint has no keypoint.
    """
    card = read_card("datasets", CARD)
    known = {plain(short): name for name in card["columns"] for short in (name, *_short(name))}
    columns = [known.get(plain(name), name) for name in names]
    chosen: dict[str, Sequence[str]] = dict(card["joints"])
    for joint, others in card["named"].items():
        own = [name for name in names if plain(name) in map(plain, others)]
        chosen |= {joint: own[:1]} if own else {}
    for joint, wanted in given.items():
        chosen[joint] = [known.get(plain(name), name) for name in wanted]
    return means(columns, skeleton(), chosen, where)


def _short(name: str) -> list[str]:
    """``l_hip`` for ``left_hip``."""
    side, _, part = name.partition("_")
    return [f"{side[0]}_{part}"] if part else []


def pictures_folder(path: Path, images: str, pictures: Sequence[Picture]) -> Path | None:
    """The folder that the pictures' names begin in; None where none is found.

    Raises:
        DataError: `images` is given and is no folder.
    """
    if images:
        return data_folder(images, "the pictures of the annotations")
    name = set_name(path)
    for above in path.resolve().parents[:3]:
        for base in (above / name, above / "images" / name, above / "images", above):
            if any((base / picture.file).is_file() for picture in pictures[:_LOOKED_AT]):
                return base
    return None


def _recordings(pictures: Sequence[Picture]) -> list[list[Picture]]:
    """Pictures alone, or the pictures of a video in the order of their frames."""
    found: dict[tuple[str, Id], list[Picture]] = {}
    for picture in pictures:
        key = ("picture", picture.identity) if picture.video is None else ("video", picture.video)
        found.setdefault(key, []).append(picture)
    return [sorted(several, key=lambda picture: picture.frame) for several in found.values()]


def _shot(
    pictures: list[Picture], found: Annotations, columns: Means, base: Path | None, path: Path, config: Config
) -> Shot:
    first = pictures[0]
    name, fps = str(PurePosixPath(first.file).with_suffix("")), 1.0
    if first.video is not None:
        name, told = found.videos.get(first.video, (str(first.video), None))
        fps = told or config.file_fps
    _need_order(pictures, f"{path}: {name}")
    lens = middle_lens(first.width, first.height, config.focal_px, config.fov_deg)
    numbered = [(picture.frame - first.frame, picture) for picture in pictures]
    seen = [(number, figure) for number, picture in numbered for figure in found.figures.get(picture.identity, ())]
    rows = _people(seen, first.video is not None)
    people = (_person(who, rows[who], columns, lens, config.least_keypoints) for who in sorted(rows))
    return Shot(
        name=name,
        subject=set_name(path),
        camera="",
        family="",
        fps=fps,
        lens=lens,
        people=tuple(person for person in people if person is not None),
        where=str(path),
        split=split_of(path),
        pictures=None if base is None else partial(_open, base, numbered),
    )


def _need_order(pictures: Sequence[Picture], where: str) -> None:
    """Raise `DataError` where pictures of a video are no sequence."""
    frames = [picture.frame for picture in pictures]
    if len(set(frames)) != len(frames):
        raise DataError("two pictures of a video have one frame_id", where=where, found=frames[:20])
    if frames[-1] - frames[0] >= LONGEST:
        raise DataError("frames far apart", where=where, found=frames[-1] - frames[0], expected=f"below {LONGEST}")
    sizes = sorted({(picture.width, picture.height) for picture in pictures})
    if len(sizes) != 1:
        raise DataError("pictures of a video have several sizes", where=where, found=sizes)


def _people(seen: Sequence[tuple[int, Figure]], tracked: bool) -> dict[int, dict[int, Figure]]:
    """Each person's figures by the numbers of their pictures: of a video by track, of a picture one by one."""
    if not tracked:
        return {who: {number: figure} for who, (number, figure) in enumerate(seen)}
    found: dict[int, dict[int, Figure]] = {}
    for number, figure in seen:
        if figure.track is None:
            raise DataError("a person of a video without track_id", where=figure.where, expected="`track_id`: a number")
        if number in found.setdefault(figure.track, {}):
            raise DataError("a track is twice in a picture", where=figure.where, found=f"track {figure.track}")
        found[figure.track][number] = figure
    return found


def _person(identity: int, rows: Mapping[int, Figure], columns: Means, lens: Lens, least: int) -> Person | None:
    """A person by those figures that have at least so many keypoints; None where none has."""
    kept = {number: figure for number, figure in rows.items() if np.isfinite(figure.keypoints[:, 0]).sum() >= least}
    if not kept:
        return None
    points = np.stack([figure.keypoints for figure in kept.values()])
    told = np.stack([figure.box for figure in kept.values()])
    boxes = np.where(np.isfinite(told), told, boxes_of(points))
    return person_of(identity, np.array(list(kept)), lens, keypoints=taken(points, columns), boxes=boxes)


def _open(base: Path, numbered: Sequence[tuple[int, Picture]]) -> ImageFiles:
    """The pictures by number; where the file lists none of a number, the one before stands there, and nobody is in it.

    Raises:
        DataError: a picture cannot be read, or has another size than the file says.
    """
    paths: list[Path] = []
    for number, picture in numbered:
        paths += [paths[-1]] * (number - len(paths)) if paths else []
        paths.append(base / picture.file)
    found, first = ImageFiles.open(paths), numbered[0][1]
    if (found.width, found.height) != (first.width, first.height):
        told, is_ = f"{first.width} x {first.height}", f"{found.width} x {found.height}"
        raise DataError(
            "the picture has another size than its annotation", where=str(paths[0]), found=is_, expected=told
        )
    return found


def coco_images(config: CocoImagesConfig) -> ShotImages:
    """`ImageData` over files of annotations and their pictures."""
    return ShotImages(config, shots, CARD, own_splits(config.path), licence=config.licence)


def coco_keypoints(config: CocoKeypointsConfig, *, host: Host) -> ShotKeypoints:
    """`KeypointData` over files of annotations."""
    return ShotKeypoints(config, shots, CARD, own_splits(config.path), licence=config.licence)
