"""Switches of arithmetic: the same training but for rounding, the same names, the same bits when resumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sa3dhp_core.engine import Engine, kernels
from sa3dhp_core.engine.checkpoint import WEIGHTS
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.protocols.task import Update
from sa3dhp_core.sinks import SinkBoard
from sa3dhp_core.types import Shard


class Blocks(nn.Module):
    """An encoder of two blocks: convolution, statistics, chance. No bias before statistics: its gradient is noise."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        second = (nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3))
        self.second = nn.Sequential(*second, nn.Linear(32, 2))

    @property
    def blocks(self) -> Mapping[str, nn.Module]:
        return {"first": self.first, "second": self.second}

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.second(self.first(images))
        return found


class Pictures:
    """Regression from images, with two optimisers, of which one has no fused form."""

    clip_norm: float | None = 0.5
    ema: float | None = 0.9
    steps = 5
    sharded: tuple[str, ...] = ("encoder",)

    def __init__(self, stop_at: int = -1) -> None:
        torch.manual_seed(1)
        self.modules: dict[str, nn.Module] = {"encoder": Blocks(), "scale": nn.Linear(1, 1, bias=False)}
        self._stop_at = stop_at

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        adam = torch.optim.AdamW(self.modules["encoder"].parameters(), lr=0.01)
        return {"encoder": (adam, None), "scale": (torch.optim.RMSprop(self.modules["scale"].parameters()), None)}

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        if step == self._stop_at:
            raise KeyboardInterrupt
        images = torch.rand(6, 3, 4, 4, generator=generator)
        wanted = images.mean(dim=(2, 3))[:, :2]
        yield Update("encoder", (self.modules["encoder"](images) - wanted).square().mean())
        yield Update("scale", (self.modules["scale"](images.mean()[None]) - 1).square().mean())


SWITCHES: Mapping[str, Mapping[str, Any]] = {
    "contiguous": {"channels_last": False},
    "checkpointing": {"checkpointing": ("all",)},
    "one block": {"checkpointing": ("first",)},
    "folded": {"fold_norms": True},
    "fused": {"fused": True},
    "not fused": {"fused": False},
    "not fused, scaled": {"fused": False, "precision": "16-mixed"},
    "fused, scaled": {"fused": True, "precision": "16-mixed"},
}


def engine(**config: Any) -> Engine:
    return Engine(EngineConfig(**{"device": "cpu", "checkpoint_every": 2, **config}), 3, SinkBoard(()))


def trained(folder: Path, task: Pictures | None = None, **config: Any) -> dict[str, Tensor]:
    engine(**config).train(task or Pictures(), "stage", folder)
    return load_file(folder / WEIGHTS)


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_changes_rounding_alone(tmp_path: Path, name: str) -> None:
    switch = SWITCHES[name]
    usual = trained(tmp_path / "usual", precision=switch.get("precision", "32-true"))
    found = trained(tmp_path / "found", **switch)
    assert [*found] == [*usual]
    for key, value in usual.items():
        torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-4)
        if "running" in key or "tracked" in key:  # recomputed activations teach statistics nothing twice
            torch.testing.assert_close(found[key], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SWITCHES)
def test_resumed_training_gives_the_same_bits(tmp_path: Path, name: str) -> None:
    whole = trained(tmp_path / "whole", **SWITCHES[name])
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "halves", Pictures(stop_at=3), **SWITCHES[name])
    halves = trained(tmp_path / "halves", **SWITCHES[name])
    assert [key for key in whole if not torch.equal(whole[key], halves[key])] == []


def saved_bytes(module: nn.Module, images: Tensor) -> int:
    """Of all tensors that a forward pass keeps for the backward pass, other than weights."""
    kept: dict[int, int] = {}
    weights = {weight.data_ptr() for weight in module.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        held = module(images)
    assert held.requires_grad
    return sum(kept.values())


def test_checkpointing_keeps_less_and_is_undone() -> None:
    module, images = kernels.lay_out(Blocks(), True), torch.rand(8, 3, 4, 4)
    whole = saved_bytes(module, images)
    kernels.prepare(module, EngineConfig(checkpointing=("first",)))
    one = saved_bytes(module, images)
    kernels.release(module)
    kernels.prepare(module, EngineConfig(checkpointing=("first", "second")))
    assert saved_bytes(module, images) < one < whole
    kernels.release(module)
    assert saved_bytes(module, images) == whole


def test_a_block_that_there_is_not_is_named() -> None:
    with pytest.raises(RecipeError, match="did you mean 'first'") as caught:
        kernels.prepare(Blocks(), EngineConfig(checkpointing=("frst",)))
    assert "engine.checkpointing" in str(caught.value)
    kernels.prepare(nn.Linear(2, 2), EngineConfig(checkpointing=("all",)))  # it has no blocks


@pytest.mark.parametrize("channels_last", [True, False])
def test_weights_of_convolutions_lie_as_asked(channels_last: bool) -> None:
    module = kernels.lay_out(Blocks(), channels_last)
    weight = module.get_parameter("second.0.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert weight.is_contiguous() != channels_last


def test_fusing_is_for_optimisers_that_can() -> None:
    for optimizer, _ in Pictures().optimizers().values():
        kernels.set_fused(optimizer, True)
        assert optimizer.param_groups[0].get("fused", False) == isinstance(optimizer, torch.optim.AdamW)
        before = dict(optimizer.param_groups[0])
        assert kernels.set_fused(optimizer, None).param_groups[0] == before
    assert not kernels.fused_offered([torch.ones(1), torch.ones(1, device="meta")])
    assert kernels.fused_offered([torch.ones(1), torch.ones(1, dtype=torch.bfloat16)])


def test_without_a_compiler_compilation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RecipeError, match=r"no 'no-such-compiler'[\s\S]*engine.compile=off") as caught:
        engine(compile="static")
    assert "engine.compile" in str(caught.value)


def test_compilation_and_checkpointing_are_refused_together() -> None:
    with pytest.raises(RecipeError, match="engine.checkpointing"):
        engine(compile="static", checkpointing=("all",))


def test_a_compiled_encoder_keeps_the_names_of_its_weights() -> None:
    module = kernels.prepare(Blocks(), EngineConfig(compile="static"))
    assert [*module.state_dict()] == [*Blocks().state_dict()]
    assert module._compiled_call_impl is not None
    kernels.release(module)
    assert module._compiled_call_impl is None


@pytest.mark.thorough
@pytest.mark.parametrize("mode", ["static", "dynamic"])
def test_a_compiled_encoder_learns_the_same(tmp_path: Path, mode: Any) -> None:
    try:
        kernels.need(EngineConfig(compile=mode), torch.device("cpu"))
    except RecipeError as error:
        pytest.skip(str(error))
    usual, found = (trained(tmp_path / each, compile=each) for each in ("off", mode))
    assert [*found] == [*usual]
    statistics = "encoder.first.1.running_mean"  # of the first layer: compiled dropout draws other numbers
    torch.testing.assert_close(found[statistics], usual[statistics], rtol=0.05, atol=0.01)
    assert int(found["encoder.first.1.num_batches_tracked"]) == Pictures.steps
