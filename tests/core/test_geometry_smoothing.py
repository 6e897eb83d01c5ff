"""Smoothing over time against its definitions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import OneEuro, average_over_time, one_euro


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


def slow_one_euro(values: list[list[float]], fps: float, cutoff: float, quick: float) -> list[list[float]]:
    """One point, as the paper's algorithm has it, its speed that of the point."""
    out, speed = [values[0]], [0.0, 0.0, 0.0]

    def share(hertz: float) -> float:
        tau, step = 1 / (2 * math.pi * hertz), 1 / fps
        return 1 / (1 + tau / step)

    for now in values[1:]:
        last = out[-1]
        speed = [share(1.0) * (n - b) * fps + (1 - share(1.0)) * s for n, b, s in zip(now, last, speed, strict=True)]
        part = share(cutoff + quick * math.hypot(*speed))
        out.append([part * n + (1 - part) * b for n, b in zip(now, last, strict=True)])
    return out


def test_one_euro_is_the_papers_filter() -> None:
    points = torch.randn(20, 3, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    found = one_euro(points, 25.0, 0.8, 1.5)
    for joint in range(3):
        expected = torch.tensor(slow_one_euro(points[:, joint].tolist(), 25.0, 0.8, 1.5), dtype=torch.float64)
        assert torch.allclose(found[:, joint], expected, atol=1e-12)


def test_one_euro_calms_what_rests_follows_what_moves_and_turns_with_the_camera() -> None:
    generator = torch.Generator().manual_seed(1)
    noise = 0.02 * torch.randn(300, 2, 3, generator=generator, dtype=torch.float64)
    calm = one_euro(noise, 30.0, 1.0)
    assert calm[100:].std() < 0.5 * noise[100:].std()
    moving = torch.arange(300, dtype=torch.float64)[:, None, None] / 30 * torch.tensor([2.0, 0.0, 0.0])
    behind = (moving - one_euro(moving, 30.0, 1.0))[200:, 0, 0]
    assert 0 < behind.max() < 0.1, "at two metres a second it lags less than a tenth of one"
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q
    assert torch.allclose(one_euro(noise @ turn, 30.0, 1.0), calm @ turn, atol=1e-12)
    assert torch.equal(one_euro(noise[:1], 30.0, 1.0), noise[:1]) and len(one_euro(noise[:0], 30.0, 1.0)) == 0


def test_one_euro_goes_on_where_it_was() -> None:
    points = torch.randn(20, 3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    filtered = OneEuro(25.0, 0.8)
    parts = [filtered(part) for part in points.split([1, 7, 0, 12])]
    assert torch.equal(torch.cat(parts), one_euro(points, 25.0, 0.8))


@pytest.mark.parametrize("cutoff", [0.0, -1.0, float("nan")])
def test_one_euro_refuses_an_impossible_cutoff(cutoff: float) -> None:
    with pytest.raises(DataError, match="impossible cutoff"):
        one_euro(torch.zeros(2, 1, 3), 25.0, cutoff)
