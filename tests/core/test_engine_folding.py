"""Folded norms: any network computes the same and learns the same, whatever else reads what lies between its layers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

from sa3dhp_core.engine import Engine, kernels
from sa3dhp_core.engine.checkpoint import WEIGHTS
from sa3dhp_core.engine.folding import disarm, fold, fold_at_first_call
from sa3dhp_core.engine.forwards import is_replaced, put_back
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.protocols.task import Update
from sa3dhp_core.sinks import SinkBoard
from sa3dhp_core.types import Shard
from tests.core.test_engine_kernels import saved_bytes

WIDTH = 3
OPERATIONS = ("convolution", "norm", "relu", "again", "add", "add_", "multiply", "view")


class Program(nn.Module):
    """Layers and operations on earlier values, as drawn: (what, of which value, and which other); gives some values."""

    def __init__(self, steps: list[tuple[str, int, int]], given_back: list[int], bias: bool, affine: bool) -> None:
        super().__init__()
        self.steps, self.given_back = steps, given_back
        make: Mapping[str, Callable[[], nn.Module]] = {
            "convolution": lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=bias),
            "norm": lambda: nn.BatchNorm2d(WIDTH, affine=affine),
            "relu": nn.ReLU,
        }
        self.layers = nn.ModuleList(make.get(what, nn.Identity)() for what, _, _ in steps)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        values: list[Tensor] = [1.0 * images]
        for (what, one, other), layer in zip(self.steps, self.layers, strict=True):
            value, beside = values[one % len(values)], values[other % len(values)]
            if what in ("convolution", "norm", "relu"):
                values.append(layer(value))
            elif what == "again":
                values.append(self.layers[other % len(self.layers)](value))  # a layer may be called more than once
            elif what == "view":
                values.append(value[:])
            else:
                operation: Any = {"add": torch.add, "add_": Tensor.add_, "multiply": gated}[what]
                values.append(operation(value, beside))
        return tuple(values[number % len(values)] for number in self.given_back)


def gated(value: Tensor, beside: Tensor) -> Tensor:
    """A product, whose gradient needs what it reads, that does not grow from layer to layer."""
    return value * beside.sigmoid()


@st.composite
def programs(draw: st.DrawFn) -> Program:
    near = st.sampled_from([-1, -1, -1, -2, -3, -4, 0])  # mostly the value before
    between = st.sampled_from([(), (), ("add_",), ("again",), ("multiply",), ("relu",)])
    usual = st.builds(lambda *some: ("convolution", "norm", *some[0], "relu", *some[1]), between, between)
    single = st.sampled_from(OPERATIONS).map(lambda what: (what,))
    groups = draw(st.lists(st.one_of(usual, single), min_size=1, max_size=5))
    steps = [(what, draw(near), draw(st.integers(-5, 9))) for group in groups for what in group]
    module = Program(steps, draw(st.lists(near, min_size=1, max_size=3)), draw(st.booleans()), draw(st.booleans()))
    return lively(module, draw(st.integers(0, 99)))


def lively(module: nn.Module, seed: int = 0) -> Any:
    """Weights and statistics that are not those of a new network, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double()
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=generator, dtype=value.dtype))
                value.copy_(value.square() + 0.1 if "var" in name else value)
    return module


def learnt(module: nn.Module, images: Tensor) -> list[Tensor]:
    """What a network gives and learns, and what its statistics are then."""
    images = images.clone().requires_grad_()
    module.zero_grad()
    given_back = module(images)
    sum((value * torch.linspace(-1, 1, value.numel()).reshape(value.shape)).sum() for value in given_back).backward()
    weights = [torch.zeros(()) if weight.grad is None else weight.grad.clone() for weight in module.parameters()]
    assert images.grad is not None
    return [*given_back, images.grad, *weights, *(value.clone().double() for value in module.buffers())]


