"""How a network's arithmetic is carried out: memory order, recomputed activations, folded norms, compilation,
fused optimisers.

None of it changes what is computed, but for rounding. Names of weights stay as they are.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from sa3dhp_core.engine.folding import disarm, fold_at_first_call
from sa3dhp_core.engine.forwards import put_back, replace_forward
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.errors import RecipeError, nearest

if TYPE_CHECKING:
    from lightning_fabric.plugins import Precision

MODES: Mapping[str, Mapping[str, Any]] = {
    "static": {"dynamic": False},
    "dynamic": {"dynamic": True},
    "max-autotune": {"dynamic": False, "mode": "max-autotune-no-cudagraphs"},
}
"""What `torch.compile` is told. CUDA graphs are left out: they overwrite one call's outputs by the next call's, and a
step encodes several sets of views before it uses them."""

GRAPHS = 64
"""Sizes and modes of one network that are compiled each for itself before PyTorch gives up and interprets."""


def need(config: EngineConfig, device: torch.device) -> None:
    """Refuse what cannot be compiled, before any work.

    Raises:
        RecipeError: there is no compiler for the device, or the encoder is to be compiled and checkpointed.
    """
    if config.compile == "off":
        return
    if config.checkpointing:
        raise RecipeError(
            "a compiled encoder chooses by itself what it computes again",
            where="engine.checkpointing",
            found=f"{list(config.checkpointing)} with engine.compile = {config.compile!r}",
            expected="one of the two",
            hint="--set engine.compile=off",
        )
    if lacking := _lacking_compiler(device):
        raise RecipeError(
            "nothing here compiles for this device",
            where="engine.compile",
            found=f"{config.compile!r} on {device.type}, {lacking}",
            expected="a C++ compiler for the CPU (its name in CXX, or g++), Triton for another device",
            hint="--set engine.compile=off",
        )


def _lacking_compiler(device: torch.device) -> str | None:
    """What the device's back end of `torch.compile` does not find, or None."""
    if device.type == "cpu":
        name = os.environ.get("CXX", "g++")
        return None if shutil.which(name) else f"no {name!r}"
    return None if importlib.util.find_spec("triton") else "no Triton"


def lay_out(module: nn.Module, channels_last: bool) -> nn.Module:
    """Order the weights of convolutions ``(O, I, h, w)`` in memory; activations follow them. Returns the module."""
    order = torch.channels_last if channels_last else torch.contiguous_format
    with torch.no_grad():
        for weight in module.parameters():
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=order)
    return module


def prepare(module: nn.Module, config: EngineConfig) -> nn.Module:
    """Make a network compute as the recipe says; `release` undoes it. Returns the module.

    Raises:
        RecipeError: the encoder has no block that ``checkpointing`` names.
    """
    lay_out(module, config.channels_last)
    for block in _named(module, config.checkpointing):
        _recompute(block)
    if config.fold_norms:
        fold_at_first_call(module, compiled=config.compile != "off")
    if config.compile != "off":
        limit: Any = torch._dynamo.config
        limit.recompile_limit = max(limit.recompile_limit, GRAPHS)
        module.compile(**MODES[config.compile])
    return module


def release(module: nn.Module) -> None:
    """Forget compilation, recomputation, folded norms and precision; weights keep their order in memory."""
    module._compiled_call_impl = None
    disarm(module)
    put_back(module)


def follow(module: nn.Module, numbers: Precision) -> None:
    """Let a frozen network compute in the precision of those that learn; half of a float32 weight is no gain here."""
    from lightning_fabric.plugins import HalfPrecision, Precision  # what only predicts needs none of it

    if type(numbers) is Precision or isinstance(numbers, HalfPrecision):
        return
    forward = module.forward

    def cast(*args: Any) -> Any:
        with numbers.forward_context():
            return numbers.convert_output(forward(*numbers.convert_input(args)))

    replace_forward(module, cast)


def _named(module: nn.Module, names: Sequence[str]) -> Iterable[nn.Module]:
    """The blocks of those names; a network without blocks has nothing to recompute."""
    blocks: Mapping[str, nn.Module] | None = getattr(module, "blocks", None)
    if blocks is None or not names:
        return ()
    for name in names:
        if name != "all" and name not in blocks:
            raise RecipeError(
                "the encoder has no such block",
                where="engine.checkpointing",
                found=name,
                expected=f"all, or some of {sorted(blocks)}",
                hint=nearest(name, [*blocks, "all"]),
            )
    return tuple(block for name, block in blocks.items() if name in names or "all" in names)


def _recompute(block: nn.Module) -> None:
    """Keep only what goes into the block; its backward pass computes it again, with the same random numbers."""
    forward = block.forward
    norms = tuple(part for part in block.modules() if isinstance(part, _BatchNorm))

    def again(*args: Any, **kwargs: Any) -> Any:
        return checkpoint(forward, *args, use_reentrant=False, context_fn=partial(_contexts, norms), **kwargs)

    replace_forward(block, again)


def _contexts(norms: Sequence[_BatchNorm]) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Of the first pass and of the second, which must not learn statistics once more."""
    return nullcontext(), _statistics_kept(norms)


@contextmanager
def _statistics_kept(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    learning = [norm for norm in norms if norm.training and norm.track_running_stats]
    before = [(norm.momentum, _count(norm)) for norm in learning]
    for norm in learning:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(learning, before, strict=True):
            norm.momentum = momentum
            if count is not None and norm.num_batches_tracked is not None:
                norm.num_batches_tracked.copy_(count)


def _count(norm: _BatchNorm) -> Tensor | None:
    return None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone()


def set_fused(optimizer: torch.optim.Optimizer, fused: bool | None) -> torch.optim.Optimizer:
    """Fuse an optimiser's step, or not; one that cannot, or whose device cannot, stays as it is. Returns it."""
    if fused is None or "fused" not in optimizer.defaults:
        return optimizer
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    fused = fused and fused_offered(weights)
    for group in optimizer.param_groups:
        group["fused"], group["foreach"] = fused, None if not fused else False
    optimizer._step_supports_amp_scaling = fused  # type: ignore[attr-defined]  # what the constructor sets beside it
    return optimizer


def fused_offered(weights: Iterable[Tensor]) -> bool:
    """Whether the device of all weights has a fused optimiser for their numbers."""
    return all(_fused_step_works(*kind) for kind in {(weight.device, weight.dtype) for weight in weights})


@cache
def _fused_step_works(device: torch.device, dtype: torch.dtype) -> bool:
    weight = nn.Parameter(torch.ones(1, device=device, dtype=dtype))
    weight.grad = torch.ones_like(weight)
    try:
        torch.optim.AdamW([weight], fused=True).step()
    except RuntimeError:
        return False
    return True
