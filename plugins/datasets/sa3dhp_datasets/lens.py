"""Lens distortion as VideoPose3D writes it, and its inverse. Holds one lens model; opens no file.

With the radial coefficients k and the tangential p, a point x on the plane at depth 1 appears at
``x * (1 + k1 r^2 + k2 r^4 + k3 r^6 + p . x) + p r^2``, where r = |x|, times the focal length, plus the centre.
"""

from __future__ import annotations

import math

import attrs
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
STEPS = 100
CLOSE = 1e-9
"""Distance on the plane at which the inverse counts as found."""


@attrs.frozen(eq=False)
class Lens:
    """One camera's intrinsics.

    Attributes:
        focal_px: ``(2,)``.
        centre_px: ``(2,)``.
        radial: ``(3,)``.
        tangential: ``(2,)``.
    """

    focal_px: Array
    centre_px: Array
    radial: Array = attrs.field(factory=lambda: np.zeros(3))
    tangential: Array = attrs.field(factory=lambda: np.zeros(2))

    @property
    def bends(self) -> bool:
        """Whether it distorts at all."""
        return bool(self.radial.any() or self.tangential.any())

    def scaled(self, x: float, y: float) -> Lens:
        """The lens of the same pictures, so many times as wide and high."""
        factors = np.array([x, y])
        return attrs.evolve(self, focal_px=self.focal_px * factors, centre_px=self.centre_px * factors)

    def pixels(self, plane: Array) -> Array:
        """Points ``(..., 2)`` on the plane at depth 1 to pixels."""
        return self._bent(plane) * self.focal_px + self.centre_px

    def plane(self, pixels: Array) -> Array:
        """Pixels ``(..., 2)`` to points on the plane at depth 1, by fixed-point iteration.

        NaN where a pixel is NaN, or so far out that the formula cannot be inverted there.
        """
        seen = (pixels - self.centre_px) / self.focal_px
        found = seen
        with np.errstate(all="ignore"):
            for _ in range(STEPS):
                factor, shift = self._terms(found)
                before, found = found, (seen - shift) / factor
                if not (np.abs(found - before) > CLOSE / 100).any():
                    break
            good = (np.abs(self._bent(found) - seen) < CLOSE).all(axis=-1, keepdims=True)
        return np.where(good, found, np.nan)

    def _bent(self, plane: Array) -> Array:
        factor, shift = self._terms(plane)
        return plane * factor + shift

    def _terms(self, plane: Array) -> tuple[Array, Array]:
        square = (plane**2).sum(axis=-1, keepdims=True)
        radial = 1 + square * (self.radial[0] + square * (self.radial[1] + square * self.radial[2]))
        return radial + (plane * self.tangential).sum(axis=-1, keepdims=True), self.tangential * square


def middle_lens(width: float, height: float, focal_px: float | None, fov_deg: float) -> Lens:
    """A camera without distortion whose centre is the picture's middle.

    Args:
        width: of the picture, pixels.
        height: of the picture, pixels.
        focal_px: focal length; None where it is not known.
        fov_deg: the field of view across the diagonal that is assumed then.
    """
    focal = focal_px or math.hypot(width, height) / 2 / math.tan(math.radians(fov_deg) / 2)
    return Lens(np.array([focal, focal]), np.array([width / 2, height / 2]))
