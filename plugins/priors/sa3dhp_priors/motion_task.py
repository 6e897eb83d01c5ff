"""How motion auto-encoders learn (METHOD 1.1.2): by decoded poses, through the frozen pose prior. Steps nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.protocols.motion_prior import SequenceDraw
from sa3dhp_core.protocols.pose_prior import PosePrior
from sa3dhp_core.protocols.task import Relief, Update, halved
from sa3dhp_core.types import WHOLE, Shard

_START_SEQUENCES = 2048


class MotionTask:
    """Training of a motion auto-encoder; implements `sa3dhp_core.protocols.task.Task`.

    Every rank computes the whole (small) batch, so all stay equal without exchanging gradients.

    Args:
        prior: the motion auto-encoder; if it has a method ``start(z)``, it is fitted to the first sequences.
        pose_prior: frozen.
        draw: unpaired motion.
        optimizer: makes that of the prior's parameters, with its scheduler or None.
        steps: training steps.
        batch: sequences a step.
        latent_weight: weight of the mean absolute error of z.
        every: decode every so many frames, from a random one, for the loss of poses.
        distance: of decoded and true poses ``(..., J, 3)``, a scalar.
    """

    clip_norm: float | None = 1.0
    ema: float | None = None
    sharded: tuple[str, ...] = ()

    def __init__(
        self,
        prior: Any,
        pose_prior: PosePrior,
        draw: SequenceDraw,
        optimizer: Callable[[], tuple[torch.optim.Optimizer, Any]],
        steps: int,
        batch: int,
        latent_weight: float,
        every: int,
        distance: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        self.steps, self._batch, self._latent_weight, self._every = steps, batch, latent_weight, every
        self.samples = batch
        self.modules: dict[str, nn.Module] = {"prior": prior}
        self._prior, self._pose_prior, self._draw = prior, pose_prior, draw
        self._optimizer, self._distance = optimizer, distance

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        """The only one."""
        return {"prior": self._optimizer()}

    def reliefs(self) -> tuple[Relief | None, ...]:
        """The key that would make a step smaller."""
        return (halved("motion_prior.batch", self._batch),)

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """One update a step; before the first, the prior is fitted to some sequences if it can be."""
        return self.updates_from(self.draw(step, generator, shard), step, generator, shard)

    def draw(self, step: int, generator: torch.Generator, shard: Shard) -> list[Tensor]:
        """Sequences ``(B, T, J, 3)``; before the first step's those to start from."""
        starts = step == 0 and hasattr(self._prior, "start")
        counts = [_START_SEQUENCES, self._batch] if starts else [self._batch]
        return [self._draw(count, self._prior.frames, generator, WHOLE) for count in counts]

    def updates_from(
        self, batch: list[Tensor], step: int, generator: torch.Generator, shard: Shard
    ) -> Iterator[Update]:
        """The update, of what `draw` gave."""
        if len(batch) > 1:
            self._prior.start(self._embedded(batch[0])[1])
        poses, z = self._embedded(batch[-1])
        predicted = self._prior.decode(self._prior.encode(z))
        first = int(torch.randint(self._every, (), generator=generator))
        seen = slice(first, None, self._every)
        decoded = self._pose_prior.decode(predicted[:, seen])
        latent = (predicted - z).abs().mean()
        loss = self._distance(decoded, poses[:, seen]) + self._latent_weight * latent
        mm = 1000.0 * mean_distance(decoded.detach(), poses[:, seen])
        yield Update("prior", loss, {"reconstruction_mm": mm, "latent_error": latent.detach()})

    @torch.no_grad()
    def _embedded(self, poses: Tensor) -> tuple[Tensor, Tensor]:
        like = next(self.modules["prior"].parameters())
        poses = poses.to(device=like.device, dtype=like.dtype)
        return poses, self._pose_prior.encode(poses)


def mean_distance(first: Tensor, second: Tensor) -> Tensor:
    """Mean joint distance of ``(..., J, 3)``, metres; scalar."""
    return (first - second).norm(dim=-1).mean()


def mean_square(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared coordinate error of ``(..., J, 3)``, square metres; scalar."""
    return (first - second).square().mean()
