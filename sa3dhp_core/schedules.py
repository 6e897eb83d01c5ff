"""Learning-rate schedules as factors of the peak, functions of the step alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


def warm_cosine(step: int, steps: int, warm_up: int = 20, floor: float = 0.01) -> float:
    """Linear warm-up over at most `warm_up` steps, then cosine decay to `floor`."""
    rise = min(1.0, (step + 1) / (min(warm_up, steps) + 1))
    return rise * (floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / max(1, steps)))))


def annealed_adamw(weights: Iterable[nn.Parameter], rate: float, steps: int) -> tuple[torch.optim.Optimizer, Any]:
    """AdamW with a weight decay of 1e-4 and `warm_cosine`, as small networks are trained here."""
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=1e-4)
    return optimizer, warm_cosine_scheduler(optimizer, steps)


def warm_cosine_scheduler(optimizer: torch.optim.Optimizer, steps: int, warm_up: int = 20, floor: float = 0.01) -> Any:
    """`warm_cosine` for an optimiser that takes `steps` steps."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_cosine(step, steps, warm_up, floor))
