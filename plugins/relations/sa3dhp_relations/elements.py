"""Spatial factors and the normal form of their products, exact in rational degrees. Imports no torch, draws nothing.

A product is a word of factors read from right to left like the matrices that it stands for. Its normal form has at
most one certain flip, on the far left (moving left past a turn, it reverses the turn's sign where the axis demands
it); what stands between random flips is the simplest word of its turns (`turns`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from sa3dhp_relations.cube import Axis
from sa3dhp_relations.turns import Turn, order, simplest


@attrs.frozen
class MaybeFlip:
    """The mirror with probability one half."""

    def inverse(self) -> MaybeFlip:
        """Itself."""
        return self

    def mirrored(self) -> MaybeFlip:
        """``flip @ self @ flip``: itself."""
        return self


Factor = Turn | MaybeFlip


@attrs.frozen
class SpatialProduct:
    """A product in normal form, as `product` makes it: ``flip`` (if `flipped`), then `factors` from left to right.

    Products without draws are equal exactly where their matrices are. Equal families draw alike; some that draw alike
    (``flip? @ tilt(5)`` and ``tilt(5) @ flip?``) are not recognised as equal.

    Attributes:
        flipped: whether a certain mirror stands on the far left.
        factors: the other factors, the rightmost acting first.
    """

    flipped: bool = False
    factors: tuple[Factor, ...] = ()

    def __matmul__(self, first: SpatialProduct) -> SpatialProduct:
        """``self @ first``: `first` acts first."""
        left = (f.mirrored() for f in self.factors) if first.flipped else self.factors
        return product((*left, *first.factors), self.flipped != first.flipped)

    def inverse(self) -> SpatialProduct:
        """The product of the inverses in reverse order; of a family, the family of the inverses."""
        turned = (f.inverse() for f in reversed(self.factors))
        return product((f.mirrored() for f in turned) if self.flipped else turned, self.flipped)

    @property
    def is_family(self) -> bool:
        """Whether anything is drawn."""
        return any(isinstance(f, MaybeFlip) or f.spreads for f in self.factors)

    @property
    def in_plane(self) -> bool:
        """Whether every element keeps the optical axis."""
        return all(isinstance(f, MaybeFlip) or f.axis is Axis.ROTATE for f in self.factors)


def product(word: Iterable[Factor], flipped: bool = False) -> SpatialProduct:
    """The normal form of a word of factors, with a certain flip before it if `flipped`.

    A certain flip beside a random one makes no difference, and a stretch between two random ones is drawn like its
    mirror image.
    """
    first, *others = _stretches(word)
    if not others:
        return SpatialProduct(flipped, first)
    *inner, last = others
    factors: tuple[Factor, ...] = (*(_mirrored(first) if flipped else first), MaybeFlip())
    for stretch in filter(None, inner):
        factors += (*min(stretch, _mirrored(stretch), key=order), MaybeFlip())
    return SpatialProduct(False, factors + last)


def _stretches(word: Iterable[Factor]) -> Iterator[tuple[Turn, ...]]:
    """What stands before, between and after the random flips, each as its simplest word."""
    stretch: list[Turn] = []
    for factor in word:
        if isinstance(factor, Turn):
            stretch.append(factor)
        else:
            yield simplest(stretch)
            stretch = []
    yield simplest(stretch)


def _mirrored(stretch: tuple[Turn, ...]) -> tuple[Turn, ...]:
    return simplest(turn.mirrored() for turn in stretch)
