"""Recipe keys of the world's components. Imports no torch."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import validators


def _key(default: object, text: str, *checks: Any) -> Any:
    return attrs.field(default=default, validator=list(checks), metadata={"help": text})


_positive = validators.ge(1)
_share = validators.optional(validators.and_(validators.ge(0), validators.le(1)))
_amount = validators.optional(validators.ge(0))


@attrs.frozen
class WorldConfig:
    """Rendered clips of one look; keys from `bodies` on override the look's own values."""

    look: str = _key("plain", "look: plain, mild or street")
    role: str = _key(
        "target",
        "source or target: names the seeds, so that the two never share a clip",
        validators.in_(("source", "target")),
    )  # noqa: E501
    train_clips: int = _key(160, "clips of the training split", _positive)
    validation_clips: int = _key(24, "clips of the validation split", _positive)
    test_clips: int = _key(40, "clips of the test split", _positive)
    frames: int = _key(60, "frames of a clip, 30 a second", _positive)
    size: int = _key(64, "pixels of a crop's side", validators.ge(16))
    seed: int = _key(0, "seed of everything in this set")
    body_count: int = _key(12, "bodies of each split", _positive)
    shard_clips: int = _key(16, "clips rendered between two checks of progress", _positive)
    motion: str = _key("", "motion-capture .npz to render instead of generated motion (positions, clip_start, …)")  # noqa: E501
    bodies: str | None = _key(None, "body family: source or street")
    families: tuple[str, ...] = _key((), "motion families; empty: those of the look")
    elevation_deg: tuple[float, float] | None = _key(None, "range of the camera's elevation")
    distance_m: tuple[float, float] | None = _key(None, "range of the camera's distance")
    roll_deg: float | None = _key(None, "spread of the camera's roll", _amount)
    aim_m: float | None = _key(None, "how far the camera aims beside the person", _amount)
    detail: float | None = _key(None, "contrast of backdrop noise and stripes", _share)
    clutter: float | None = _key(None, "density of blocks in the backdrop", _share)
    limbs: float | None = _key(None, "density of limb-like strokes in the backdrop", _share)
    saturation: float | None = _key(None, "colourfulness of the backdrop", _share)
    objects: float | None = _key(None, "mean number of limb-like objects around", _amount)
    occluders: float | None = _key(None, "probability of a bar in front", _share)
    bystanders: float | None = _key(None, "mean number of other people", _amount)
    cloth_texture: float | None = _key(None, "strength of patterns on clothes", _share)
    cloth_saturation: float | None = _key(None, "colourfulness of clothes", _share)
    contrast: float | None = _key(None, "how bright and dark clothes may be", _share)
    ambient: tuple[float, float] | None = _key(None, "range of undirected light")
    light_spread: float | None = _key(None, "how far the light leaves the vertical", _amount)
    exposure: float | None = _key(None, "spread of exposure", _amount)
    cast: float | None = _key(None, "spread of colour cast", _amount)
    gamma: float | None = _key(None, "spread of gamma", _amount)
    noise: float | None = _key(None, "deviation of sensor noise", _amount)
    blur: float | None = _key(None, "share of a 3-pixel blur", _share)


LOOK_KEYS = tuple(
    field.name for field in attrs.fields(WorldConfig)[[f.name for f in attrs.fields(WorldConfig)].index("bodies") :]
)
"""The keys of `WorldConfig` that override numbers of the look."""


@attrs.frozen
class WorldMotionConfig:
    """Generated motion without images: the unpaired poses."""

    families: tuple[str, ...] = _key((), "motion families; empty: those of the look `plain`")
    train_sequences: int = _key(300, "sequences of the training split", _positive)
    validation_sequences: int = _key(40, "sequences of the validation split", _positive)
    test_sequences: int = _key(40, "sequences of the test split", _positive)
    frames: int = _key(90, "frames of a sequence, 30 a second", _positive)
    seed: int = _key(0, "seed of everything in this set")
    bodies: str = _key("source", "body family: source or street")
    body_count: int = _key(12, "bodies of each split", _positive)


@attrs.frozen
class CommandConfig:
    """The `world` commands take no recipe keys."""
