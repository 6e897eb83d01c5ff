"""The recipe's keys for keypoints in COCO's form, with their checks. Imports no torch and reads no file."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import validators

from sa3dhp_datasets.config import ShotImagesConfig, ShotKeypointsConfig, _key, _own_first

_PATH = _key("", "the folder that holds `annotations`, or one JSON file")
_IMAGES = _key("", "the folder of the pictures; empty: found beside the annotations")
_LEAST = _key(1, "leave out people with fewer labelled keypoints", validators.ge(0))
_FILE_FPS = _key(25.0, "pictures per second of sequences whose file does not tell it", validators.gt(0.0))
_FOCAL_PX = _key(None, "focal length of all pictures, pixels", validators.optional(validators.gt(0.0)))
_FOV_DEG = _key(60.0, "diagonal field of view assumed without focal_px", validators.gt(0.0), validators.lt(180.0))
_LICENCE = _key("", "licence, copied into everything made from it; empty: what the card says")
_JOINTS: Any = attrs.field(
    factory=dict,
    metadata={"help": "house joint to the file's keypoints whose mean it is; [] for a joint that is never seen"},
)


@attrs.frozen(field_transformer=_own_first)
class CocoImagesConfig(ShotImagesConfig):
    """Crops of people in pictures with COCO's keypoint annotations."""

    path: str = _PATH
    images: str = _IMAGES
    joints: dict[str, tuple[str, ...]] = _JOINTS
    least_keypoints: int = _LEAST
    file_fps: float = _FILE_FPS
    focal_px: float | None = _FOCAL_PX
    fov_deg: float = _FOV_DEG
    licence: str = _LICENCE


@attrs.frozen(field_transformer=_own_first)
class CocoKeypointsConfig(ShotKeypointsConfig):
    """2D keypoints in COCO's form."""

    path: str = _PATH
    images: str = _IMAGES
    joints: dict[str, tuple[str, ...]] = _JOINTS
    least_keypoints: int = _LEAST
    file_fps: float = _FILE_FPS
    focal_px: float | None = _FOCAL_PX
    fov_deg: float = _FOV_DEG
    licence: str = _LICENCE
