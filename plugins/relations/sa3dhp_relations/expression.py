"""Expressions such as ``flip @ rotate(-63..63) @ backward``: parsing and writing. Imports no torch.

``@`` composes like matrices: the rightmost factor acts first. Numbers are decimals or fractions (``5/2``), kept exact.
"""

from __future__ import annotations

import re
from fractions import Fraction

import attrs

from sa3dhp_core.errors import RecipeError, nearest
from sa3dhp_relations.cube import Axis
from sa3dhp_relations.elements import MaybeFlip, SpatialProduct, product
from sa3dhp_relations.timemap import BACKWARD, TimeMap, slow
from sa3dhp_relations.turns import Turn

_FACTOR = re.compile(r"\s*(?P<name>[A-Za-z][\w-]*\??)\s*(?:\(\s*(?P<argument>[^()]*?)\s*\))?\s*")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(/\d+)?$")
_TURNS = {axis.value: axis for axis in Axis}
_BARE = ("identity", "flip", "flip?", "backward")
_TIMED = ("slow", "fast", "subsample", "shift")
NAMES = (*_BARE, *_TURNS, *_TIMED)
"""Every factor that an expression may name."""


@attrs.frozen
class Product:
    """What an expression means: a spatial and a temporal part, which commute."""

    spatial: SpatialProduct = SpatialProduct()
    time: TimeMap = TimeMap()

    def __matmul__(self, first: Product) -> Product:
        """``self @ first``: `first` acts first."""
        return Product(self.spatial @ first.spatial, self.time @ first.time)

    def inverse(self) -> Product:
        """Part by part."""
        return Product(self.spatial.inverse(), self.time.inverse())


def parse(text: str) -> Product:
    """The product that an expression names; raises `RecipeError` with the position of what it cannot read."""
    result, at = Product(), 0
    while True:
        match = _FACTOR.match(text, at)
        if match is None:
            raise _error(text, at, "a factor is missing" if not text[at:].strip() else "this is no factor", NAMES_HINT)
        result = result @ _factor(text, match)
        at = match.end()
        if at == len(text):
            return result
        if text[at] != "@":
            raise _error(text, at, f"unexpected {text[at]!r}", "'@' between factors, or the end")
        at += 1


NAMES_HINT = "one of: " + ", ".join(NAMES)


def _factor(text: str, match: re.Match[str]) -> Product:
    name, argument = match["name"], match["argument"]
    at = match.start("name")
    if name not in NAMES:
        raise _error(text, at, f"unknown factor {name!r}", NAMES_HINT, nearest(name, NAMES))
    if name in _BARE:
        if argument is not None:
            raise _error(text, match.start("argument"), f"{name!r} takes no argument", name)
        return {
            "identity": Product(),
            "flip": Product(SpatialProduct(flipped=True)),
            "flip?": Product(SpatialProduct(factors=(MaybeFlip(),))),
            "backward": Product(time=BACKWARD),
        }[name]
    if not argument:
        example = f"{name}(50) or {name}(-63..63)" if name in _TURNS else f"{name}(2)"
        if text.startswith("(", match.end()):
            raise _error(text, match.end(), "the parenthesis holds no number, or is not closed", example)
        raise _error(text, match.end("name"), f"{name!r} needs a number in parentheses", example)
    start = match.start("argument")
    if name in _TURNS:
        return Product(product((_turn(_TURNS[name], text, argument, start),)))
    number = _number(text, argument, start)
    if name == "shift":
        return Product(time=TimeMap(offset=number))
    if number <= 0:
        raise _error(text, start, f"{name!r} needs a positive factor", f"{name}(2)")
    if name == "subsample" and number.denominator > 1:
        raise _error(text, start, "'subsample' keeps every n-th frame, n a whole number", f"fast({argument})")
    return Product(time=slow(number if name == "slow" else 1 / number))


def _turn(axis: Axis, text: str, argument: str, at: int) -> Turn:
    low_text, dots, high_text = argument.partition("..")
    low = _number(text, low_text, at)
    if not dots:
        return Turn(axis, low)
    high = _number(text, high_text, at + len(low_text) + 2)
    if high < low:
        raise _error(text, at, "the range runs backward", f"{axis.value}({high_text.strip()}..{low_text.strip()})")
    return turn_between(axis, low, high)


def turn_between(axis: Axis, low: Fraction, high: Fraction) -> Turn:
    """A turn by an angle uniform between two angles in degrees."""
    return Turn(axis, (low + high) / 2, ((high - low) / 2,))


def _number(text: str, number: str, at: int) -> Fraction:
    stripped = number.strip()
    if _NUMBER.match(stripped) is None or stripped.endswith("/0"):
        raise _error(text, at, f"{number!r} is no number", "a decimal such as 50 or -2.5, or a fraction such as 5/2")
    head, _, denominator = stripped.partition("/")
    return Fraction(head) / Fraction(denominator or 1)


def _error(text: str, at: int, what: str, expected: str, hint: str | None = None) -> RecipeError:
    return RecipeError(
        f"{what} at position {at + 1}", where="relation expression", found=repr(text), expected=expected, hint=hint
    )


def write(relation: Product) -> str:
    """The canonical expression; `parse` reads it back to an equal product."""
    words = ["flip"] if relation.spatial.flipped else []
    for factor in relation.spatial.factors:
        words += ["flip?"] if isinstance(factor, MaybeFlip) else _turn_words(factor)
    return " @ ".join(words + _time_words(relation.time)) or "identity"


def _turn_words(turn: Turn) -> list[str]:
    name, centre, words = turn.axis.value, turn.centre, []
    for spread in turn.spreads:
        words.append(f"{name}({number_text(centre - spread)}..{number_text(centre + spread)})")
        centre = Fraction(0)
    return words or [f"{name}({number_text(centre)})"]


def _time_words(time: TimeMap) -> list[str]:
    speed, words = abs(time.scale), []
    if speed != 1:
        words.append(f"slow({number_text(1 / speed)})" if speed < 1 else f"fast({number_text(speed)})")
    if time.scale < 0:
        words.append("backward")
    if time.offset:
        words.append(f"shift({number_text(time.offset)})")
    return words


def number_text(number: Fraction) -> str:
    """A decimal where it is exact, else a fraction."""
    if number.denominator == 1:
        return str(number.numerator)
    decimal = f"{float(number):.10f}".rstrip("0")
    return decimal if Fraction(decimal) == number else f"{number.numerator}/{number.denominator}"
