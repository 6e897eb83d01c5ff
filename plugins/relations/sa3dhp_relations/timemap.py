"""Time as an exact affine group: which frames of a window form the anchor and which the partner. Imports no torch.

A time map sends the partner's frame ``i`` to the anchor's time ``scale * i + offset`` (both counted in frames of the
anchor sequence, from its middle): backward is scale -1, slow(2) is scale 1/2, shift(5) is offset 5.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm

import attrs


@attrs.frozen
class TimeMap:
    """``(r Y)(i) = Y(scale * i + offset)``; composes with `@`, the right factor acting first.

    Attributes:
        scale: speed of the partner relative to the anchor; negative runs backward.
        offset: how far the partner is ahead, in frames of the anchor sequence.
    """

    scale: Fraction = attrs.field(default=Fraction(1), converter=Fraction)
    offset: Fraction = attrs.field(default=Fraction(0), converter=Fraction)

    def __attrs_post_init__(self) -> None:
        if self.scale == 0:
            raise ValueError("a time map needs a speed other than zero")

    def __matmul__(self, first: TimeMap) -> TimeMap:
        """``self @ first``: ``(r2 r1 Y)(i) = Y(map1(map2(i)))``."""
        return TimeMap(first.scale * self.scale, first.scale * self.offset + first.offset)

    def inverse(self) -> TimeMap:
        """The map that undoes it. Forward, or without offset, it takes the same frames with the roles exchanged."""
        return TimeMap(1 / self.scale, -self.offset / self.scale)

    @property
    def is_identity(self) -> bool:
        """Whether anchor and partner are the same frames in the same order."""
        return self.scale == 1 and self.offset == 0

    def indices(self, frames: int) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        """Window, anchor and partner for sequences of `frames` frames, the shortest that hold both.

        Strides are the smallest whole numbers in the ratio of the speeds. A sequence of stride k occupies
        ``frames * k`` frames; the two blocks share their middle (up to the offset). So slow(2) of 30 frames takes a
        window of 60: anchor 0, 2, …, 58, partner 15, …, 44 (METHOD 1.3).
        """
        if frames < 1:
            raise ValueError(f"a sequence needs at least one frame, got {frames}")
        anchor_stride = lcm(self.scale.denominator, self.offset.denominator)
        partner_stride = int(abs(self.scale) * anchor_stride)
        lead = Fraction(frames * (anchor_stride - partner_stride), 2) + self.offset * anchor_stride
        start = int(lead)  # towards zero, so that the inverse exchanges the roles exactly
        anchor_start, partner_start = max(0, -start), max(0, start)
        anchor = tuple(anchor_start + anchor_stride * i for i in range(frames))
        partner = tuple(partner_start + partner_stride * i for i in range(frames))
        window = max(anchor_start + frames * anchor_stride, partner_start + frames * partner_stride)
        return window, anchor, partner if self.scale > 0 else partner[::-1]


def slow(factor: Fraction | int) -> TimeMap:
    """The partner shows the anchor's motion `factor` times slower."""
    return TimeMap(1 / Fraction(factor))


BACKWARD = TimeMap(Fraction(-1))
"""The partner runs through the same frames in reverse."""
