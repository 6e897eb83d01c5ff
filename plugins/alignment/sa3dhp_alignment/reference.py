"""Slow second implementations of the losses, one number at a time, for the conformance kit and the tests.

They follow the definitions and share nothing with the losses but their keys and the shape of a head.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sa3dhp_alignment.config import InfoNceConfig, PriorMatchingConfig, RehearsalConfig, RelationConfig
from sa3dhp_alignment.contrastive import InfoNce
from sa3dhp_core.protocols.alignment import Encoded, LossInput, LossParts
from sa3dhp_core.types import Spatial


class SlowInfoNce(nn.Module):
    """`InfoNce`, one anchor at a time, with a head of the same shape."""

    def __init__(self, config: InfoNceConfig, *, parts: LossParts) -> None:
        super().__init__()
        self._config, self._parts = config, parts
        self.head = InfoNce(config, parts=parts).head

    def forward(self, given: LossInput) -> float:
        """The mean over all anchors of both views."""
        first, second = (self._items(encoded) for encoded in given.views.values())
        clips = [clip for clip, _ in first]
        return slow_info_nce([v for _, v in first], [v for _, v in second], clips, self._config.temperature)

    def _items(self, encoded: Encoded) -> list[tuple[int, Tensor]]:
        """Clip and unit vector of each item."""
        found = []
        for clip in range(len(encoded.z)):
            motion = self._config.level == "motion"
            raw = [self._parts.motion_prior.encode(encoded.z[clip])] if motion else list(encoded.feature[clip])
            found += [(clip, self.head(item)) for item in raw]
        return [(clip, v / v.square().sum().sqrt()) for clip, v in found]


def slow_info_nce(first: Sequence[Tensor], second: Sequence[Tensor], clips: list[int], temperature: float) -> float:
    """InfoNCE of two views by the definition, one anchor at a time.

    Args:
        first: unit vectors ``(D,)``. second: their positives.
        clips: clip of each; items of the same clip are no negatives.
        temperature: of the softmax.
    """
    total = 0.0
    for anchors, others in ((first, second), (second, first)):
        for i, anchor in enumerate(anchors):
            weight = [math.exp(float((anchor @ other).detach()) / temperature) for other in others]
            negatives = sum(w for j, w in enumerate(weight) if clips[j] != clips[i])
            total += -math.log(weight[i] / (weight[i] + negatives))
    return total / (2 * len(first))


def slow_relation(config: RelationConfig, *, parts: LossParts) -> Callable[[LossInput], float]:
    """`build_relation_loss` in latent space by networks, for anchors that are neither smoothed nor brought together.

    Raises:
        ValueError: the keys ask for more.
    """
    if config.answer != "network" or config.space != "latent" or config.smooth or config.denoise or config.consensus:
        raise ValueError("the slow reference knows the learned network's energy in latent space alone")
    network, on_time = parts.networks[config.relation], parts.relations[config.relation].acts_on_time
    scale = (parts.motion_scale if on_time else parts.scale) if config.scaled else torch.ones(())

    def energy(given: LossInput) -> float:
        anchor, partner = given.views.values()
        assert partner.spatial is not None
        apart: list[float] = []
        for clip in range(len(partner.z)):
            condition = partner.spatial.condition[clip]
            if on_time:
                seen, start = (parts.motion_prior.encode(side.z[clip]) for side in (partner, anchor))
                apart += ((seen - network(start, condition[0])) / scale).tolist()
                continue
            for frame in range(partner.z.shape[1]):
                answer = network(anchor.z[clip, frame], condition[frame])
                apart += ((partner.z[clip, frame] - answer) / scale).tolist()
        if config.norm == "l1":
            return sum(map(abs, apart)) / len(apart)
        return math.sqrt(sum(value**2 for value in apart) / len(apart))

    return energy


class SlowPriorMatching:
    """`PriorMatching`: every projection sorted and compared level by level, the queue a list of embeddings."""

    def __init__(self, config: PriorMatchingConfig, *, parts: LossParts) -> None:
        self._config, self._parts = config, parts
        self._queue: list[Tensor] = []

    def __call__(self, given: LossInput) -> float:
        """The scalar distance; the queue then takes the batch's embeddings, the newest first."""
        (encoded,) = given.views.values()
        new = [z.detach() for clip in encoded.z for z in clip]
        real = self._parts.pose_prior.encode(self._moved(given))
        first, second = (torch.stack(list(v)) / self._parts.scale for v in ([*new, *self._queue], real))
        self._queue = [*new, *self._queue][: self._config.queue]
        return slow_wasserstein(first, second, self._config.projections, given.generator)

    def _moved(self, given: LossInput) -> Tensor:
        if not self._config.relation:
            return given.prior_poses
        relation = self._parts.relations[self._config.relation]
        drawn = relation.draw((len(given.prior_poses),), given.generator)
        each = zip(given.prior_poses, drawn.matrix, drawn.condition, strict=True)
        return torch.stack([relation.on_poses(pose, Spatial(m.to(pose), c.to(pose))) for pose, m, c in each])


def slow_wasserstein(first: Tensor, second: Tensor, projections: int, generator: torch.Generator) -> float:
    """Squared sliced Wasserstein-2 distance of ``(N, D)`` and ``(M, D)``: mean over directions and quantile levels."""
    directions = torch.randn(first.shape[1], projections, generator=generator).to(first)
    levels, total = max(len(first), len(second)), 0.0
    for k in range(projections):
        direction = directions[:, k] / directions[:, k].square().sum().sqrt()
        a, b = (sorted((x @ direction).tolist()) for x in (first, second))
        steps = [level / (levels - 1) if levels > 1 else 0.0 for level in range(levels)]
        total += sum((quantile(a, s) - quantile(b, s)) ** 2 for s in steps) / levels
    return total / projections


def quantile(values: list[float], share: float) -> float:
    """The value at a share of the way through a sorted list, on the straight line between its neighbours."""
    place = share * (len(values) - 1)
    low = min(int(place), len(values) - 1)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def slow_supervision(config: RehearsalConfig, *, parts: LossParts) -> Callable[[LossInput], float]:
    """`Rehearsal` and `Distillation`, image by image and joint by joint."""
    prior = parts.pose_prior

    def loss(given: LossInput) -> float:
        ((_, labelled),) = given.labelled.items()
        joints: list[float] = []
        latents: list[float] = []
        for z, pose in zip(labelled.encoding.z, labelled.poses, strict=True):
            joints += [math.dist(a.tolist(), b.tolist()) / 0.1 for a, b in zip(prior.decode(z), pose, strict=True)]
            latents += ((z - prior.encode(pose)) / parts.scale).abs().tolist()
        return sum(joints) / len(joints) + config.latent * sum(latents) / len(latents)

    return loss
