"""How relation networks learn, on unpaired poses and motions alone (METHOD 1.3).

``T_z`` regresses ``E_p(r y)`` from ``E_p(y)``; ``T_v`` regresses ``E_m(E_p(r Y))`` from ``E_m(E_p(Y))``. The priors are
frozen. Nothing here steps an optimiser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import attrs
import torch
from torch import Tensor, nn

from sa3dhp_core.protocols.motion_prior import SequenceDraw
from sa3dhp_core.protocols.pose_prior import PoseDraw, PosePrior
from sa3dhp_core.protocols.relation import Relation
from sa3dhp_core.protocols.task import Relief, Task, Update, halved
from sa3dhp_core.schedules import warm_cosine_scheduler
from sa3dhp_core.types import WHOLE, Shard, Spatial

Draw = PoseDraw | SequenceDraw
"""Poses where the relation is learned on z, sequences where it is learned on v."""

START_BATCH = 32
"""Least number of pairs drawn at once for a network's start, which wants hundreds of them however small a step is."""


class EncodeMotion(Protocol):
    """The part of a motion prior that a relation network needs."""

    def encode(self, z: Tensor) -> Tensor:
        """``(..., T, D)`` -> ``(..., latent)``."""
        ...

    def decode(self, v: Tensor) -> Tensor:
        """``(..., latent)`` -> ``(..., T, D)``."""
        ...


class TrainingKeys(Protocol):
    """Keys that every trained network's config has."""

    @property
    def steps(self) -> int: ...  # noqa: D102
    @property
    def batch(self) -> int: ...  # noqa: D102
    @property
    def learning_rate(self) -> float: ...  # noqa: D102
    @property
    def decoded_weight(self) -> float: ...  # noqa: D102


class LatentNetwork(nn.Module):
    """A network that is told its unit of error, and may prepare itself, before its first step.

    Attributes:
        unit: scalar buffer, the typical deviation of one coordinate of the partners from their mean.
        start_pairs: how many pairs `start` should see at least.
    """

    unit: Tensor
    start_pairs: int = 512

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("unit", torch.ones(()))

    @torch.no_grad()
    def start(self, embedding: Tensor, condition: Tensor, target: Tensor) -> None:
        """Look at training pairs ``(N, width)``, ``(N, P)``, ``(N, width)`` once, before the first step."""
        self.unit.copy_(target.std(dim=0).square().mean().sqrt().clamp_min(1e-9))


class Pairs(NamedTuple):
    """Embeddings ``(B, width)`` of anchors and partners, conditions ``(B, P)``, partner poses ``(B, [T,] J, 3)``."""

    anchor: Tensor
    partner: Tensor
    condition: Tensor
    poses: Tensor


class Drawn(NamedTuple):
    """Poses ``(B, [T,] J, 3)`` and an element for each of them."""

    poses: Tensor
    spatial: Spatial


@attrs.frozen
class Sampler:
    """Training pairs, in two parts.

    Attributes:
        draw: ``(count, generator, shard)``: poses and elements of this rank's shard of `count` pairs, on the CPU.
        embed: ``(drawn, device)``: what the frozen priors make of them there.
    """

    draw: Callable[[int, torch.Generator, Shard], Drawn]
    embed: Callable[[Drawn, torch.device], Pairs]

    def __call__(self, count: int, generator: torch.Generator, shard: Shard, device: torch.device) -> Pairs:
        """`count` pairs over all ranks; this rank's shard of them."""
        return self.embed(self.draw(count, generator, shard), device)


def pose_pairs(relation: Relation, pose_prior: PosePrior, draw: PoseDraw) -> Sampler:
    """Pairs of z: ``E_p(y)`` and ``E_p(r y)``, a fresh element for each pose."""

    def drawn(count: int, generator: torch.Generator, shard: Shard) -> Drawn:
        poses = draw(count, generator, shard)
        return Drawn(poses, _share(relation.draw((count,), generator), shard))

    @torch.no_grad()
    def embed(drawn: Drawn, device: torch.device) -> Pairs:
        _place(device, pose_prior)
        poses, spatial = drawn.poses.to(device), _on(drawn.spatial, device)
        moved = relation.on_poses(poses, spatial)
        return Pairs(pose_prior.encode(poses), pose_prior.encode(moved), spatial.condition, moved)

    return Sampler(drawn, embed)


def motion_pairs(
    relation: Relation, pose_prior: PosePrior, motion_prior: EncodeMotion, draw: SequenceDraw, frames: int
) -> Sampler:
    """Pairs of v: anchor and partner frames of one window, the partner moved by one element for the whole clip."""
    temporal = relation.temporal(frames)

    def encode(poses: Tensor) -> Tensor:
        return motion_prior.encode(pose_prior.encode(poses))

    def drawn(count: int, generator: torch.Generator, shard: Shard) -> Drawn:
        poses = draw(count, temporal.window, generator, shard)
        return Drawn(poses, _share(relation.draw((count,), generator), shard))

    @torch.no_grad()
    def embed(drawn: Drawn, device: torch.device) -> Pairs:
        _place(device, pose_prior, motion_prior)
        anchor, partner = temporal.of(drawn.poses.to(device))
        spatial = _on(drawn.spatial, device)
        moved = relation.on_poses(partner, spatial)
        return Pairs(encode(anchor), encode(moved), spatial.condition, moved)

    return Sampler(drawn, embed)


