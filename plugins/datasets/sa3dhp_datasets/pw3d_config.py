"""The recipe's keys for 3DPW. Imports no torch and reads no file."""

from __future__ import annotations

from typing import Any

import attrs

from sa3dhp_datasets.config import ShotImagesConfig, ShotKeypointsConfig, ShotMotionConfig, _key, _own_first

_BODY_MODEL: Any = _key(
    "", "your own SMPL: an npz file for all, or a folder with {gender}/model.npz or *_{GENDER}.npz; with `regressor`"
)
_REGRESSOR: Any = _key(
    "", "npy file (17, vertices) of Human3.6M's joints on SMPL's surface: joints as published figures take them"
)


@attrs.frozen(field_transformer=_own_first)
class Pw3dImagesConfig(ShotImagesConfig):
    """Crops of 3DPW's people."""

    body_model: str = _BODY_MODEL
    regressor: str = _REGRESSOR


@attrs.frozen(field_transformer=_own_first)
class Pw3dKeypointsConfig(ShotKeypointsConfig):
    """2D keypoints of 3DPW's people."""

    body_model: str = _BODY_MODEL
    regressor: str = _REGRESSOR


@attrs.frozen(field_transformer=_own_first)
class Pw3dMotionConfig(ShotMotionConfig):
    """3D motion of 3DPW's people."""

    body_model: str = _BODY_MODEL
    regressor: str = _REGRESSOR
