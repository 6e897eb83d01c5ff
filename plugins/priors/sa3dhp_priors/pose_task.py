"""How the pose auto-encoder learns (METHOD 1.1.1): reconstruction, latent cycle, spread, then the adversary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sa3dhp_core.protocols.pose_prior import PoseDraw
from sa3dhp_core.protocols.task import Relief, Update, halved
from sa3dhp_core.schedules import annealed_adamw
from sa3dhp_core.types import WHOLE, Shard
from sa3dhp_priors import config as keys
from sa3dhp_priors.body import Anatomy
from sa3dhp_priors.discriminator import Discriminator, gap

_START_POSES = 8192
_DIRECTIONS = 32


class Trainable(Protocol):
    """What the task needs of a pose prior."""

    anatomy: Anatomy

    def encode(self, poses: Tensor) -> Tensor: ...  # noqa: D102
    def decode(self, z: Tensor) -> Tensor: ...  # noqa: D102
    def sample(self, count: int, generator: torch.Generator) -> Tensor: ...  # noqa: D102
    def start(self, poses: Tensor) -> None: ...  # noqa: D102


class PoseTask:
    """Training of a pose auto-encoder; implements `sa3dhp_core.protocols.task.Task`.

    Every rank computes the whole (small) batch, so all stay equal without exchanging gradients.

    Args:
        prior: the auto-encoder.
        draw: unpaired poses.
        config: schedule and weights.
    """

    clip_norm: float | None = 1.0
    ema: float | None = None
    sharded: tuple[str, ...] = ()

    def __init__(self, prior: Any, draw: PoseDraw, config: keys.PoseAae) -> None:
        self.steps, self._config, self._draw, self.samples = config.steps, config, draw, config.batch
        self._prior: Trainable = prior
        like = next(prior.parameters())
        self._discriminator = Discriminator(prior.anatomy).to(device=like.device, dtype=like.dtype)
        self.modules: dict[str, nn.Module] = {"prior": prior}
        self._adversary_from = int(config.adversarial_start * config.steps)
        self._adversarial = config.adversarial_weight > 0 and self._adversary_from < config.steps
        if self._adversarial:
            self.modules["discriminator"] = self._discriminator

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        """One for the auto-encoder, one for its adversary."""
        config, weights = self._config, self.modules["prior"].parameters()
        own: dict[str, tuple[torch.optim.Optimizer, Any]] = {}
        if config.schedule == "cosine":
            own["prior"] = annealed_adamw(weights, config.learning_rate, config.steps)
        else:
            own["prior"] = torch.optim.Adam(weights, lr=config.learning_rate), None
        if self._adversarial:
            rate, betas = config.discriminator_learning_rate, (0.5, 0.99)
            own["discriminator"] = torch.optim.Adam(self._discriminator.parameters(), lr=rate, betas=betas), None
        return own

    def reliefs(self) -> tuple[Relief | None, ...]:
        """The key that would make a step smaller."""
        return (halved("pose_prior.batch", self._config.batch),)

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """The auto-encoder's update, then the discriminator's once it has set in."""
        return self.updates_from(self.draw(step, generator, shard), step, generator, shard)

    def draw(self, step: int, generator: torch.Generator, shard: Shard) -> list[tuple[Tensor, Tensor | None]]:
        """Poses ``(B, J, 3)`` and which ``(B, 1, 1)`` are mirrored; before the first step's, those to start from."""
        counts = [_START_POSES, self._config.batch] if step == 0 else [self._config.batch]
        return [self._poses(count, generator) for count in counts]

    def updates_from(
        self, batch: list[tuple[Tensor, Tensor | None]], step: int, generator: torch.Generator, shard: Shard
    ) -> Iterator[Update]:
        """The updates, of what `draw` gave."""
        if step == 0:
            self._prior.start(self._placed(*batch[0]))
        poses = self._placed(*batch[-1])
        sampled = self._prior.sample(max(2, self._config.batch // 2), generator)
        adversarial = self._adversarial and step >= self._adversary_from
        yield self._reconstruct(poses, sampled, generator, adversarial)
        if adversarial:
            yield self._discriminate(poses, sampled)

    def _poses(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        poses = self._draw(count, generator, WHOLE)
        return poses, torch.rand(count, 1, 1, generator=generator) < 0.5 if self._config.mirror else None

    def _placed(self, poses: Tensor, mirrored: Tensor | None) -> Tensor:
        like = next(self.modules["prior"].parameters())
        poses = poses.to(device=like.device, dtype=like.dtype)
        if mirrored is None:
            return poses
        return torch.where(mirrored.to(like.device), self._prior.anatomy.reflect(poses), poses)

    def _reconstruct(self, poses: Tensor, sampled: Tensor, generator: torch.Generator, adversarial: bool) -> Update:
        config, prior = self._config, self._prior
        z = prior.encode(poses)
        pose = (prior.decode(z) - poses).norm(dim=-1).mean()
        decoded = prior.decode(sampled)
        cycle = (prior.encode(decoded) - sampled).abs().mean() / config.bound
        distance = sliced_distance(z[: len(sampled)], sampled, generator) / config.bound
        loss = config.pose_weight * pose + config.latent_weight * cycle + config.spread_weight * distance
        logs: dict[str, Tensor | float] = {
            "reconstruction_mm": 1000.0 * pose.detach(),
            "latent_cycle": cycle.detach(),
            "spread": distance.detach(),
        }
        if adversarial:
            fooled = gap(self._discriminator(prior.anatomy.split(decoded)), 1.0, config.distance)
            loss = loss + config.adversarial_weight * fooled
            logs["adversarial"] = fooled.detach()
        return Update("prior", loss, logs)

    def _discriminate(self, poses: Tensor, sampled: Tensor) -> Update:
        with torch.no_grad():
            decoded = self._prior.decode(sampled)
        true = self._discriminator(self._prior.anatomy.split(poses[: len(sampled)]))
        false = self._discriminator(self._prior.anatomy.split(decoded))
        loss = 0.5 * (gap(true, 1.0, self._config.distance) + gap(false, -1.0, self._config.distance))
        right = 0.5 * ((true > 0).float().mean() + (false < 0).float().mean())
        return Update("discriminator", loss, {"discriminator_accuracy": right.detach()})


def sliced_distance(first: Tensor, second: Tensor, generator: torch.Generator) -> Tensor:
    """Sliced 1-Wasserstein distance of two clouds ``(N, D)`` over random directions; scalar."""
    directions = torch.randn(first.shape[-1], _DIRECTIONS, generator=generator).to(first)
    directions = directions / directions.norm(dim=0, keepdim=True)
    return ((first @ directions).sort(dim=0).values - (second @ directions).sort(dim=0).values).abs().mean()
