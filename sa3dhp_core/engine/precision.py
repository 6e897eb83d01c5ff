"""What each `engine.precision` means here: plugins of Fabric, whether a device has it, gradients taken off a scale.

Networks that Fabric sets up compute in the chosen numbers; their outputs, and so poses, latents, losses and frozen
parts, stay in float32 (in float64 under ``64-true``). No random number depends on the precision.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, get_args

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import DoublePrecision, HalfPrecision, MixedPrecision, Precision
from torch import Tensor, nn

from sa3dhp_core.engine.devices import accelerator
from sa3dhp_core.engine_config import PRECISIONS, EngineConfig
from sa3dhp_core.errors import RecipeError

_log = logging.getLogger(__name__)

CLOSEST = {
    "16-mixed": ("bf16-mixed", "32-true"),
    "bf16-mixed": ("16-mixed", "32-true"),
    "bf16-true": ("bf16-mixed", "16-mixed", "32-true"),
    "64-true": ("32-true",),
}
"""What comes nearest to a precision, the nearest first."""

SHARDING = ("fsdp", "deepspeed", "xla", "model_parallel")
"""Strategies that bring plugins of their own."""


class Mixed(MixedPrecision):
    """Autocast; inputs are not rounded before it, so that what is no matrix product sees them whole."""

    def convert_input(self, data: Any) -> Any:
        """As it is."""
        return data


class Half(HalfPrecision):
    """Weights and activations in bfloat16; tensors made on the way are what the code says."""

    def forward_context(self) -> AbstractContextManager[None]:
        """Nothing changes."""
        return nullcontext()


class Double(DoublePrecision):
    """Weights and activations in float64, outputs too."""

    def forward_context(self) -> AbstractContextManager[None]:
        """Nothing changes: a default of float64 would change every random draw."""
        return nullcontext()

    def convert_output(self, data: Any) -> Any:
        """As it is."""
        return data


def plugin(precision: str, device: str) -> Precision:
    """The plugin of a precision on a type of device."""
    if precision in ("16-mixed", "bf16-mixed"):
        return Mixed(precision, device)  # type: ignore[arg-type]
    if precision == "64-true":
        return Double()
    return Precision() if precision == "32-true" else Half(precision)  # type: ignore[arg-type]


def arguments(config: EngineConfig) -> dict[str, Any]:
    """What `Fabric` is told of numbers; a strategy that shards brings its own plugin, which is called by name."""
    if config.precision == "32-true" or any(name in config.strategy for name in SHARDING):
        return {"precision": config.precision}
    return {"plugins": plugin(config.precision, _device_type(config.device))}


def _device_type(name: str) -> str:
    """``cuda`` for ``auto`` where there is one, as Fabric chooses."""
    if name not in ("auto", "gpu"):
        return name
    found = accelerator()
    return "cpu" if found is None else found.type


def exact(precision: str) -> torch.dtype:
    """Of what is never rounded further: poses, latents, losses, frozen parts."""
    return torch.float64 if precision == "64-true" else torch.float32


def offered(device: torch.device) -> tuple[str, ...]:
    """The precisions in which a small network learns on a device."""
    return tuple(name for name in get_args(PRECISIONS) if works(name, device))


def works(precision: str, device: torch.device) -> bool:
    """Whether convolution, normalisation and linear layer, forward and backward, run in a precision on a device."""
    try:
        numbers = plugin(precision, device.type)
        first = nn.Conv2d(3, 4, 3)
        layers: nn.Module = nn.Sequential(first, nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
        layers = numbers.convert_module(layers.to(device))
        with numbers.forward_context():
            out: Tensor = layers(numbers.convert_input(torch.ones(2, 3, 4, 4, device=device)))
        numbers.backward(numbers.convert_output(out).square().mean(), layers)
        return first.weight.grad is not None and isinstance(first.weight.grad.sum().item(), float)
    except (RuntimeError, TypeError, ValueError, AssertionError, ImportError):  # each back end refuses in its own way
        return False


def need(precision: str, device: torch.device) -> None:
    """Refuse a precision that a device lacks, before any work.

    Raises:
        RecipeError: names the device, what it offers, and the nearest choice.
    """
    if precision == "32-true" or works(precision, device):
        if precision == "16-mixed" and device.type == "cpu":
            _log.warning("float16 on a CPU: convolutions go back some twenty times slower; bf16-mixed does not")
        return
    there = offered(device)
    nearest = closest(precision, there)
    raise RecipeError(
        "this device does not compute in this precision",
        where="engine.precision",
        found=f"{precision!r} on {device.type}",
        expected=f"one of {', '.join(map(repr, there))}" if there else "another device: nothing runs on this one",
        hint=f"--set engine.precision={nearest}" if nearest else "--set engine.device=auto",
    )


def closest(precision: str, there: Sequence[str]) -> str | None:
    """The nearest of those that are there."""
    return next((name for name in CLOSEST[precision] if name in there), None)


def unscale(fabric: Fabric, optimizer: Any) -> None:
    """Take the gradients of a Fabric optimiser off the loss's scale, if it has one: before they are clipped."""
    scaler = getattr(fabric.strategy.precision, "scaler", None)
    if scaler is not None:
        scaler.unscale_(optimizer.optimizer)


def begin(fabric: Fabric) -> None:
    """Start a training with a fresh scale of gradients: what another one has learned would be lost by a resumed run."""
    scaler = getattr(fabric.strategy.precision, "scaler", None)
    if scaler is not None:
        scaler.load_state_dict(torch.amp.GradScaler(fabric.device.type).state_dict())
