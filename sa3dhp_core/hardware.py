"""What this machine has, what of it limits training, and which keys of ``[engine]`` suit it. Measures only when asked.

A suggestion is a starting point: nothing here knows the recipe.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch

from sa3dhp_core import speed
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.environment import free_memory_gib, memory_limit_gib, usable_cores

CORES_A_DEVICE = 4
"""CPU cores that draw and prepare batches for one accelerator; fewer are likely to keep it waiting."""

MEMORY_GIB = {"cpu": 4.0, "cuda": 12.0, "mps": 8.0}
"""Memory below which the published sizes do not fit, or on a CPU not even the miniatures with comfort."""

WORTH = 1.15
"""How much faster a measured setting must be to be suggested."""

CPU_FACTS = Path("/proc/cpuinfo")

HALF_UNITS = ("amx_bf16", "avx512_bf16", "bf16")
"""Flags of a CPU that computes in bfloat16; the last one is ARM's."""


@attrs.frozen
class Hardware:
    """What computes here.

    Attributes:
        kind: ``cuda``, ``mps`` or ``cpu``.
        devices: how many accelerators; 0 where the CPU computes.
        device_memory_gib: of one accelerator, 0 where the CPU computes.
        bf16: whether what computes has units for bfloat16.
        tf32: whether it has units for TF32.
        cores: CPU cores of this process.
        threads: of PyTorch, if nobody says otherwise.
        memory_gib: main memory that this process may use, and
        free_gib: how much of it is free.
    """

    kind: str
    devices: int
    device_memory_gib: float
    bf16: bool
    tf32: bool
    cores: int
    threads: int
    memory_gib: float
    free_gib: float


@attrs.frozen
class Suggestion:
    """A key of ``[engine]``, what it should hold, and why."""

    key: str
    value: Any
    why: str


def here() -> Hardware:
    """This machine."""
    main: dict[str, Any] = {
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "memory_gib": memory_limit_gib() or 0.0,
        "free_gib": free_memory_gib() or 0.0,
    }
    if torch.cuda.is_available():
        of = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
        newest = all(one.major >= 8 for one in of)  # Ampere and later have units for both
        memory = min(one.total_memory for one in of) / 2**30
        return Hardware("cuda", len(of), round(memory, 1), newest, newest, **main)
    if torch.backends.mps.is_available():
        return Hardware("mps", 1, main["memory_gib"], False, False, **main)
    return Hardware("cpu", 0, 0.0, bool(cpu_flags() & set(HALF_UNITS)), False, **main)


def cpu_flags() -> set[str]:
    """What the first core says that it can do, where the system tells."""
    try:
        lines = CPU_FACTS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    told = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return set(told.partition(":")[2].split())


def measured(hardware: Hardware) -> dict[str, float]:
    """What the device reaches, in some seconds: by name, with the unit in it."""
    device = torch.device(hardware.kind)
    found: dict[str, float | None] = {"copy_gb_per_s": speed.copy_bytes_per_s(device) / 1e9}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        rate = speed.product_flops_per_s(device, dtype)
        found[f"product_{name}_gflop_per_s"] = None if rate is None else rate / 1e9
    found["network_images_per_s"] = speed.network_images_per_s(device)
    if speed.multiplies(device, torch.bfloat16):
        found["network_bf16_images_per_s"] = speed.network_images_per_s(device, bf16=True)
    if hardware.kind == "cpu":
        found |= _threads_tried(hardware, device)
    found["drawing_images_per_s"] = speed.drawing_images_per_s(device)
    return {name: round(value, 1) for name, value in found.items() if value is not None}


def _threads_tried(hardware: Hardware, device: torch.device) -> dict[str, float]:
    """The same network on one thread and on all cores."""
    before, found = torch.get_num_threads(), {}
    try:
        for threads in sorted({1, hardware.cores}):
            torch.set_num_threads(threads)
            found[f"network_{threads}_threads_images_per_s"] = speed.network_images_per_s(device)
    finally:
        torch.set_num_threads(before)
    return found


