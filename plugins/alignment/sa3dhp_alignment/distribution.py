"""Prior matching: the target's embeddings should be distributed like those of real poses (FINDINGS, second round)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sa3dhp_alignment.config import PriorMatchingConfig
from sa3dhp_core.errors import RecipeError, nearest
from sa3dhp_core.protocols.alignment import LossInput, LossParts, View


class PriorMatching(nn.Module):
    """Squared sliced Wasserstein distance of embeddings in units of the latent scale."""

    labelled: tuple[str, ...] = ()

    def __init__(self, config: PriorMatchingConfig, *, parts: LossParts) -> None:
        super().__init__()
        if config.relation and config.relation not in parts.relations:
            raise RecipeError(
                "the loss names an unknown relation",
                where=f"losses: relation = {config.relation!r}",
                hint=nearest(config.relation, parts.relations),
            )
        self.config, self._parts, self.weight, self.name = config, parts, config.weight, config.name
        self._relation = parts.relations[config.relation] if config.relation else None
        frames, self.window = tuple(range(parts.frames)), parts.frames
        if self._relation is not None:
            temporal = self._relation.temporal(parts.frames)
            frames, self.window = temporal.partner, temporal.window
        frames = frames[:: config.stride]
        self._view = View(
            spatial=config.relation, photometric=config.photometric, frames=frames, per_frame=config.per_frame
        )
        self.views = (self._view,)
        self.register_buffer("_queue", torch.zeros(config.queue, parts.latent))
        self.register_buffer("_filled", torch.zeros((), dtype=torch.int64))
        self._queue: Tensor
        self._filled: Tensor

    def forward(self, given: LossInput) -> Tensor:
        """The scalar distance; the queue then takes the batch's embeddings."""
        z = given.views[self._view].z.flatten(0, 1)
        with torch.no_grad():
            poses = given.prior_poses
            if self._relation is not None:
                drawn = self._relation.draw((len(poses),), given.generator)
                moved = type(drawn)(drawn.matrix.to(poses), drawn.condition.to(poses))
                poses = self._relation.on_poses(poses, moved)
            real = self._parts.pose_prior.encode(poses)
        kept = self._queue[: int(self._filled)]
        scale = self._parts.scale.to(z)
        both = torch.cat([z, kept.to(z)]) / scale
        value = sliced_wasserstein(both, real / scale, self.config.projections, given.generator)
        self._remember(z.detach())
        return value

    @torch.no_grad()
    def _remember(self, z: Tensor) -> None:
        if self.config.queue:
            self._queue.copy_(torch.cat([z.to(self._queue), self._queue])[: self.config.queue])
            self._filled.fill_(min(int(self._filled) + len(z), self.config.queue))


def sliced_wasserstein(first: Tensor, second: Tensor, projections: int, generator: torch.Generator) -> Tensor:
    """Squared sliced Wasserstein-2 distance of two samples ``(N, D)`` and ``(M, D)``, per dimension of z.

    Each random direction's quantile functions are compared at the larger sample's levels. Zero for equal samples.
    """
    directions = torch.randn(first.shape[1], projections, generator=generator).to(first)
    directions = functional.normalize(directions, dim=0)
    a, b = (first @ directions).sort(dim=0).values, (second @ directions).sort(dim=0).values
    if len(a) != len(b):
        levels = max(len(a), len(b))
        a, b = _quantiles(a, levels), _quantiles(b, levels)
    return (a - b).square().mean()


def _quantiles(values: Tensor, levels: int) -> Tensor:
    """Sorted columns ``(N, P)`` interpolated at `levels` evenly spaced levels."""
    if len(values) == levels:
        return values
    place = torch.linspace(0, len(values) - 1, levels, device=values.device, dtype=values.dtype)
    low = place.floor().long().clamp(max=len(values) - 2)
    return torch.lerp(values[low], values[low + 1], (place - low)[:, None])
