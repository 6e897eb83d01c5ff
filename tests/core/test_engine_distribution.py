"""What Fabric is asked for, and launches that do not fit the recipe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric.strategies import ModelParallelStrategy
from torch import nn

from sa3dhp_core.engine import Engine
from sa3dhp_core.engine.distribution import check_launch, is_split, strategy_of
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.sinks import SinkBoard


def config(devices: int = 1, nodes: int = 1, strategy: str = "auto", shard_from: int = 10) -> EngineConfig:
    return EngineConfig(device="cpu", devices=devices, nodes=nodes, strategy=strategy, shard_from=shard_from)


@pytest.mark.parametrize("strategy", ["auto", "ddp", "fsdp"])
def test_one_process_needs_no_strategy(strategy: str) -> None:
    assert strategy_of(config(1, strategy=strategy)) == "auto"
    assert not is_split(nn.Linear(100, 100), config(1, strategy=strategy))


def test_fsdp_is_a_strategy_of_fabric_and_splits_what_is_large() -> None:
    assert strategy_of(config(2, strategy="ddp")) == "ddp"
    assert isinstance(strategy_of(config(2, strategy="fsdp")), ModelParallelStrategy)
    assert is_split(nn.Linear(3, 3), config(2, strategy="fsdp"))
    assert not is_split(nn.Linear(2, 2), config(2, strategy="fsdp"))
    assert not is_split(nn.Linear(3, 3), config(2, strategy="ddp"))


@given(devices=st.integers(1, 8), nodes=st.integers(1, 4), local=st.integers(1, 8), machines=st.integers(1, 4))
def test_torchrun_and_srun_must_start_what_the_recipe_says(devices: int, nodes: int, local: int, machines: int) -> None:
    torchrun = {
        "TORCHELASTIC_RUN_ID": "none",
        "WORLD_SIZE": str(local * machines),
        "LOCAL_WORLD_SIZE": str(local),
    }
    srun = {"SLURM_STEP_ID": "0", "SLURM_NTASKS": str(local * machines), "SLURM_NNODES": str(machines)}
    for environment in (torchrun, srun):
        if (devices, nodes) == (local, machines):
            check_launch(config(devices, nodes), environment)
            continue
        with pytest.raises(RecipeError) as caught:
            check_launch(config(devices, nodes), environment)
        assert f"--set engine.devices={local} --set engine.nodes={machines}" in str(caught.value)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SLURM_NTASKS": "8", "SLURM_NNODES": "1", "SLURM_PROCID": "0"},  # the batch script itself, without srun
        {"SLURM_NTASKS": "8", "SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "bash"},  # a shell on a node
        {"LOCAL_RANK": "1", "WORLD_SIZE": "2"},  # a process that Fabric started
    ],
)
def test_a_process_started_by_hand_is_left_alone(environment: dict[str, str]) -> None:
    check_launch(config(1), environment)


def test_the_engine_refuses_before_it_starts_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RecipeError, match="torchrun started other processes"):
        Engine(config(1), 0, SinkBoard(()))
