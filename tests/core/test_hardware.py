"""What limits a machine and which keys suit it, for machines of several kinds."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import torch

from sa3dhp_core import hardware
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.hardware import Hardware, limits, suggested

LAPTOP = Hardware("cpu", 0, 0.0, True, False, cores=8, threads=8, memory_gib=16.0, free_gib=12.0)
SERVER = Hardware("cuda", 4, 80.0, True, True, cores=64, threads=64, memory_gib=512.0, free_gib=400.0)
V100 = Hardware("cuda", 1, 32.0, False, False, cores=2, threads=2, memory_gib=64.0, free_gib=60.0)


def values(machine: Hardware, rates: dict[str, float] | None = None, config: type = EngineConfig) -> dict[str, object]:
    return {one.key: one.value for one in suggested(machine, rates or {}, config)}


def test_a_server_gets_all_its_devices_and_the_units_that_it_has() -> None:
    expected = {"device": "cuda", "devices": 4, "precision": "bf16-mixed", "matmul_precision": "high"}
    assert values(SERVER) == expected
    assert limits(SERVER, {}) == ["device: 4 accelerators of 80 GiB"]


def test_an_older_device_gets_no_precision_that_it_lacks_and_few_cores_are_named() -> None:
    assert values(V100) == {"device": "cuda"}
    assert limits(V100, {}) == ["cores: 2 of the CPU feed 1 accelerator"]


def test_a_cpu_is_told_half_precision_only_where_it_was_measured_to_pay() -> None:
    assert values(LAPTOP) == {"device": "cpu"}
    assert limits(LAPTOP, {}) == ["device: no accelerator, 8 CPU cores to compute with"]
    rates = {"network_images_per_s": 100.0, "network_bf16_images_per_s": 220.0}
    (found,) = (one for one in suggested(LAPTOP, rates) if one.key == "precision")
    assert (found.value, "2.2 times" in found.why) == ("bf16-mixed", True)
    assert "precision" not in values(LAPTOP, {**rates, "network_bf16_images_per_s": 101.0})
    assert "precision" not in values(SERVER, {**rates, "network_bf16_images_per_s": 50.0}), "measured beats known"


def test_threads_are_those_that_paid_and_else_all_cores() -> None:
    assert values(attrs.evolve(LAPTOP, threads=1))["threads"] == 8
    slower = {"network_1_threads_images_per_s": 100.0, "network_8_threads_images_per_s": 60.0}
    assert values(LAPTOP, slower)["threads"] == 1
    assert "threads" not in values(LAPTOP, {**slower, "network_8_threads_images_per_s": 500.0})


def test_slow_input_is_the_limit_and_is_drawn_ahead_where_the_engine_has_the_key() -> None:
    @attrs.frozen
    class Later(EngineConfig):
        prefetch: int | None = None

    @attrs.frozen
    class Bare:
        device: str = "auto"

    rates = {"network_images_per_s": 1000.0, "drawing_images_per_s": 400.0}
    assert limits(SERVER, rates)[0] == "input: 1000 images/s through a small network, 400 drawn"
    assert values(SERVER, rates, Later)["prefetch"] == 4
    assert set(values(SERVER, rates, Bare)) == {"device"}
    quick = {**rates, "drawing_images_per_s": 4000.0}
    assert limits(SERVER, quick)[0].startswith("computing: ")
    assert "prefetch" not in values(SERVER, quick, Later)


def test_short_memory_and_missing_decoders_are_named() -> None:
    tight = attrs.evolve(LAPTOP, memory_gib=3.0, free_gib=0.5)
    assert limits(tight, {}, videos=False)[1:] == [
        "memory: 3 GiB of main memory",
        "free memory: 0.5 of 3 GiB",
        "decoding: no videos, PyAV is not installed",
    ]
    assert "decoding: 30 crops/s" in limits(LAPTOP, {"decoding_crops_per_s": 30.0})[-1]


def test_this_machine_is_described_and_every_suggestion_is_a_value_that_the_engine_takes() -> None:
    machine = hardware.here()
    assert machine.devices == torch.cuda.device_count() or machine.kind == "mps"
    assert machine.cores >= 1 and machine.threads == torch.get_num_threads()
    assert 0 < machine.free_gib <= machine.memory_gib
    for one in (machine, LAPTOP, SERVER, V100):
        EngineConfig(**values(one))  # type: ignore[arg-type]


def test_half_units_are_read_from_the_cpus_flags(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    monkeypatch.setattr(hardware, "CPU_FACTS", told)
    for line, flags in (("flags\t\t: fpu amx_bf16 sse", {"amx_bf16"}), ("Features\t: fp asimd bf16", {"bf16"})):
        told.write_text(f"processor : 0\n{line}\nother : x\n")
        assert hardware.cpu_flags() & set(hardware.HALF_UNITS) == flags
    told.unlink()
    assert hardware.cpu_flags() == set()
