"""The recipe's keys for LSP and LSP-extended, with their checks. Imports no torch and reads no file."""

from __future__ import annotations

import attrs
from attrs import validators

from sa3dhp_datasets.config import ShotImagesConfig, ShotKeypointsConfig, _key, _own_first

_FOV = _key(
    60.0,
    "diagonal field of view assumed for all pictures, whose cameras are not known",
    validators.gt(0.0),
    validators.lt(180.0),
)
_HIDE = _key(False, "leave out keypoints that are labelled as occluded")


@attrs.frozen(field_transformer=_own_first)
class LspImagesConfig(ShotImagesConfig):
    """Crops of Leeds Sports Pose."""

    fov_deg: float = _FOV
    hide_occluded: bool = _HIDE


@attrs.frozen(field_transformer=_own_first)
class LspKeypointsConfig(ShotKeypointsConfig):
    """2D keypoints of Leeds Sports Pose."""

    fov_deg: float = _FOV
    hide_occluded: bool = _HIDE


@attrs.frozen(field_transformer=_own_first)
class LspExtendedImagesConfig(ShotImagesConfig):
    """Crops of Leeds Sports Pose, extended training set."""

    fov_deg: float = _FOV


@attrs.frozen(field_transformer=_own_first)
class LspExtendedKeypointsConfig(ShotKeypointsConfig):
    """2D keypoints of Leeds Sports Pose, extended training set."""

    fov_deg: float = _FOV
