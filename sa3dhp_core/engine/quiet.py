"""An engine for what only predicts: it knows the device at once and becomes the whole one when more is asked of it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from sa3dhp_core.engine_config import EngineConfig

if TYPE_CHECKING:
    from sa3dhp_core.engine.training import Engine, Progress


class QuietEngine:
    """`Engine` that imports Lightning Fabric only where there is a device to choose, or for `train` and the like.

    Args:
        config: devices, precision, strategy.
        seed: the recipe's seed.
        board: where progress goes.
    """

    def __init__(self, config: EngineConfig, seed: int, board: Progress) -> None:
        self.config, self.seed, self.board = config, seed, board
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        torch.set_float32_matmul_precision(config.matmul_precision)

    @cached_property
    def device(self) -> torch.device:
        """Where to compute; raises `RecipeError` as `Engine` does."""
        return torch.device("cpu") if on_one_cpu(self.config) else self._whole.device

    @cached_property
    def _whole(self) -> Engine:
        from sa3dhp_core.engine.training import Engine

        return Engine(self.config, self.seed, self.board)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        return getattr(self._whole, name)


def on_one_cpu(config: EngineConfig) -> bool:
    """Whether one process on the CPU is asked for, or all that this machine has."""
    if config.devices * config.nodes > 1 or config.strategy != "auto":
        return False
    return config.device == "cpu" or config.device == "auto" and not torch.accelerator.is_available()
