"""Devices that a recipe asks for and a machine does not have."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sa3dhp_core.engine import devices
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.errors import RecipeError

PAIR = {"cpu": 8, "cuda": 2}


@pytest.mark.parametrize(
    "fits",
    [
        {},
        {"device": "auto", "devices": 2},
        {"device": "cuda", "devices": 2},
        {"device": "gpu"},
        {"device": "cpu", "devices": 30},
        {"device": "cuda", "devices": 2, "nodes": 9},
    ],
)
def test_what_is_there_is_let_through(fits: dict[str, Any]) -> None:
    devices.need(EngineConfig(**fits), PAIR)


@pytest.mark.parametrize(
    ("wrong", "there", "told"),
    [
        ({"device": "cuda"}, {"cpu": 2}, ("engine.device:", "one of auto, cpu", "engine.device=auto")),
        ({"device": "gpu"}, {"cpu": 2}, ("engine.device:", "gpu")),
        ({"device": "mps"}, PAIR, ("engine.device:", "one of auto, cpu, cuda")),
        ({"device": "tpu"}, PAIR, ("engine.device:", "tpu")),
        ({"device": "abacus"}, PAIR, ("abacus", "one of auto, cpu, cuda", "sa3dhp doctor")),
        ({"device": "cuda:7"}, PAIR, ("cuda:7", "CUDA_VISIBLE_DEVICES=7")),
        ({"device": "cuda", "devices": 3}, PAIR, ("engine.devices:", "3 of cuda", "at most 2", "engine.devices=2")),
        ({"devices": 3}, PAIR, ("engine.devices:", "at most 2")),
        ({"device": "gpu", "devices": 3}, PAIR, ("engine.devices:", "at most 2")),
    ],
)
def test_what_is_not_there_is_refused_by_its_key(
    wrong: dict[str, Any], there: dict[str, int], told: tuple[str, ...]
) -> None:
    with pytest.raises(RecipeError) as caught:
        devices.need(EngineConfig(**wrong), there)
    for fact in told:
        assert fact in caught.value.render()


def test_this_machine_is_asked_where_nothing_is_given() -> None:
    assert devices.present()["cpu"] >= 1
    assert devices.present().get("cuda", 0) == torch.cuda.device_count()
    devices.need(EngineConfig(device="cpu"))


@pytest.mark.skipif(torch.version.cuda is not None, reason="only a build without CUDA can say that it is one")
def test_a_build_without_cuda_says_so() -> None:
    with pytest.raises(RecipeError, match="built without CUDA"):
        devices.need(EngineConfig(device="cuda"))


@pytest.mark.parametrize("there", [{"cpu": 2}, PAIR, {"cpu": 8, "mps": 1}])
@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "gpu", "mps"])
def test_a_finished_run_is_read_by_one_process_on_what_there_is(device: str, there: dict[str, int]) -> None:
    trained = EngineConfig(device=device, devices=8, nodes=4, strategy="fsdp", precision="16-mixed", threads=3)
    one = devices.alone(trained, there)
    devices.need(one, there)
    assert (one.devices, one.nodes, one.strategy, one.threads) == (1, 1, "auto", 3)
    here = device in ("auto", *there) or device == "gpu" and len(there) > 1
    assert (one.device, one.precision) == ((device, "16-mixed") if here else ("auto", "32-true"))
