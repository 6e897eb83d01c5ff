"""Tracks averaged over time. Knows no motion model."""

from __future__ import annotations

import math

import torch
from torch import Tensor


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
