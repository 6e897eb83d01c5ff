"""A training whose losses need all processes: contrast over the gathered batch, with a teacher, a head and averages."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.protocols.task import Update
from sa3dhp_core.types import Shard

STEPS, ITEMS = 6, 8


class Contrast:
    """Two views of 8 items; every other item is a negative. Trained: an encoder (one layer frozen) and a head."""

    clip_norm: float | None = 0.5
    ema: float | None = 0.9
    steps = STEPS
    sharded: tuple[str, ...] = ("encoder", "teacher")

    def __init__(self, gather: Callable[[Tensor], Tensor], stop_at: int = -1) -> None:
        torch.manual_seed(1)
        encoder = nn.Sequential(
            nn.Conv2d(3, 5, 3).to(memory_format=torch.channels_last),  # type: ignore[call-overload]
            nn.GroupNorm(1, 5),
            nn.Flatten(),
            nn.Linear(20, 7),
            nn.Linear(7, 3, bias=False),
        )
        encoder[1].requires_grad_(False)
        teacher = copy.deepcopy(encoder).requires_grad_(False)
        self.modules: dict[str, nn.Module] = {"encoder": encoder, "teacher": teacher, "head": nn.Linear(3, 3)}
        self._gather, self._stop_at = gather, stop_at

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        trained = [p for name in ("encoder", "head") for p in self.modules[name].parameters() if p.requires_grad]
        self.adam = torch.optim.AdamW(trained, lr=0.02, fused=True)
        return {"both": (self.adam, torch.optim.lr_scheduler.LambdaLR(self.adam, lambda step: 1 / (1 + step)))}

    def loss(self, generator: torch.Generator, shard: Shard) -> Tensor:
        images = torch.randn(2, ITEMS, 3, 4, 4, generator=generator)[:, shard.rank :: shard.world]
        with torch.no_grad():
            theirs = self._gather(self.modules["teacher"](images[1])).float()
        mine = self.modules["head"](self._gather(self.modules["encoder"](images[0])).float())
        alike = nn.functional.normalize(mine, dim=-1) @ nn.functional.normalize(theirs + mine, dim=-1).T
        return nn.functional.cross_entropy(5 * alike, torch.arange(ITEMS))

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        if step == self._stop_at:
            raise KeyboardInterrupt
        yield Update("both", self.loss(generator, shard))
        with torch.no_grad():
            student = self.modules["encoder"].state_dict()
            for key, value in self.modules["teacher"].state_dict().items():
                value.lerp_(student[key].to(value.dtype), 0.5)


class Quiet:
    """A board that shows nothing."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def stage_started(self, stage: str, steps: int | None) -> None:
        """Nothing to show."""

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        """Keep the loss."""
        self.seen.append(scalars["loss/both"])
