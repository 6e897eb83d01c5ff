"""Folders of images as footage: each folder one recording, with boxes, camera and truth beside it as beside a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.beside import companion, read_truth
from sa3dhp_datasets.dealing import PICTURES
from sa3dhp_datasets.image_folder_config import ImageFolderConfig
from sa3dhp_datasets.inputs import content_of, in_order
from sa3dhp_datasets.layouts import data_folder, nothing_found
from sa3dhp_datasets.pictures import ImageFiles
from sa3dhp_datasets.recorded_people import recorded_lens, recorded_people
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shots import Shot
from sa3dhp_datasets.tracks import Track, join, read_boxes, smooth, whole_frame

CARD = "image-folder"
LAYOUT = f"folders of images ({', '.join(PICTURES)})"
UPRIGHT = (None, 1)
"""What a picture's flag of orientation says where it is not to be turned."""


@attrs.frozen
class Recording:
    """A folder of images: its path, their size in pixels, and when each was taken, in seconds from the first."""

    path: Path
    width: int
    height: int
    times_s: NDArray[np.float64]


def shots(config: ImageFolderConfig) -> Iterator[Shot]:
    """A shot a folder, in the order of their names; see `ReadsShots`."""
    for folder in recordings(data_folder(config.path, LAYOUT)):
        files = images_of(folder)
        _need_upright(files[0])
        pictures = ImageFiles.open(files)
        found = Recording(folder, pictures.width, pictures.height, np.arange(len(files)) / config.file_fps)
        lens, truth = recorded_lens(found, config.focal_px, config.fov_deg), read_truth(found)
        yield Shot(
            name=folder.name,
            subject=folder.name,
            camera="",
            family=content_of(folder.name, config.content_pattern),
            fps=config.file_fps,
            lens=lens,
            people=tuple(recorded_people(lens, _tracks(found, config), truth)),
            where=str(folder),
            pictures=partial(ImageFiles.open, files),
        )


def recordings(folder: Path) -> list[Path]:
    """The folders of images in a folder, by name; itself where none in it has images.

    Raises:
        DataError: there is no image; or there are some both in the folder and in folders of it.
    """
    inside = sorted((path for path in folder.iterdir() if path.is_dir() and images_of(path)), key=in_order)
    itself = images_of(folder)
    if inside and itself:
        found = f"{itself[0].name} beside the folder {inside[0].name}"
        expected = "images in folders of it alone, or in none of them"
        raise DataError("images at two depths", where=str(folder), found=found, expected=expected)
    if not inside and not itself:
        raise nothing_found(folder, LAYOUT)
    return inside or [folder.resolve()]


def images_of(folder: Path) -> list[Path]:
    """The images in a folder by name, numbers in names by their value: ``9.jpg`` before ``10.jpg``."""
    found = (path for path in folder.iterdir() if path.name.lower().endswith(PICTURES) and path.is_file())
    return sorted((path for path in found if not path.name.startswith(".")), key=in_order)


def _need_upright(path: Path) -> None:
    """Raise `DataError` where a picture is flagged as turned; what cannot be read is met where it is opened."""
    try:
        with Image.open(path) as image:
            flag = image.getexif().get(ExifTags.Base.Orientation)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return
    if flag not in UPRIGHT:
        hint = "write it upright, with boxes to match (mogrify -auto-orient)"
        raise DataError("the image is flagged as turned", where=str(path), found=f"orientation {flag}", hint=hint)


def _tracks(found: Recording, config: ImageFolderConfig) -> Sequence[Track]:
    """Gap-free tracks, by identity and time; the whole picture where no boxes lie beside the folder."""
    path, count = companion(found.path, "boxes.jsonl"), len(found.times_s)
    if not path.is_file():
        return whole_frame(found.width, found.height, count)
    half_width = round(config.smooth_s / 2 * config.file_fps)
    tracks = join(read_boxes(path, found.width, found.height, count), config.max_gap)
    return [smooth(track, min(half_width, count)) for track in tracks]


def image_folder(config: ImageFolderConfig) -> ShotImages:
    """`ImageData` over folders of images."""
    return ShotImages(config, shots, CARD, licence=config.licence)
