"""Spatial factors and the normal form of their products, exact in rational degrees. Imports no torch, draws nothing.

A product is a word of factors read from right to left like the matrices that it stands for. Its normal form has at
most one certain flip, on the far left (moving left past a turn, it reverses the turn's sign where the axis demands
it), and turns about one axis that stand side by side are added.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from fractions import Fraction

import attrs


def _wrap(degrees: Fraction) -> Fraction:
    wrapped = Fraction(degrees) % 360
    return wrapped - 360 if wrapped > 180 else wrapped


def _ascending(spreads: Iterable[Fraction]) -> tuple[Fraction, ...]:
    return tuple(sorted(spread for spread in spreads if spread > 0))


class Axis(Enum):
    """Axis of a turn, named as in expressions: about the optical axis (z), up-down (x), left-right (y)."""

    ROTATE = "rotate"
    TILT = "tilt"
    PAN = "pan"

    @property
    def flip_sign(self) -> int:
        """Sign s with ``flip @ turn(a) @ flip = turn(s a)``: the mirror diag(-1, 1, 1) keeps turns about x."""
        return 1 if self is Axis.TILT else -1


@attrs.frozen(order=False)
class Turn:
    """A turn about one axis by an angle drawn uniformly from ``centre ± sum of spreads`` (a spread is one draw each).

    Attributes:
        axis: the axis.
        centre: degrees, in (-180, 180].
        spreads: half widths in degrees of independent uniform draws, ascending; none for a fixed angle.
    """

    axis: Axis
    centre: Fraction = attrs.field(converter=_wrap)
    spreads: tuple[Fraction, ...] = attrs.field(default=(), converter=_ascending)

    @property
    def trivial(self) -> bool:
        """Whether it is the identity."""
        return self.centre == 0 and not self.spreads


@attrs.frozen
class MaybeFlip:
    """The mirror with probability one half."""


Factor = Turn | MaybeFlip


@attrs.frozen
class SpatialProduct:
    """A product in normal form: ``flip`` (if `flipped`), then `factors` from left to right.

    Attributes:
        flipped: whether a certain mirror stands on the far left.
        factors: the other factors, the rightmost acting first.
    """

    flipped: bool = False
    factors: tuple[Factor, ...] = ()

    def __matmul__(self, first: SpatialProduct) -> SpatialProduct:
        """``self @ first``: `first` acts first."""
        left = (conjugated(f) for f in self.factors) if first.flipped else self.factors
        return SpatialProduct(self.flipped != first.flipped, reduced((*left, *first.factors)))

    def inverse(self) -> SpatialProduct:
        """The product of the inverses in reverse order; of a family, the family of the inverses."""
        turned = tuple(inverted(f) for f in reversed(self.factors))
        if self.flipped:
            turned = tuple(conjugated(f) for f in turned)
        return SpatialProduct(self.flipped, turned)

    @property
    def is_family(self) -> bool:
        """Whether anything is drawn."""
        return any(isinstance(f, MaybeFlip) or f.spreads for f in self.factors)

    @property
    def in_plane(self) -> bool:
        """Whether every element keeps the optical axis."""
        return all(isinstance(f, MaybeFlip) or f.axis is Axis.ROTATE for f in self.factors)


def conjugated(factor: Factor) -> Factor:
    """``flip @ factor @ flip``."""
    if isinstance(factor, MaybeFlip):
        return factor
    return Turn(factor.axis, factor.axis.flip_sign * factor.centre, factor.spreads)


def inverted(factor: Factor) -> Factor:
    """The inverse, of a family the family of inverses."""
    return factor if isinstance(factor, MaybeFlip) else Turn(factor.axis, -factor.centre, factor.spreads)


def reduced(word: Iterable[Factor]) -> tuple[Factor, ...]:
    """Add neighbouring turns about one axis, drop identities, and let two neighbouring ``flip?`` be one."""
    stack: list[Factor] = []
    for factor in word:
        last = stack[-1] if stack else None
        if isinstance(factor, Turn) and isinstance(last, Turn) and last.axis is factor.axis:
            factor = Turn(factor.axis, last.centre + factor.centre, last.spreads + factor.spreads)
            stack.pop()
        elif isinstance(factor, MaybeFlip) and isinstance(last, MaybeFlip):
            continue
        if isinstance(factor, MaybeFlip) or not factor.trivial:
            stack.append(factor)
    return tuple(stack)
