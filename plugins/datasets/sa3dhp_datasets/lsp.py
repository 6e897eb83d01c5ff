"""Leeds Sports Pose and its extended training set: one person a picture, 14 joints in joints.mat, no camera."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.errors import DataError
from sa3dhp_core.host import Host
from sa3dhp_datasets.expected_arrays import array_of
from sa3dhp_datasets.layouts import data_folder, nothing_found
from sa3dhp_datasets.lens import Array, middle_lens
from sa3dhp_datasets.lsp_config import (
    LspExtendedImagesConfig,
    LspExtendedKeypointsConfig,
    LspImagesConfig,
    LspKeypointsConfig,
)
from sa3dhp_datasets.mat_file import read_matlab
from sa3dhp_datasets.pictures import ImageFiles
from sa3dhp_datasets.shot_images import ShotImages
from sa3dhp_datasets.shot_keypoints import ShotKeypoints
from sa3dhp_datasets.shots import Shot, house
from sa3dhp_datasets.single_pictures import Labels, single


@attrs.frozen
class Form:
    """How one of the two sets is laid out.

    Attributes:
        card: its id.
        shape: of `joints`; its third coordinate is a mark.
        order: of its axes that makes them pictures, joints, coordinates.
        digits: of the pictures' numbers.
        train: the set's first pictures, for training; the others are for test. None: all are.
    """

    card: str
    shape: tuple[int | None, ...]
    order: tuple[int, int, int]
    digits: int
    train: int | None

    @property
    def layout(self) -> str:
        """What should be in the folder."""
        return f"joints.mat and images/im{1:0{self.digits}}.jpg, …"

    def split(self, number: int) -> str:
        """The split of a picture; they count from 1."""
        return "train" if self.train is None or number <= self.train else "test"


LSP = Form("lsp", (3, 14, None), (2, 1, 0), digits=4, train=1000)
EXTENDED = Form("lsp-extended", (14, 3, None), (2, 0, 1), digits=5, train=None)


def lsp_shots(config: LspImagesConfig | LspKeypointsConfig) -> Iterator[Shot]:
    """A shot a picture of LSP; see `ReadsShots`. What is occluded is labelled all the same, where it must be."""
    path = _file(config.path, LSP)
    seen, occluded = read_joints(path, LSP)
    if config.hide_occluded:
        seen[occluded] = np.nan
    return _shots(seen, path, LSP, config.fov_deg)


def extended_shots(config: LspExtendedImagesConfig | LspExtendedKeypointsConfig) -> Iterator[Shot]:
    """A shot a picture of LSP-extended; see `ReadsShots`. What is not visible is not labelled."""
    path = _file(config.path, EXTENDED)
    seen, visible = read_joints(path, EXTENDED)
    seen[~visible] = np.nan
    return _shots(seen, path, EXTENDED, config.fov_deg)


def _file(path: str, form: Form) -> Path:
    folder = data_folder(path, form.layout)
    if not (folder / "joints.mat").is_file():
        raise nothing_found(folder, form.layout)
    return folder / "joints.mat"


def read_joints(path: Path, form: Form) -> tuple[Array, NDArray[np.bool_]]:
    """Places ``(N, 14, 2)`` in pixels, NaN where one coordinate is, and marks ``(N, 14)``.

    Raises:
        DataError: the file is damaged, of another form, or that of the other set.
    """
    value, where = read_matlab(path, "joints")["joints"], f"{path}: joints"
    for other in (LSP, EXTENDED):
        if other is not form and getattr(value, "shape", ())[:2] == other.shape[:2]:
            hint, expected = f'use = "{other.card}"', form.shape
            raise DataError("the joints of another set", where=where, found=value.shape, expected=expected, hint=hint)
    found = array_of(value, form.shape, where, "x, y and a mark of 14 joints", gaps=True).transpose(form.order)
    seen = np.where(np.isnan(found[..., :2]).any(-1, keepdims=True), np.nan, found[..., :2])
    return seen, found[..., 2] > 0


def _shots(seen: Array, path: Path, form: Form, fov_deg: float) -> Iterator[Shot]:
    labels = Labels.of(house(seen, form.card, str(path)))
    for row in range(len(seen)):
        picture = path.parent / "images" / f"im{row + 1:0{form.digits}}.jpg"
        size = ImageFiles.open([picture])
        people = labels.seen_in([row], size.width, size.height)
        lens = middle_lens(size.width, size.height, None, fov_deg)
        if people:
            yield single(picture, picture.stem, lens, people, str(path), form.split(row + 1))


def lsp_images(config: LspImagesConfig) -> ShotImages:
    """`ImageData` over LSP's folder, without poses."""
    return ShotImages(config, lsp_shots, LSP.card, own=("train", "test"))


def lsp_keypoints(config: LspKeypointsConfig, *, host: Host) -> ShotKeypoints:
    """`KeypointData` over LSP's folder."""
    return ShotKeypoints(config, lsp_shots, LSP.card, own=("train", "test"))


def lsp_extended_images(config: LspExtendedImagesConfig) -> ShotImages:
    """`ImageData` over LSP-extended's folder, without poses."""
    return ShotImages(config, extended_shots, EXTENDED.card, own=("train",))


def lsp_extended_keypoints(config: LspExtendedKeypointsConfig, *, host: Host) -> ShotKeypoints:
    """`KeypointData` over LSP-extended's folder."""
    return ShotKeypoints(config, extended_shots, EXTENDED.card, own=("train",))
