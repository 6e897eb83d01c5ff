"""How fast a device multiplies and copies: short measurements of what it can do at most. Trains nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

SECONDS = 0.3
"""How long a measurement repeats."""


def product_flops_per_s(device: torch.device, dtype: torch.dtype, side: int = 0) -> float | None:
    """Operations a second of a product of square matrices, the best of some; a multiply-add is two.

    Args:
        device: where. dtype: of the matrices.
        side: rows and columns; 0: enough to fill the device.

    Returns:
        None where the device has no product of that type.
    """
    side = side or (512 if device.type == "cpu" else 8192)
    try:
        first, second = (torch.rand(side, side, device=device, dtype=dtype) for _ in range(2))
        out = first @ second
    except RuntimeError:
        return None
    return 2 * side**3 / best_s(lambda: torch.mm(first, second, out=out), device)


def copy_bytes_per_s(device: torch.device, mib: int = 0) -> float:
    """Bytes a second that a copy within the device's memory reads and writes, the best of some.

    Args:
        device: where. mib: size of what is copied, MiB; 0: beyond any cache.
    """
    source = torch.ones((mib or (64 if device.type == "cpu" else 2048)) * 2**18, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / best_s(lambda: target.copy_(source), device)


def best_s(call: Callable[[], object], device: torch.device, seconds: float = SECONDS) -> float:
    """Seconds of the quickest of several calls; the first one warms up and does not count."""
    call()
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < until:
        wait_for(device)
        began = time.perf_counter()
        call()
        wait_for(device)
        times.append(time.perf_counter() - began)
    return min(times)


def wait_for(device: torch.device) -> None:
    """Until the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def multiplies(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a device has a matrix product of a type of numbers, forward and backward."""
    try:
        values = torch.ones(8, 8, device=device, dtype=dtype, requires_grad=True)
        (values @ values).sum().backward()
    except (RuntimeError, TypeError, AssertionError):  # each back end refuses in its own way
        return False
    return True
