"""Learning-rate factors: they rise, they fall, they end where they say."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sa3dhp_core.schedules import annealed_adamw, warm_cosine, warm_cosine_scheduler


@given(st.integers(1, 500), st.integers(1, 60), st.floats(0, 0.5))
def test_factors_rise_then_fall_to_the_floor(steps: int, warm_up: int, floor: float) -> None:
    factors = [warm_cosine(step, steps, warm_up, floor) for step in range(steps + 1)]
    assert all(0 < factor <= 1 for factor in factors[:-1])
    after = factors[min(warm_up, steps) :]
    assert all(a >= b for a, b in pairwise(after))
    assert factors[-1] == pytest.approx(floor, abs=1e-9) or steps < warm_up + 1
    assert warm_cosine(2 * steps + warm_up, steps, warm_up, floor) == pytest.approx(floor, abs=1e-9)


def test_a_scheduler_gives_the_factor_to_its_optimizer() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    scheduler = warm_cosine_scheduler(optimizer, 50, warm_up=5, floor=0.1)
    for step in range(50):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(2 * warm_cosine(step, 50, 5, 0.1))
        optimizer.step()
        scheduler.step()


def test_small_networks_decay_a_little_and_follow_the_schedule() -> None:
    optimizer, scheduler = annealed_adamw([torch.nn.Parameter(torch.zeros(1))], 0.5, 40)
    assert (type(optimizer), optimizer.param_groups[0]["weight_decay"]) == (torch.optim.AdamW, 1e-4)
    for step in range(40):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * warm_cosine(step, 40))
        optimizer.step()
        scheduler.step()
