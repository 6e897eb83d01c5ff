"""Targets of the relation components: a config and a skeleton in, a relation out."""

from __future__ import annotations

from fractions import Fraction

from sa3dhp_core.types import Skeleton
from sa3dhp_relations import config as keys
from sa3dhp_relations.cube import Axis
from sa3dhp_relations.elements import MaybeFlip, SpatialProduct, product
from sa3dhp_relations.expression import Product, parse, turn_between
from sa3dhp_relations.geometric import GeometricRelation
from sa3dhp_relations.timemap import BACKWARD, TimeMap, slow
from sa3dhp_relations.turns import Turn

_FLIP = SpatialProduct(flipped=True)


def _rotation(degrees: float) -> SpatialProduct:
    return product((Turn(Axis.ROTATE, _exact(degrees)),))


def _exact(degrees: float) -> Fraction:
    return Fraction(str(degrees))


def geometric(config: keys.Geometric, skeleton: Skeleton) -> GeometricRelation:
    """Any expression."""
    return GeometricRelation(parse(config.expression), skeleton, config.name)


def flip(config: keys.Flip, skeleton: Skeleton) -> GeometricRelation:
    """The mirror, certain or random."""
    spatial = SpatialProduct(factors=(MaybeFlip(),)) if config.random else _FLIP
    return GeometricRelation(Product(spatial), skeleton, config.name)


def in_plane_rotation(config: keys.InPlaneRotation, skeleton: Skeleton) -> GeometricRelation:
    """One angle or a range."""
    if config.range is None:
        return GeometricRelation(Product(_rotation(config.angle)), skeleton, config.name)
    low, high = (_exact(v) for v in config.range)
    turn = turn_between(Axis.ROTATE, low, high)
    return GeometricRelation(Product(product((turn,))), skeleton, config.name)


def flip_rotation(config: keys.FlipRotation, skeleton: Skeleton) -> GeometricRelation:
    """``flip @ rotate(angle)``."""
    return GeometricRelation(Product(_FLIP @ _rotation(config.angle)), skeleton, config.name)


def backward(config: keys.Backward, skeleton: Skeleton) -> GeometricRelation:
    """``backward``."""
    return GeometricRelation(Product(time=BACKWARD), skeleton, config.name)


def flip_backward(config: keys.FlipBackward, skeleton: Skeleton) -> GeometricRelation:
    """``flip @ rotate(angle) @ backward``."""
    return GeometricRelation(Product(_FLIP @ _rotation(config.angle), BACKWARD), skeleton, config.name)


def slow_motion(config: keys.Slow, skeleton: Skeleton) -> GeometricRelation:
    """``slow(factor)``."""
    return _timed(slow(config.factor), skeleton, config.name)


def slow_backward(config: keys.SlowBackward, skeleton: Skeleton) -> GeometricRelation:
    """``slow(factor) @ backward``."""
    return _timed(slow(config.factor) @ BACKWARD, skeleton, config.name)


def _timed(time: TimeMap, skeleton: Skeleton, name: str) -> GeometricRelation:
    return GeometricRelation(Product(time=time), skeleton, name)