def own(module: nn.Module, images: Tensor) -> list[Tensor] | None:
    """`learnt` by a copy; None where it cannot be: values that are written over while a gradient needs them."""
    try:
        return learnt(copy.deepcopy(module), images)
    except RuntimeError:
        return None


USUAL = [("convolution", -1, 0), ("norm", -1, 0), ("relu", -1, 0)]


@settings(max_examples=400)
@given(programs())
@example(lively(Program([*USUAL, ("add_", -2, 0)], [-2], True, True)))
@example(lively(Program([*USUAL, ("again", -2, 2)], [-1, -2], True, True)))
def test_any_network_computes_and_learns_the_same(module: Program) -> None:
    images = torch.randn(2, WIDTH, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    plain, taught = own(module.eval(), images), own(module.train(), images)
    if plain is None or taught is None:
        reject()
    fold(module, images[:1])
    for found, wanted in zip(learnt(copy.deepcopy(module).eval(), images), plain, strict=True):
        assert (found - wanted).norm() <= 1e-8 * (1 + wanted.norm())
    for found, wanted in zip(learnt(copy.deepcopy(module), images), taught, strict=True):
        assert torch.equal(found, wanted), "the same bits in training mode"
    put_back(module)
    for found, wanted in zip(learnt(module.eval(), images), plain, strict=True):
        assert torch.equal(found, wanted), "and when it is undone"


class Net(nn.Module):
    """Two convolutions with norms beside each other, and a head."""

    def __init__(self, leak: bool = False) -> None:
        super().__init__()
        layers = lambda: (nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))  # noqa: E731
        self.body, self.shortcut = nn.Sequential(*layers(), nn.ReLU()), nn.Sequential(*layers())
        self.activation, self.head, self.leak = nn.ReLU(), nn.Linear(4, 2), leak

    @property
    def blocks(self) -> Mapping[str, nn.Module]:
        return {"body": self.body, "shortcut": self.shortcut, "head": self.head}

    def forward(self, images: Tensor) -> Any:
        found = self.shortcut[1](between := self.shortcut[0](images))
        found = self.activation(found + self.body(images))
        found = self.head(found.mean(dim=(2, 3)))
        return Both(found, between) if self.leak else found


@attrs.frozen
class Both:
    found: Tensor
    between: Tensor


