"""Recipe keys of the plugin's components. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs
from attrs import validators

from sa3dhp_core.errors import RecipeError
from sa3dhp_relations.expression import parse


def _checked_angle(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not (math.isfinite(value) and abs(value) <= 360):
        raise ValueError(f"{attribute.name!r} must lie between -360 and 360 degrees, found {value}")


def _checked_range(_: object, attribute: attrs.Attribute[Any], value: tuple[float, ...] | None) -> None:
    if value is None:
        return
    if len(value) != 2 or not all(math.isfinite(v) for v in value) or value[0] > value[1]:
        raise ValueError(f"{attribute.name!r} must be [low, high] in degrees with low <= high, found {list(value)}")


def _checked_expression(_: object, attribute: attrs.Attribute[Any], value: str) -> None:
    try:
        parse(value)
    except RecipeError as error:
        raise RecipeError(
            error.what, where=attribute.name, found=error.found, expected=error.expected, hint=error.hint
        ) from error


def _name() -> Any:
    return attrs.field(default="", metadata={"help": "name that losses use; the canonical expression if empty"})


def _key(default: Any, text: str, check: Callable[..., Any] | list[Callable[..., Any]]) -> Any:
    return attrs.field(default=default, validator=check, metadata={"help": text})


@attrs.frozen
class Geometric:
    """Any product of factors."""

    expression: str = _key("flip @ rotate(50)", "product of factors, the rightmost acting first", _checked_expression)
    name: str = _name()


@attrs.frozen
class Flip:
    """The mirror."""

    random: bool = _key(False, "mirror with probability one half instead of always", validators.instance_of(bool))
    name: str = _name()


@attrs.frozen
class InPlaneRotation:
    """A turn about the optical axis: one angle, or a family with the angle drawn from a range."""

    angle: float = _key(50.0, "degrees; not used where `range` is given", _checked_angle)
    range: tuple[float, ...] | None = _key(None, "[low, high] degrees, drawn uniformly", _checked_range)
    name: str = _name()


@attrs.frozen
class FlipRotation:
    """The mirror after a turn about the optical axis: the paper's final relation of poses."""

    angle: float = _key(50.0, "degrees", _checked_angle)
    name: str = _name()


@attrs.frozen
class Backward:
    """Time reversed."""

    name: str = _name()


@attrs.frozen
class FlipBackward:
    """The mirror, a turn and reversed time: with 50 degrees the paper's first relation of motions."""

    angle: float = _key(0.0, "degrees about the optical axis", _checked_angle)
    name: str = _name()


@attrs.frozen
class Slow:
    """The partner shows the middle of the anchor's motion, slower."""

    factor: int = _key(2, "how many times slower", [validators.instance_of(int), validators.in_(range(2, 17))])
    name: str = _name()


@attrs.frozen
class SlowBackward:
    """Slower and reversed: the paper's second relation of motions."""

    factor: int = _key(2, "how many times slower", [validators.instance_of(int), validators.in_(range(2, 17))])
    name: str = _name()


@attrs.frozen
class LimbExchange:
    """Two limbs exchange their poses."""

    first: str = _key("left_arm", "a body part of the skeleton", validators.min_len(1))
    second: str = _key("right_arm", "another part, with as many joints", validators.min_len(1))
    name: str = _name()


_COUNT = [validators.instance_of(int), validators.ge(1)]
_POSITIVE = validators.gt(0)


@attrs.frozen
class ResidualMlp:
    """``T(z) = z + linear + MLP``, told about the element."""

    hidden: int = _key(512, "width of the hidden layers", _COUNT)
    layers: int = _key(2, "number of hidden layers", _COUNT)
    steps: int = _key(800, "training steps", _COUNT)
    batch: int = _key(512, "poses a step (motion: sequences, an eighth of it)", _COUNT)
    learning_rate: float = _key(2e-3, "peak of AdamW's schedule", _POSITIVE)
    decoded_weight: float = _key(0.0, "weight of the decoded pose error in metres", validators.ge(0))


@attrs.frozen
class Fc:
    """The paper's fully connected 1024-512-out with the latent bound."""

    hidden: tuple[int, ...] = _key((1024, 512), "widths of the hidden layers", validators.min_len(1))
    steps: int = _key(800, "training steps", _COUNT)
    batch: int = _key(512, "poses a step (motion: sequences, an eighth of it)", _COUNT)
    learning_rate: float = _key(1e-3, "of RMSProp", _POSITIVE)
    decoded_weight: float = _key(0.0, "weight of the decoded pose error in metres", validators.ge(0))


@attrs.frozen
class ThroughPose:
    """Decode, move the pose, encode: nothing to train."""


@attrs.frozen
class LatentDistance:
    """Mean Euclidean distance of anchor and partner."""


@attrs.frozen
class RelativeLatentDistance:
    """The same, divided by the distance of unrelated anchors."""


@attrs.frozen
class SelectByDistance:
    """The largest latent distances, as in the paper."""


@attrs.frozen
class SelectPinning:
    """The set that leaves least open."""

    least_distance: float = _key(
        0.3, "nearer relations come last, in units of the distance of random pairs", validators.ge(0)
    )


@attrs.frozen
class Commands:
    """Commands take no keys."""
