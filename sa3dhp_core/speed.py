"""How fast a device multiplies and copies: short measurements of what it can do at most. Trains nothing."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from sa3dhp_core.store import ArrayImages, write_frames

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


def network_images_per_s(device: torch.device, bf16: bool = False, seconds: float = SECONDS) -> float:
    """Images a second of forward and backward of a small convolutional network, 64 images of 64 x 64 pixels a call."""
    widths = (3, 24, 48, 96)
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.GroupNorm(8, outputs), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(96 * 64, 32)).to(device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.rand(64, 3, 64, 64, device=device).contiguous(memory_format=torch.channels_last)

    def step() -> None:
        network.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            out: Tensor = network(images)
        out.float().square().mean().backward()

    return len(images) / best_s(step, device, seconds)


def drawing_images_per_s(device: torch.device, count: int = 512, size: int = 64) -> float:
    """Crops a second that are drawn from a prepared split, 64 at random a call, and brought to the device."""
    images = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)
    camera = torch.eye(3).expand(count, 3, 3)
    generator = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as room:
        facts = {"starts": torch.tensor([0, count]), "fps": 30.0, "licence": "made up"}
        write_frames(Path(room), "train", images=images, intrinsics=camera, poses=torch.zeros(count, 17, 3), **facts)  # type: ignore[arg-type]
        split = ArrayImages(Path(room), "train")
        return 64 / best_s(lambda: split.draw(64, generator).images.to(device), device)