IMAGES = torch.randn(3, 3, 5, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_what_lies_between_is_kept_where_it_is_asked_for() -> None:
    assert fold(lively(Net()).eval(), IMAGES[:1]) == (2, 2)
    assert fold(module := lively(Net(leak=True)).eval(), IMAGES[:1]) == (1, 2)
    between = module(IMAGES).between
    torch.testing.assert_close(between, module.shortcut[0](IMAGES))

    class Odd(Net):
        def forward(self, images: Tensor) -> Any:
            super().forward(images)
            return object()

    assert fold(lively(Odd()).eval(), IMAGES[:1]) == (0, 0), "what it gives may be anything"


def test_less_is_kept_for_the_backward_pass() -> None:
    module, images = lively(Net()).eval(), IMAGES.repeat(20, 1, 4, 4)
    before = saved_bytes(module, images)
    fold(module, images[:1])
    assert saved_bytes(module, images) < 0.7 * before


def test_a_module_is_watched_when_it_is_first_called_in_either_mode() -> None:
    for mode in (True, False):
        module = lively(Net()).train(mode)
        statistics = [value.clone() for value in module.buffers()]
        fold_at_first_call(module)
        with torch.no_grad():
            wanted = copy.deepcopy(module).train(mode)
            disarm(wanted)
            assert torch.allclose(module.train(mode)(IMAGES), wanted(IMAGES)), "the first call, too"
        assert module.training == mode and all(part.training == mode for part in module.modules())
        if not mode:
            assert all(map(torch.equal, statistics, module.buffers())), "watching teaches statistics nothing"
    plain = nn.Linear(2, 2)
    fold_at_first_call(plain)
    disarm(plain)
    assert not plain._forward_pre_hooks


def test_release_undoes_it_whether_it_was_called_or_not() -> None:
    module = lively(Net()).eval()
    plain, names = module(IMAGES), [*module.state_dict()]
    for called in (False, True):
        kernels.prepare(module, EngineConfig(fold_norms=True))
        if called:
            torch.testing.assert_close(module(IMAGES), plain)
            assert is_replaced(module.body[0]) and is_replaced(module.body[1])
        assert [*module.state_dict()] == names
        kernels.release(module)
        assert torch.equal(module(IMAGES), plain) and not module._forward_pre_hooks


def test_recomputed_blocks_and_bfloat16_compute_the_same() -> None:
    module = lively(Net()).eval()
    wanted = learnt(module, IMAGES)
    kernels.prepare(module, EngineConfig(fold_norms=True, checkpointing=("body",)))
    for found, value in zip(learnt(module, IMAGES), wanted, strict=True):
        torch.testing.assert_close(found, value)
    assert is_replaced(module.body[0]) and is_replaced(module.shortcut[0])
    kernels.release(module)
    module = module.to(torch.bfloat16)
    exact = copy.deepcopy(module).double()(IMAGES.bfloat16().double())
    fold(module, IMAGES[:1].bfloat16())
    assert (module(IMAGES.bfloat16()).double() - exact).abs().max() < 0.02 * exact.abs().max()


@pytest.mark.slow
def test_a_compiled_network_folds_as_well() -> None:
    module = lively(Net()).float().eval()
    wanted = module(IMAGES.float())
    kernels.prepare(module, EngineConfig(fold_norms=True, compile="static"))
    for _ in range(2):
        torch.testing.assert_close(module(IMAGES.float()), wanted, rtol=1e-4, atol=1e-4)
    assert is_replaced(module.body[0])
    kernels.release(module)
    torch.testing.assert_close(module(IMAGES.float()), wanted)


class Adapts:
    """Training in evaluation mode, as adaptation is."""

    clip_norm: float | None = None
    ema: float | None = None
    steps = 5
    sharded: tuple[str, ...] = ("encoder",)

    def __init__(self, stop_at: int = -1) -> None:
        torch.manual_seed(1)
        self.modules: dict[str, nn.Module] = {"encoder": lively(Net(), 3).float().eval()}
        self._stop_at = stop_at

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        return {"encoder": (torch.optim.SGD(self.modules["encoder"].parameters(), lr=1e-3), None)}

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        if step == self._stop_at:
            raise KeyboardInterrupt
        images = torch.rand(6, 3, 4, 4, generator=generator)
        yield Update("encoder", (self.modules["encoder"](images) - images.mean(dim=(2, 3))[:, :2]).square().mean())


def trained(folder: Path, task: Adapts, fold_norms: bool) -> dict[str, Tensor]:
    config = EngineConfig(device="cpu", checkpoint_every=2, fold_norms=fold_norms)
    Engine(config, 3, SinkBoard(())).train(task, "stage", folder)
    assert not any(map(is_replaced, task.modules["encoder"].modules()))
    return load_file(folder / WEIGHTS)


def test_training_differs_by_rounding_and_resumes_with_the_same_bits(tmp_path: Path) -> None:
    usual, whole = (trained(tmp_path / str(on), Adapts(), on) for on in (False, True))
    begun = Adapts().modules["encoder"].state_dict()
    assert [*usual] == [*whole]
    for key, value in usual.items():
        torch.testing.assert_close(whole[key], value, rtol=1e-4, atol=1e-5)
    moved = [key for key, value in begun.items() if not torch.equal(value, whole[f"encoder.{key}"])]
    assert {"body.0.weight", "body.1.weight", "body.1.bias", "shortcut.0.weight"} <= set(moved)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "halves", Adapts(stop_at=3), True)
    halves = trained(tmp_path / "halves", Adapts(), True)
    assert [key for key in whole if not torch.equal(whole[key], halves[key])] == []
