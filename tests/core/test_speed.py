"""Short measurements of a device: they return what can be, and say where something is not to be had."""

from __future__ import annotations

import time

import torch

from sa3dhp_core import speed

CPU = torch.device("cpu")


def test_a_product_takes_no_less_than_what_it_computes() -> None:
    rate = speed.product_flops_per_s(CPU, torch.float32, side=64)
    assert rate is not None and 1e6 < rate < 1e14
    assert 1e6 < speed.copy_bytes_per_s(CPU, mib=1) < 1e13


def test_a_type_without_products_has_no_rate() -> None:
    assert speed.product_flops_per_s(CPU, torch.bool, side=8) is None
    assert not speed.multiplies(CPU, torch.int32)
    assert speed.multiplies(CPU, torch.float32) and speed.multiplies(CPU, torch.bfloat16)


def test_the_quickest_of_several_calls_counts_and_the_first_does_not() -> None:
    waits = iter([0.0, 0.02, 0.01, 0.03])
    found = speed.best_s(lambda: time.sleep(next(waits)), CPU, seconds=0.0)
    assert found >= 0.01  # never less than it slept; no upper bound on a busy machine
    assert next(waits, None) is None


def test_a_network_and_a_split_have_rates() -> None:
    for bf16 in (False, True):
        assert 1 < speed.network_images_per_s(CPU, bf16, seconds=0.0) < 1e9
    assert 1 < speed.drawing_images_per_s(CPU, count=64, size=8) < 1e9
