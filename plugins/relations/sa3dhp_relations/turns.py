"""Turns about the camera's axes and the simplest word for a product of them, exact in rational degrees; no torch.

Of every turn its quarter turns are split off and moved left, so that within 45 degrees remain of each; turns about one
axis that stand side by side are added. This form is unique, because turns by rational degrees about perpendicular axes
satisfy no other equations (Radin & Sadun, On 2-generator subgroups of SO(3), Trans. AMS 351, 1999). The simplest
of the words that have it stands for the product.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import ceil

import attrs

from sa3dhp_relations.cube import Axis, Cube, quarter_turns, words


def _wrap(degrees: Fraction) -> Fraction:
    wrapped = Fraction(degrees) % 360
    return wrapped - 360 if wrapped > 180 else wrapped


def _ascending(spreads: Iterable[Fraction]) -> tuple[Fraction, ...]:
    return tuple(sorted(spread for spread in spreads if spread > 0))


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

    def inverse(self) -> Turn:
        """The turn back; of a family, the family of the inverses."""
        return Turn(self.axis, -self.centre, self.spreads)

    def mirrored(self) -> Turn:
        """``flip @ self @ flip``."""
        return Turn(self.axis, self.axis.flip_sign * self.centre, self.spreads)

    def carried(self, cube: Cube) -> Turn:
        """``cube @ self @ cube^-1``."""
        axis, sign = cube.carried(self.axis)
        return Turn(axis, sign * self.centre, self.spreads)

    def added(self, degrees: Fraction | int, spreads: tuple[Fraction, ...] = ()) -> Turn:
        """With another turn about the same axis."""
        return Turn(self.axis, self.centre + degrees, self.spreads + spreads)


def simplest(word: Iterable[Turn]) -> tuple[Turn, ...]:
    """The simplest word for a product of turns: equal products have equal words."""
    return _written(*_split(word))


def order(word: Iterable[Turn]) -> tuple[tuple[str, Fraction, tuple[Fraction, ...]], ...]:
    """Key that prefers one of two words as simple as each other: positive angles first."""
    return tuple((turn.axis.value, -turn.centre, turn.spreads) for turn in word)


def _split(word: Iterable[Turn]) -> tuple[Cube, list[Turn]]:
    """A cube's rotation and turns within 45 degrees, neighbours about different axes, that make up the word."""
    cube, rest = Cube(), list[Turn]()  # the rest from right to left
    for turn in reversed(tuple(word)):
        turn = turn.carried(cube.inverse())
        if rest and rest[-1].axis is turn.axis:
            last = rest.pop()
            turn = turn.added(last.centre, last.spreads)
        quarters = ceil(turn.centre / 90 - Fraction(1, 2))
        cube = cube @ quarter_turns(turn.axis, quarters)
        turn = turn.added(-90 * quarters)
        if not turn.trivial:
            rest.append(turn)
    return cube, rest[::-1]


_Word = tuple[Fraction, tuple[Turn, ...]]
"""A word after the sum of its angles, degrees without sign."""


def _written(cube: Cube, turns: list[Turn]) -> tuple[Turn, ...]:
    """The word with fewest turns, of those the one of the smallest angles: quarter turns go into the other turns.

    From left to right, for every rotation of the cube that may still be pending the best word so far is kept.
    """
    best: dict[Cube, _Word] = {cube: (Fraction(0), ())}
    for turn in turns:
        following: dict[Cube, _Word] = {}
        for pending, (angles, word) in best.items():
            for quarters in range(4):
                written = turn.carried(pending).added(90 * quarters)
                left = quarter_turns(written.axis, -quarters) @ pending
                found = (angles + abs(written.centre), (*word, written))
                if left not in following or _simpler(found, following[left]):
                    following[left] = found
        best = following
    whole = [_closed(found, words()[pending]) for pending, found in best.items()]
    return min(whole, key=lambda found: (len(found[1]), found[0], order(found[1])))[1]


def _closed(found: _Word, last: tuple[tuple[Axis, int], ...]) -> _Word:
    """With the pending rotation as turns of its own on the right."""
    angles = found[0] + sum(abs(degrees) for _, degrees in last)
    return angles, (*found[1], *(Turn(axis, Fraction(degrees)) for axis, degrees in last))


def _simpler(found: _Word, other: _Word) -> bool:
    return found[0] < other[0] or (found[0] == other[0] and order(found[1]) < order(other[1]))
