"""The axes of turns and the 24 rotations of a cube, which quarter turns generate, exact. Imports no torch.

A rotation of the cube carries axes to axes: ``C turn(a) C^-1`` is a turn about another axis, or the same, by a or -a.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from itertools import product

import attrs


class Axis(Enum):
    """Axis of a turn, named as in expressions: about the optical axis (z), left-right (x), up-down (y)."""

    ROTATE = "rotate"
    TILT = "tilt"
    PAN = "pan"

    @property
    def number(self) -> int:
        """Which coordinate it keeps: 0, 1 or 2 for x, y or z."""
        return {"tilt": 0, "pan": 1, "rotate": 2}[self.value]

    @property
    def flip_sign(self) -> int:
        """Sign s with ``flip @ turn(a) @ flip = turn(s a)``: the mirror diag(-1, 1, 1) keeps turns about x."""
        return 1 if self is Axis.TILT else -1


_AXES = {axis.number: axis for axis in Axis}


@attrs.frozen
class Cube:
    """A rotation of the cube: the rows of its matrix, whose entries are 0, 1 and -1."""

    rows: tuple[tuple[int, ...], ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))

    def __matmul__(self, first: Cube) -> Cube:
        """``self @ first``: `first` acts first."""
        columns = tuple(zip(*first.rows, strict=True))
        return Cube(tuple(tuple(sum(map(int.__mul__, row, column)) for column in columns) for row in self.rows))

    def inverse(self) -> Cube:
        """The transpose."""
        return Cube(tuple(zip(*self.rows, strict=True)))

    def carried(self, axis: Axis) -> tuple[Axis, int]:
        """Axis b and sign s with ``C turn_axis(a) C^-1 = turn_b(s a)``."""
        column = [row[axis.number] for row in self.rows]
        number = next(n for n in range(3) if column[n])
        return _AXES[number], column[number]


@cache
def quarter_turns(axis: Axis, count: int) -> Cube:
    """`count` quarter turns about an axis, of any sign."""
    if count % 4 == 0:
        return Cube()
    first, second = (axis.number + 1) % 3, (axis.number + 2) % 3
    rows = [[0, 0, 0] for _ in range(3)]
    rows[axis.number][axis.number] = 1
    rows[second][first], rows[first][second] = 1, -1
    return quarter_turns(axis, count % 4 - 1) @ Cube(tuple(map(tuple, rows)))


@cache
def words() -> dict[Cube, tuple[tuple[Axis, int], ...]]:
    """The shortest word of turns ``(axis, degrees)`` for each of the 24, of those the one of the smallest angles."""
    single = [(axis, degrees) for axis in Axis for degrees in (90, -90, 180)]
    found: dict[Cube, tuple[tuple[Axis, int], ...]] = {}
    for length in range(3):
        for word in sorted(product(single, repeat=length), key=lambda word: sum(abs(turn[1]) for turn in word)):
            cube = Cube()
            for axis, degrees in word:
                cube = cube @ quarter_turns(axis, degrees // 90)
            found.setdefault(cube, word)
    return found
