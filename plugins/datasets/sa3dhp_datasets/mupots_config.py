"""The recipe's keys for MuPoTS-3D, with their checks. Imports no torch and reads no file."""

from __future__ import annotations

import attrs

from sa3dhp_datasets.config import ShotImagesConfig, ShotKeypointsConfig, _key, _own_first

_UNIVERSAL = _key(False, "univ_annot3 for truth, all people of one size, as protocols score, instead of annot3")
_HIDE = _key(False, "leave out keypoints that are labelled as occluded")


@attrs.frozen(field_transformer=_own_first)
class MupotsImagesConfig(ShotImagesConfig):
    """Crops of the people of MuPoTS-3D."""

    universal: bool = _UNIVERSAL
    hide_occluded: bool = _HIDE


@attrs.frozen(field_transformer=_own_first)
class MupotsKeypointsConfig(ShotKeypointsConfig):
    """2D keypoints of the people of MuPoTS-3D."""

    universal: bool = _UNIVERSAL
    hide_occluded: bool = _HIDE
