"""Averaging over time against its definition."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_core.geometry import average_over_time


@given(seed=st.integers(0, 999), length=st.integers(1, 12), frames=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_smoothing_is_a_moving_average(seed: int, length: int, frames: int) -> None:
    z = torch.randn(2, length, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    out = average_over_time(z, frames)
    half = (frames + 1) / 2
    for t in range(length):
        near = {u: 0.5 + 0.5 * math.cos(math.pi * (t - u) / half) for u in range(length) if abs(t - u) < half}
        expected = z[:, t] if frames < 3 else sum(w * z[:, u] for u, w in near.items()) / sum(near.values())
        torch.testing.assert_close(out[:, t], expected)
    torch.testing.assert_close(average_over_time(torch.ones_like(z), frames), torch.ones_like(z))
    torch.testing.assert_close(average_over_time(z.flip(1), frames), out.flip(1))
