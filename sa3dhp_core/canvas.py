"""A video's picture to draw lines upon: luma, and chroma of half its size, as decoders give it. Knows no skeleton.

Drawn upon as it is, a picture needs no turn into RGB and back, and what is not drawn upon stays what it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

WEIGHTS = {601: (0.299, 0.114), 709: (0.2126, 0.0722)}
"""Of red and blue in the luma of BT.601 and BT.709."""

GREY = 128
"""Chroma of what has no colour."""


@attrs.frozen(eq=False)
class Canvas:
    """A picture as Y'CbCr 4:2:0; its planes are changed in place.

    Attributes:
        luma: ``(H, W)`` uint8.
        blue: ``(H / 2, W / 2)`` uint8, Cb.
        red: the same, Cr.
        standard: 601 or 709 of ITU-R BT.
        full: whether luma goes from 0 to 255, else from 16 to 235.
    """

    luma: NDArray[Any]
    blue: NDArray[Any]
    red: NDArray[Any]
    standard: int = 601
    full: bool = False

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.luma.shape[0])

    def line(
        self, start: NDArray[Any], end: NDArray[Any], colour: Sequence[int], width: float, rim: float = 0.0
    ) -> None:
        """Draw a line with smooth edges and round ends; what lies outside is left out.

        Args:
            start: ``(2,)`` pixels, x and y from the picture's corner.
            end: ``(2,)``.
            colour: RGB.
            width: pixels.
            rim: pixels of black around it.
        """
        luma, *chroma = ycbcr(colour, self.standard, self.full)
        black, *grey = ycbcr((0, 0, 0), self.standard, self.full)
        line((self.luma,), start, end, (luma,), width, rim, (black,))
        line((self.blue, self.red), start / 2, end / 2, chroma, width / 2, rim / 2, grey)


def ycbcr(colour: Sequence[int], standard: int, full: bool) -> tuple[float, float, float]:
    """Luma, Cb and Cr of an RGB colour, as 8 bits hold them (ITU-R BT.601-7 and BT.709-6, section 3)."""
    red, green, blue = (value / 255 for value in colour)
    of_red, of_blue = WEIGHTS[standard]
    luma = of_red * red + of_blue * blue + (1 - of_red - of_blue) * green
    chroma = ((blue - luma) / (2 - 2 * of_blue), (red - luma) / (2 - 2 * of_red))
    low, tall, wide = (0, 255, 255) if full else (16, 219, 224)
    return (low + tall * luma, GREY + wide * chroma[0], GREY + wide * chroma[1])


def line(
    planes: Sequence[NDArray[Any]],
    start: NDArray[Any],
    end: NDArray[Any],
    values: Sequence[float],
    width: float,
    rim: float = 0.0,
    edges: Sequence[float] | None = None,
) -> None:
    """Draw a line into planes ``(H, W)`` uint8 of one size, in place; see `Canvas.line`.

    Args:
        planes: changed in place.
        start: ``(2,)`` pixels of the planes.
        end: ``(2,)``.
        values: of the line, one a plane.
        width: pixels of the planes.
        rim: pixels around it.
        edges: values of the rim; 0 if None.
    """
    reach = width / 2 + rim + 1
    box = _around(planes[0].shape, start, end, reach)
    if box is None:
        return
    squared = _squared_distances(box, start, end)
    near = squared < reach * reach
    inside = np.sqrt(squared[near])
    cover = _unit(width / 2 + 0.5 - inside)
    both = _unit(width / 2 + rim + 0.5 - inside) if rim else cover
    under, edge_cover = 1 - both, both - cover
    for plane, value, edge in zip(planes, values, edges or [0.0] * len(planes), strict=True):
        place = plane[box]
        place[near] = np.rint(place[near] * under + edge * edge_cover + value * cover)


def _around(shape: Sequence[int], start: NDArray[Any], end: NDArray[Any], reach: float) -> tuple[slice, slice] | None:
    """Rows and columns of a plane that a line may touch; None where there are none."""
    found = []
    for size, one, other in zip(shape, start[::-1].tolist(), end[::-1].tolist(), strict=True):
        low, high = min(one, other) - reach, max(one, other) + reach
        if not (low < size and high > 0 and math.isfinite(high - low)):
            return None
        found.append(slice(max(0, math.floor(low)), min(size, math.ceil(high))))
    return found[0], found[1]


def _squared_distances(box: tuple[slice, slice], start: NDArray[Any], end: NDArray[Any]) -> NDArray[np.float32]:
    """Of the centres of a box's pixels from the line between two ends, square pixels."""
    rows, columns = box
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None] + np.float32(0.5 - start[0])
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5 - start[1])
    right, down = (end - start).astype(np.float32)
    squared = max(right * right + down * down, np.float32(1e-9))
    part = _unit(x * (right / squared) + y * (down / squared))
    across, along = x - part * right, y - part * down
    found: NDArray[np.float32] = across * across + along * along
    return found


def _unit(values: NDArray[Any]) -> NDArray[Any]:
    """Held between 0 and 1; quicker than `numpy.clip` for a few values."""
    found: NDArray[Any] = np.minimum(np.maximum(values, 0), 1)
    return found
