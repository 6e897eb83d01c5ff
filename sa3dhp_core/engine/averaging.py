"""Exponential moving averages of weights: of a task's result, and of a teacher that follows a student."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def named_state(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """All parameters and buffers of several modules by ``module.path``."""
    return {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}


class MovingAverage:
    """Moving average of the modules' floating-point state, in float32 at least; other entries (counters) are copied."""

    def __init__(self, modules: Mapping[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self.average = {key: _summable(value.detach().clone()) for key, value in named_state(modules).items()}

    @torch.no_grad()
    def update(self, modules: Mapping[str, nn.Module], step: int) -> None:
        """Move towards the modules' present state; the first steps count for more, so that no start is remembered."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for key, value in named_state(modules).items():
            if value.is_floating_point():
                self.average[key].lerp_(value.detach().to(self.average[key]), 1.0 - decay)
            else:
                self.average[key].copy_(value)

    def load_into(self, modules: Mapping[str, nn.Module]) -> None:
        """Put the average into the modules."""
        load_named(modules, self.average)


def _summable(value: Tensor) -> Tensor:
    """Half precision is too coarse for what an average gains in a step."""
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value


def load_named(modules: Mapping[str, nn.Module], state: Mapping[str, Tensor]) -> None:
    """Inverse of `named_state`: every key must be there, none may be left over."""
    for name, module in modules.items():
        prefix = f"{name}."
        module.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
