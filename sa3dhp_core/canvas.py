"""A video's picture to draw lines upon: luma, and chroma of half its size, as decoders give it. Knows no skeleton.

Drawn upon as it is, a picture needs no turn into RGB and back, and what is not drawn upon stays what it was.
"""

from __future__ import annotations

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
    ends, reach = np.stack([start, end]), width / 2 + rim + 1
    if not np.isfinite(ends).all():
        return
    limit = np.asarray(planes[0].shape[1::-1])
    low = np.clip(np.floor(ends.min(0) - reach), 0, limit).astype(int)
    high = np.clip(np.ceil(ends.max(0) + reach), 0, limit).astype(int)
    if (high <= low).any():
        return
    away = _distances(low, high, start, end)
    near = away < reach
    cover = np.clip(width / 2 + 0.5 - away[near], 0, 1)
    under = 1 - np.clip(width / 2 + rim + 0.5 - away[near], 0, 1) if rim else 1 - cover
    for plane, value, edge in zip(planes, values, edges or [0.0] * len(planes), strict=True):
        place = plane[low[1] : high[1], low[0] : high[0]]
        place[near] = np.round(place[near] * under + edge * (1 - under - cover) + value * cover)


def _distances(low: NDArray[Any], high: NDArray[Any], start: NDArray[Any], end: NDArray[Any]) -> NDArray[Any]:
    """Of the centres of the pixels from `low` to `high` ``(x, y)`` from the line between two ends, pixels."""
    x = (np.arange(low[0], high[0])[None] + 0.5 - start[0]).astype(np.float32)
    y = (np.arange(low[1], high[1])[:, None] + 0.5 - start[1]).astype(np.float32)
    along = (end - start).astype(np.float32)
    part = np.clip((x * along[0] + y * along[1]) / max(float(along @ along), 1e-9), 0, 1)
    return np.sqrt((x - part * along[0]) ** 2 + (y - part * along[1]) ** 2)
