"""Recipe keys of the world's components. Imports no torch."""

from __future__ import annotations

import attrs
from attrs import validators


def _key(default: object, text: str, *checks: object) -> object:
    return attrs.field(default=default, validator=list(checks), metadata={"help": text})


_positive = validators.ge(1)
_share = validators.optional(validators.and_(validators.ge(0), validators.le(1)))
_amount = validators.optional(validators.ge(0))


@attrs.frozen
class WorldConfig:
    """Rendered clips of one look; keys from `bodies` on override the look's own values."""

    look: str = _key("plain", "look: plain, mild or street")  # type: ignore[assignment]
    role: str = _key(
        "target",
        "source or target: names the seeds, so that the two never share a clip",
        validators.in_(("source", "target")),
    )  # type: ignore[assignment]  # noqa: E501
    train_clips: int = _key(160, "clips of the training split", _positive)  # type: ignore[assignment]
    validation_clips: int = _key(24, "clips of the validation split", _positive)  # type: ignore[assignment]
    test_clips: int = _key(40, "clips of the test split", _positive)  # type: ignore[assignment]
    frames: int = _key(60, "frames of a clip, 30 a second", _positive)  # type: ignore[assignment]
    size: int = _key(64, "pixels of a crop's side", validators.ge(16))  # type: ignore[assignment]
    seed: int = _key(0, "seed of everything in this set")  # type: ignore[assignment]
    body_count: int = _key(12, "bodies of each split", _positive)  # type: ignore[assignment]
    shard_clips: int = _key(16, "clips rendered between two checks of progress", _positive)  # type: ignore[assignment]
    motion: str = _key("", "motion-capture .npz to render instead of generated motion (positions, clip_start, …)")  # type: ignore[assignment]  # noqa: E501
    bodies: str | None = _key(None, "body family: source or street")  # type: ignore[assignment]
    families: tuple[str, ...] = _key((), "motion families; empty: those of the look")  # type: ignore[assignment]
    elevation_deg: tuple[float, float] | None = _key(None, "range of the camera's elevation")  # type: ignore[assignment]
    distance_m: tuple[float, float] | None = _key(None, "range of the camera's distance")  # type: ignore[assignment]
    roll_deg: float | None = _key(None, "spread of the camera's roll", _amount)  # type: ignore[assignment]
    aim_m: float | None = _key(None, "how far the camera aims beside the person", _amount)  # type: ignore[assignment]
    detail: float | None = _key(None, "contrast of backdrop noise and stripes", _share)  # type: ignore[assignment]
    clutter: float | None = _key(None, "density of blocks in the backdrop", _share)  # type: ignore[assignment]
    limbs: float | None = _key(None, "density of limb-like strokes in the backdrop", _share)  # type: ignore[assignment]
    saturation: float | None = _key(None, "colourfulness of the backdrop", _share)  # type: ignore[assignment]
    objects: float | None = _key(None, "mean number of limb-like objects around", _amount)  # type: ignore[assignment]
    occluders: float | None = _key(None, "probability of a bar in front", _share)  # type: ignore[assignment]
    bystanders: float | None = _key(None, "mean number of other people", _amount)  # type: ignore[assignment]
    cloth_texture: float | None = _key(None, "strength of patterns on clothes", _share)  # type: ignore[assignment]
    cloth_saturation: float | None = _key(None, "colourfulness of clothes", _share)  # type: ignore[assignment]
    contrast: float | None = _key(None, "how bright and dark clothes may be", _share)  # type: ignore[assignment]
    ambient: tuple[float, float] | None = _key(None, "range of undirected light")  # type: ignore[assignment]
    light_spread: float | None = _key(None, "how far the light leaves the vertical", _amount)  # type: ignore[assignment]
    exposure: float | None = _key(None, "spread of exposure", _amount)  # type: ignore[assignment]
    cast: float | None = _key(None, "spread of colour cast", _amount)  # type: ignore[assignment]
    gamma: float | None = _key(None, "spread of gamma", _amount)  # type: ignore[assignment]
    noise: float | None = _key(None, "deviation of sensor noise", _amount)  # type: ignore[assignment]
    blur: float | None = _key(None, "share of a 3-pixel blur", _share)  # type: ignore[assignment]


LOOK_KEYS = tuple(
    field.name for field in attrs.fields(WorldConfig)[[f.name for f in attrs.fields(WorldConfig)].index("bodies") :]
)
"""The keys of `WorldConfig` that override numbers of the look."""


@attrs.frozen
class WorldMotionConfig:
    """Generated motion without images: the unpaired poses."""

    families: tuple[str, ...] = _key((), "motion families; empty: those of the look `plain`")  # type: ignore[assignment]
    train_sequences: int = _key(300, "sequences of the training split", _positive)  # type: ignore[assignment]
    validation_sequences: int = _key(40, "sequences of the validation split", _positive)  # type: ignore[assignment]
    test_sequences: int = _key(40, "sequences of the test split", _positive)  # type: ignore[assignment]
    frames: int = _key(90, "frames of a sequence, 30 a second", _positive)  # type: ignore[assignment]
    seed: int = _key(0, "seed of everything in this set")  # type: ignore[assignment]
    bodies: str = _key("source", "body family: source or street")  # type: ignore[assignment]
    body_count: int = _key(12, "bodies of each split", _positive)  # type: ignore[assignment]


@attrs.frozen
class CommandConfig:
    """The `world` commands take no recipe keys."""
