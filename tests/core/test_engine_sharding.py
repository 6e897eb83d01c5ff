"""Two processes train what one does, whether they copy the weights (DDP) or split them (FSDP), and go on for another.

Both processes run `tests/ranks/train.py` once; every test reads what they left.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from sa3dhp_core.engine.checkpoint import CHECKPOINT
from sa3dhp_core.engine.sharding import Shards
from sa3dhp_core.errors import TrainingError
from tests.ranks.contrast import Contrast
from tests.ranks.train import gradients, train

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-6
"""Of a weight; a step moves them by about 1e-2."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of trainings by one process (``one``), by two, and begun by the one and ended by the others."""
    folder = tmp_path_factory.mktemp("trained")
    train(folder / "one")
    for strategy in ("ddp", "fsdp"):
        train(folder / f"one-then-{strategy}", stop_at=3)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    calls = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.ranks.train", str(folder)],
            cwd=ROOT,
            env={**os.environ, **group, "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    said = [call.communicate(timeout=200)[0] for call in calls]
    assert [call.returncode for call in calls] == [0, 0], "\n".join(said)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    assert not (folder / CHECKPOINT).exists()
    return load_file(folder / "weights.safetensors")


def seen(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text(encoding="utf-8"))
    return found


def assert_close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=TOLERANCE, atol=TOLERANCE, msg=name)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_learn_what_one_does(trained: Path, strategy: str, tmp_path: Path) -> None:
    assert_close(weights(trained / strategy), weights(trained / "one"))
    losses, _ = train(tmp_path)
    assert seen(trained)["losses"][strategy] == pytest.approx(losses, rel=1e-5)


def test_fsdp_steps_a_part_of_the_weights_and_ddp_all(trained: Path) -> None:
    encoder, head = (Contrast(lambda z: z).modules[name] for name in ("encoder", "head"))
    whole, head_size = (sum(p.numel() for p in module.parameters() if p.requires_grad) for module in (encoder, head))
    stepped = seen(trained)["stepped"]
    assert stepped["ddp"] == whole + head_size
    assert whole / 3 < stepped["fsdp"] - head_size < 2 * whole / 3, "the head is smaller than what is split"


@pytest.mark.parametrize("way", ["one-then-ddp", "one-then-fsdp", "fsdp-then-ddp"])
def test_a_checkpoint_is_resumed_by_more_processes_or_another_strategy(trained: Path, way: str) -> None:
    assert_close(weights(trained / way), weights(trained / "one"))


@pytest.mark.parametrize("way", ["ddp-then-one", "fsdp-then-one"])
def test_a_checkpoint_of_two_processes_is_resumed_by_one(trained: Path, way: str) -> None:
    whole = {path.name for path in trained.joinpath(way).iterdir()}
    assert whole == {CHECKPOINT}, "written once"
    train(trained / way)
    assert_close(weights(trained / way), weights(trained / "one"))


def test_split_weights_in_half_precision_are_saved_so_and_resumed_to_the_bit(trained: Path) -> None:
    whole, resumed = weights(trained / "half"), weights(trained / "half-resumed")
    assert {value.dtype for name, value in whole.items() if name.startswith("encoder")} == {torch.bfloat16}
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []


def test_the_negatives_of_all_processes_pass_gradients(trained: Path) -> None:
    expected, found = gradients(), load_file(trained / "gradients.safetensors")
    assert found.keys() == expected.keys()
    assert len(expected) == 5
    for name, value in expected.items():
        assert value.abs().max() > 1e-3
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6, msg=name)


def test_an_optimiser_made_too_early_is_refused() -> None:
    shards, module = Shards(), torch.nn.Linear(2, 2)
    early = torch.optim.SGD(module.parameters(), lr=0.1)
    shards.copy("encoder", module)
    with pytest.raises(TrainingError, match="its optimiser is made before"):
        shards.hand_to(early)


def test_without_anything_split_all_is_handed_back() -> None:
    shards, module = Shards(), torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    module(torch.ones(1, 2)).sum().backward()
    given = list(optimizer.param_groups[0]["params"])
    assert shards.hand_to(optimizer).param_groups[0]["params"] == given
    shards.collect(optimizer)
    shards.clip(optimizer, 1e-3)
    assert torch.stack([p.grad.square().sum() for p in given if p.grad is not None]).sum().sqrt() <= 1e-3
    optimizer.step()
    assert shards.cut(optimizer, shards.state(optimizer)) == optimizer.state_dict()
    assert shards.live({"m": module}) == {"m": module}
    assert shards.agree({"weight m": 1.0}) == {"weight m": 1.0}
