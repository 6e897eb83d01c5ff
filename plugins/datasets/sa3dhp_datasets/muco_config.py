"""The recipe's keys for MuCo-3DHP, with their checks. Imports no torch and reads no file."""

from __future__ import annotations

import attrs
from attrs import validators

from sa3dhp_datasets.config import ShotImagesConfig, ShotKeypointsConfig, _key, _own_first

_FOCAL = _key(
    None,
    "focal length of all pictures of chunk_*_annot.mat, which tell none, pixels; with it their people are placed",
    validators.optional(validators.gt(0.0)),
)
_SIZE = _key((2048.0, 2048.0), "width and height of the pictures of chunk_*_annot.mat, pixels")
_FOV = _key(
    60.0,
    "diagonal field of view assumed for chunk_*_annot.mat without focal_px",
    validators.gt(0.0),
    validators.lt(180.0),
)


@attrs.frozen(field_transformer=_own_first)
class MucoImagesConfig(ShotImagesConfig):
    """Crops of the people of MuCo-3DHP."""

    focal_px: float | None = _FOCAL
    size_px: tuple[float, float] = _SIZE
    fov_deg: float = _FOV


@attrs.frozen(field_transformer=_own_first)
class MucoKeypointsConfig(ShotKeypointsConfig):
    """2D keypoints of the people of MuCo-3DHP."""

    focal_px: float | None = _FOCAL
    size_px: tuple[float, float] = _SIZE
    fov_deg: float = _FOV
