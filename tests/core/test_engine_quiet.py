"""An engine that only says where to compute: no Lightning Fabric for one CPU, the whole engine behind it otherwise."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import sa3dhp_core.engine
from sa3dhp_core.engine import Engine
from sa3dhp_core.engine.quiet import QuietEngine, on_one_cpu
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.sinks import SinkBoard

BARE = """
import sys
from sa3dhp_core import runner
from sa3dhp_core.engine.quiet import QuietEngine
from sa3dhp_core.engine_config import EngineConfig
assert QuietEngine(EngineConfig(device="cpu"), 0, None).device.type == "cpu"
sys.exit(", ".join(name for name in ("lightning_fabric", "torch._dynamo") if name in sys.modules) or 0)
"""


def test_the_device_of_one_cpu_is_told_without_lightning() -> None:
    told = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def test_it_is_the_whole_engine_when_more_is_asked() -> None:
    config = EngineConfig(device="cpu")
    quiet, whole = QuietEngine(config, 7, SinkBoard(())), Engine(config, 7, SinkBoard(()))
    assert quiet.device == whole.device and quiet.shard == whole.shard and quiet.config is config and quiet.seed == 7
    with pytest.raises(AttributeError, match="no_such"):
        _ = quiet.no_such
    with pytest.raises(AttributeError, match="nothing"):
        _ = sa3dhp_core.engine.nothing


@pytest.mark.parametrize(
    ("config", "alone"),
    [
        (EngineConfig(device="cpu"), True),
        (EngineConfig(), not torch.accelerator.is_available()),
        (EngineConfig(device="cpu", devices=2), False),
        (EngineConfig(device="cpu", strategy="ddp"), False),
        (EngineConfig(device="cuda"), False),
    ],
)
def test_only_one_cpu_needs_no_choice(config: EngineConfig, alone: bool) -> None:
    assert on_one_cpu(config) == alone


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what is asked for")
def test_what_the_machine_lacks_is_named_when_it_is_asked_for() -> None:
    quiet = QuietEngine(EngineConfig(device="cuda"), 0, SinkBoard(()))
    with pytest.raises(RecipeError, match="this machine has no such device"):
        _ = quiet.device
