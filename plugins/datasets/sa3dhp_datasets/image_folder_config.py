"""The recipe's keys for folders of images, with their checks. Imports no torch and reads no file."""

from __future__ import annotations

import attrs
from attrs import validators

from sa3dhp_datasets.config import _CLIP_NAME, ShotImagesConfig, _key, _own_first


@attrs.frozen(field_transformer=_own_first)
class ImageFolderConfig(ShotImagesConfig):
    """Footage as folders of images."""

    path: str = _key("", "a folder of folders of images, each one recording; or one such recording")
    file_fps: float = _key(25.0, "images per second of the recordings, which do not tell it", validators.gt(0.0))
    smooth_s: float = _key(0.0, "smooth boxes over this many seconds (a triangular window); 0: not", validators.ge(0.0))
    max_gap: int = _key(5, "fill gaps of a track up to this many images, split it at longer ones", validators.ge(0))
    focal_px: float | None = _key(None, "focal length of the images, pixels", validators.optional(validators.gt(0.0)))
    fov_deg: float = _key(
        60.0,
        "diagonal field of view assumed where neither focal_px nor a camera file beside a recording tells it",
        validators.gt(0.0),
        validators.lt(180.0),
    )
    content_pattern: str = _key(_CLIP_NAME, "regular expression whose group `content` is a recording's motion family")
    licence: str = _key("not stated", "licence of the footage, copied into everything made from it")
