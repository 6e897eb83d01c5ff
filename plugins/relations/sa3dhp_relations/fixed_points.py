"""Fixed points of relation networks: embeddings that the networks move least, found by descent from the prior.

An encoder that answers every image with one of them satisfies the energies without having learned anything. Most of the
latent domain is no pose's embedding (six numbers that are no orientation, for example), and an encoder may answer there
too: so the least is sought among embeddings of poses and, apart from that, in the whole range of the prior.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.protocols.latent import TrainedLatent
from sa3dhp_core.protocols.selection import Residuals
from sa3dhp_core.types import WHOLE

STARTS, STEPS, RATE = 32, 60, 0.05
"""Samples of the prior that descend, for how long, and the first step in units of each dimension's range."""
RANGE, HELD_OUT, ELEMENTS = 2048, 256, 4
"""Samples that say how far the prior reaches, held-out poses, and elements that stand for a family."""


class FixedPoints:
    """Residuals of any set of a run's relations.

    A relation of poses sees ``x = z``; one of motions sees the embedding of the still motion of z, which stands still
    under every relation that fixes z.
    """

    def __init__(self, latent: TrainedLatent) -> None:
        self._latent = latent
        samples = latent.pose_prior.sample(RANGE, generator_for("fixed points", "range")).to(latent.device)
        self._low, self._span = samples.amin(dim=0), (samples.amax(dim=0) - samples.amin(dim=0)).clamp_min(1e-9)
        self._starts = (samples[:STARTS] - self._low) / self._span
        with torch.no_grad():
            poses = latent.poses(HELD_OUT, generator_for("fixed points", "poses"), WHOLE).to(latent.device)
            self._held_out = latent.pose_prior.encode(poses)
            kinds = {latent.relations[name].acts_on_time for name in latent.networks}
            self._unit = {moving: _spread(self._seen(self._held_out, moving)) for moving in kinds}
        self._told = {name: self._conditions(name) for name in latent.networks}

    def of(self, names: Sequence[str]) -> Residuals:
        """Of the mean over these relations, which have networks."""
        with torch.no_grad():
            mean = float(self._residual(self._held_out, names).mean())
        return Residuals(self._least(names, self._nearest_pose), self._least(names, lambda z: z), mean)

    def _least(self, names: Sequence[str], allowed: Callable[[Tensor], Tensor]) -> float:
        place = self._starts.clone().requires_grad_()
        optimizer = torch.optim.Adam([place], lr=RATE)
        fall = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, STEPS)
        least = float("inf")
        for _ in range(STEPS):
            optimizer.zero_grad()
            residual = self._residual(allowed(self._low + self._span * place), names)
            residual.sum().backward()  # starts are independent
            least = min(least, float(residual.detach().min()))
            optimizer.step()
            fall.step()
            with torch.no_grad():
                place.clamp_(0.0, 1.0)
        return least

    def _nearest_pose(self, z: Tensor) -> Tensor:
        prior = self._latent.pose_prior
        return prior.encode(prior.decode(z))

    def _residual(self, z: Tensor, names: Sequence[str]) -> Tensor:
        """Mean over relations and their elements, ``(N, D)`` -> ``(N,)``."""
        return torch.stack([self._one(z, name) for name in names]).mean(dim=0)

    def _one(self, z: Tensor, name: str) -> Tensor:
        moving, told = self._latent.relations[name].acts_on_time, self._told[name]
        seen = self._seen(z, moving)
        seen, told = seen.expand(len(told), *seen.shape), told[:, None].expand(-1, len(seen), -1)
        return (self._latent.networks[name](seen, told) - seen).norm(dim=-1).mean(dim=0) / self._unit[moving]

    def _seen(self, z: Tensor, moving: bool) -> Tensor:
        if not moving:
            return z
        assert self._latent.motion_prior is not None
        still = z[..., None, :].expand(*z.shape[:-1], self._latent.frames, z.shape[-1])
        return self._latent.motion_prior.encode(still)

    def _conditions(self, name: str) -> Tensor:
        relation = self._latent.relations[name]
        drawn = relation.draw((ELEMENTS if relation.condition else 1,), generator_for("fixed points", name))
        return drawn.condition.to(self._latent.device)


def _spread(embeddings: Tensor) -> float:
    """Mean distance of random pairs of ``(N, D)``."""
    half = len(embeddings) // 2
    return float((embeddings[:half] - embeddings[half : 2 * half]).norm(dim=-1).mean())
