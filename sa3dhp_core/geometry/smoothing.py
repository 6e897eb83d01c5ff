"""Tracks smoothed over time. Knows no motion model."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry.shapes import need

QUICK = 2.0
"""Hertz that a point's cutoff grows with each metre a second."""

SPEED_HZ = 1.0
"""Cutoff of the speed itself, as published."""


def average_over_time(track: Tensor, frames: int) -> Tensor:
    """Average ``(B, T, D)`` over time by a Hann window of `frames` frames, cut off and normalised at the ends.

    A window below three frames changes nothing.
    """
    if frames < 3:
        return track
    time = torch.arange(track.shape[1], device=track.device, dtype=track.dtype)
    distance = (time[:, None] - time) / ((frames + 1) / 2)
    weights = torch.where(distance.abs() < 1, 0.5 + 0.5 * torch.cos(math.pi * distance), 0.0)
    return (weights / weights.sum(dim=1, keepdim=True)) @ track


def one_euro(points: Tensor, fps: float, cutoff_hz: float, quick: float = QUICK) -> Tensor:
    """Points ``(T, J, 3)`` in metres, smoothed by the One Euro filter at once; see `OneEuro`.

    Raises:
        DataError: a shape does not fit, or a rate or cutoff is not above 0.
    """
    return OneEuro(fps, cutoff_hz, quick)(points)


class OneEuro:
    """The One Euro filter (Casiez, Roussel, Vogel 2012), forward in time over points that come a few at a time.

    A low-pass filter whose cutoff is ``cutoff_hz + quick * speed``: what stands still is calmed, what moves fast lags
    little. The speed is that of the point, not of each coordinate, so that turned points are smoothed alike.

    Args:
        fps: frames per second.
        cutoff_hz: of a point at rest; the lower, the smoother.
        quick: hertz for each metre a second.

    Raises:
        DataError: a rate or cutoff is not above 0.
    """

    def __init__(self, fps: float, cutoff_hz: float, quick: float = QUICK) -> None:
        for name, value in (("fps", fps), ("cutoff", cutoff_hz)):
            if not (math.isfinite(value) and value > 0):
                raise DataError(f"impossible {name}", found=value, expected="hertz, above 0")
        self._fps, self._cutoff_hz, self._quick = fps, cutoff_hz, quick
        self._last: tuple[Tensor, Tensor] | None = None

    def __call__(self, points: Tensor) -> Tensor:
        """Points ``(T, J, 3)`` in metres that follow those of the last call, smoothed; the very first stays as it is.

        Raises:
            DataError: a shape does not fit.
        """
        need(points, "points", None, None, 3)
        calm, kept = points.clone(), _share(points.new_tensor(SPEED_HZ), self._fps)
        for now, out in zip(points, calm, strict=True):
            if self._last is None:
                self._last = now.clone(), torch.zeros_like(now)
                continue
            before, speed = self._last
            speed = speed + kept * ((now - before) * self._fps - speed)
            cutoff = self._cutoff_hz + self._quick * speed.norm(dim=-1, keepdim=True)
            self._last = before + _share(cutoff, self._fps) * (now - before), speed
            out.copy_(self._last[0])
        return calm


def _share(cutoff_hz: Tensor, fps: float) -> Tensor:
    """How much of the new value a low-pass filter of first order takes."""
    return 1 / (1 + fps / (2 * math.pi * cutoff_hz))
