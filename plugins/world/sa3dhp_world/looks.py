"""Looks as data: every ingredient of an image's difficulty is a number with a name. Draws nothing."""

from __future__ import annotations

from typing import Any

import attrs

from sa3dhp_core.errors import RecipeError, nearest
from sa3dhp_world.anatomy import read_data


@attrs.frozen
class Look:
    """What a camera of the world sees.

    Attributes:
        bodies: body family (`bodies.BODY_FAMILIES`).
        families: motion families.
        elevation_deg: range of the camera's elevation above the horizontal.
        distance_m: range of its distance.
        roll_deg: spread of its roll.
        aim_m: how far it aims beside the person, metres.
        detail: contrast of backdrop noise and stripes, 0 (flat gradient) to 1.
        clutter: density of blocks and bars in the backdrop, 0 to 1.
        limbs: density of painted limb-like strokes in the backdrop, 0 to 1.
        saturation: colourfulness of the backdrop, 0 to 1.
        objects: mean number of limb-like poles standing or floating around the person.
        occluders: probability that a clip has a bar in front of the person.
        bystanders: mean number of other people behind.
        cloth_texture: strength of rings and bands on clothes.
        cloth_saturation: colourfulness of clothes, 0 to 1.
        contrast: how far clothes differ in brightness from the backdrop, 0 to 1.
        ambient: range of the share of light without direction.
        light_spread: how far the light leaves the vertical (tangent).
        exposure, cast, gamma: spreads of photometry, of a clip.
        noise, blur: sensor noise (deviation) and share of a 3-pixel blur, of an image.
    """

    bodies: str
    families: tuple[str, ...]
    elevation_deg: tuple[float, float]
    distance_m: tuple[float, float]
    roll_deg: float
    aim_m: float
    detail: float
    clutter: float
    limbs: float
    saturation: float
    objects: float
    occluders: float
    bystanders: float
    cloth_texture: float
    cloth_saturation: float
    contrast: float
    ambient: tuple[float, float]
    light_spread: float
    exposure: float
    cast: float
    gamma: float
    noise: float
    blur: float


def look_names() -> tuple[str, ...]:
    """All looks of `looks.toml`."""
    return tuple(read_data("looks.toml"))


def look(name: str, **changes: Any) -> Look:
    """A look by name, some numbers overridden (None leaves a number as it is); raises `RecipeError`."""
    table = read_data("looks.toml")
    if name not in table:
        raise RecipeError(f"no look {name!r}", where="look", hint=nearest(name, table))
    known = [field.name for field in attrs.fields(Look)]
    values: dict[str, Any] = dict(table[name])
    for key, value in changes.items():
        if key not in known:
            raise RecipeError(f"a look has no number {key!r}", where=f"look {name!r}", hint=nearest(key, known))
        if value is not None:
            values[key] = value
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return Look(**fields)