def _place(device: torch.device, *priors: object) -> None:
    """Frozen priors are no part of the task's modules, so they follow the network to its device here."""
    for prior in priors:
        if isinstance(prior, nn.Module):
            prior.to(device)


def _share(spatial: Spatial, shard: Shard) -> Spatial:
    mine = slice(shard.rank, None, shard.world)
    return Spatial(spatial.matrix[mine], spatial.condition[mine])


def _on(spatial: Spatial, device: torch.device) -> Spatial:
    return Spatial(spatial.matrix.to(device), spatial.condition.to(device))


class RelationTask:
    """Regression of partners from anchors; implements `sa3dhp_core.protocols.task.Task`.

    The loss is the mean absolute error plus the mean squared error, both in the network's unit, plus
    ``decoded_weight`` times the mean joint distance of the decoded prediction to the partner's poses, metres.
    """

    clip_norm: float | None = 1.0
    ema: float | None = None
    sharded: tuple[str, ...] = ("network",)

    def __init__(
        self,
        network: LatentNetwork,
        optimizer: Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer],
        config: TrainingKeys,
        sampler: Sampler,
        decode: Callable[[Tensor], Tensor],
        batch: int,
    ) -> None:
        self.steps = config.steps
        self.modules: dict[str, nn.Module] = {"network": network}
        self._network, self._sampler, self._decode, self._batch = network, sampler, decode, batch
        self._decoded_weight, self._config, self.samples = config.decoded_weight, config, batch
        self._optimizer = optimizer

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        """One, with warm-up and cosine decay."""
        optimizer = self._optimizer(self._network.parameters())
        return {"network": (optimizer, warm_cosine_scheduler(optimizer, self.steps, floor=0.02))}

    def reliefs(self) -> tuple[Relief | None, ...]:
        """The key that would make a step smaller."""
        return (halved("relation_network.batch", self._config.batch),)

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """One update a step; before the first, the network is started from the same pairs on every rank."""
        return self.updates_from(self.draw(step, generator, shard), step, generator, shard)

    def draw(self, step: int, generator: torch.Generator, shard: Shard) -> list[Drawn]:
        """What the step learns from, last; before it, in the first step, what the network starts from."""
        size = max(self._batch, START_BATCH)
        count = -(-self._network.start_pairs // size) if step == 0 else 0
        starts = [self._sampler.draw(size, generator, WHOLE) for _ in range(count)]
        divides = self._batch % shard.world == 0  # else every process computes all: a mean over them is one over items
        return [*starts, self._sampler.draw(self._batch, generator, shard if divides else WHOLE)]

    def updates_from(self, batch: list[Drawn], step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """The update, of what `draw` gave."""
        device = next(self._network.parameters()).device
        *starts, last = batch
        if starts:
            pairs = [self._sampler.embed(drawn, device) for drawn in starts]
            anchor, partner, condition = (torch.cat([getattr(p, n) for p in pairs]) for n in Pairs._fields[:3])
            self._network.start(anchor, condition, partner)
        yield self._update(self._sampler.embed(last, device))

    def _update(self, pairs: Pairs) -> Update:
        predicted = self.modules["network"](pairs.anchor, pairs.condition)
        error = (predicted - pairs.partner) / self._network.unit
        loss = error.abs().mean() + error.square().mean()
        logs: dict[str, Tensor | float] = {"relative_error": error.detach().square().mean().sqrt()}
        if self._decoded_weight > 0:
            decoded = (self._decode(predicted) - pairs.poses).norm(dim=-1).mean()
            loss = loss + self._decoded_weight * decoded
            logs["decoded_mm"] = 1000 * decoded.detach()
        return Update("network", loss, logs)


def relation_task(
    network: LatentNetwork,
    optimizer: Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer],
    config: TrainingKeys,
    relation: Relation,
    pose_prior: PosePrior,
    motion_prior: EncodeMotion | None,
    draw: Any,
    frames: int,
) -> Task:
    """The regression task of a network: on z without a motion prior (draw: `PoseDraw`), else on v (`SequenceDraw`)."""
    if motion_prior is None:
        sampler = pose_pairs(relation, pose_prior, draw)
        return RelationTask(network, optimizer, config, sampler, pose_prior.decode, config.batch)
    motion = motion_prior

    def decode(v: Tensor) -> Tensor:
        return pose_prior.decode(motion.decode(v))

    sampler = motion_pairs(relation, pose_prior, motion, draw, frames)
    return RelationTask(network, optimizer, config, sampler, decode, max(1, config.batch // 8))