def limits(hardware: Hardware, rates: Mapping[str, float], videos: bool = True) -> list[str]:
    """What limits training here, the first thing first, in sentences.

    Args:
        hardware: of this machine. rates: as `measured` tells; empty where nothing was.
        videos: whether videos can be read at all.
    """
    found = []
    network, drawing = rates.get("network_images_per_s"), rates.get("drawing_images_per_s")
    if network and drawing:
        slower = "computing" if network <= drawing else "input"
        found.append(f"{slower}: {network:.0f} images/s through a small network, {drawing:.0f} drawn")
    if hardware.kind == "cpu":
        found.append(f"device: no accelerator, {_count(hardware.cores, 'CPU core')} to compute with")
    elif hardware.cores < CORES_A_DEVICE * hardware.devices:
        found.append(f"cores: {hardware.cores} of the CPU feed {_count(hardware.devices, 'accelerator')}")
    memory = hardware.device_memory_gib or hardware.memory_gib
    if memory < MEMORY_GIB[hardware.kind]:
        place = "main memory" if hardware.kind == "cpu" else "memory of the device"
        found.append(f"memory: {memory:g} GiB of {place}")
    if hardware.free_gib < 0.25 * hardware.memory_gib:
        found.append(f"free memory: {hardware.free_gib:.1f} of {hardware.memory_gib:g} GiB")
    if "decoding_crops_per_s" in rates:
        found.append(
            f"decoding: {rates['decoding_crops_per_s']:g} crops/s of this video, once; training reads them packed"
        )
    elif not videos:
        found.append("decoding: no videos, PyAV is not installed")
    return found or [f"device: {_count(hardware.devices, 'accelerator')} of {hardware.device_memory_gib:g} GiB"]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")


def suggested(hardware: Hardware, rates: Mapping[str, float], config: type = EngineConfig) -> tuple[Suggestion, ...]:
    """Keys of ``[engine]`` for this machine: those that the engine has and whose default is another value.

    Args:
        hardware: of this machine. rates: as `measured` tells; empty where nothing was.
        config: the engine's keys.
    """
    known = {field.name: field.default for field in attrs.fields(config)}
    return tuple(one for one in _wishes(hardware, rates) if one.key in known and known[one.key] != one.value)


def _wishes(hardware: Hardware, rates: Mapping[str, float]) -> Iterator[Suggestion]:
    yield Suggestion("device", hardware.kind, "what there is")
    if hardware.devices > 1:
        yield Suggestion("devices", hardware.devices, "a process each; batches stay global")
    yield from _precision(hardware, rates)
    if hardware.tf32:
        yield Suggestion("matmul_precision", "high", "products of float32 by its TF32 units; results are rounded")
    yield from _threads(hardware, rates)
    network, drawing = rates.get("network_images_per_s", 0.0), rates.get("drawing_images_per_s", 0.0)
    if drawing and network > drawing and hardware.cores > 1:
        ahead = min(hardware.cores - 1, math.ceil(network / drawing) + 1)
        yield Suggestion("prefetch", ahead, "drawing is slower than computing")


def _precision(hardware: Hardware, rates: Mapping[str, float]) -> Iterator[Suggestion]:
    plain, half = rates.get("network_images_per_s"), rates.get("network_bf16_images_per_s")
    if plain and half:
        if half > WORTH * plain:
            yield Suggestion(
                "precision", "bf16-mixed", f"measured {half / plain:.1f} times as fast; results are rounded"
            )
    elif hardware.bf16 and hardware.kind != "cpu":  # whether a CPU gains depends on the network: that is measured
        yield Suggestion("precision", "bf16-mixed", "the device has units for it; results are rounded")


def _threads(hardware: Hardware, rates: Mapping[str, float]) -> Iterator[Suggestion]:
    if hardware.kind != "cpu":
        return
    alone = rates.get("network_1_threads_images_per_s")
    every = rates.get(f"network_{hardware.cores}_threads_images_per_s")
    if alone and every and hardware.cores > 1 and every < WORTH * alone:
        yield Suggestion("threads", 1, f"all {hardware.cores} are {every / alone:.1f} times as fast as one")
    elif hardware.threads != hardware.cores:
        told = "OMP_NUM_THREADS says" if "OMP_NUM_THREADS" in os.environ else "PyTorch would take"
        yield Suggestion("threads", hardware.cores, f"all cores; {told} {hardware.threads}")
