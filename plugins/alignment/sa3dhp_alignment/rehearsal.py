"""Rehearsal: labelled source images keep the encoder honest while it adapts."""

from __future__ import annotations

from torch import Tensor, nn

from sa3dhp_alignment.config import RehearsalConfig
from sa3dhp_core.protocols.alignment import LossInput, LossParts, View

POSE_SCALE_M = 0.1


class Rehearsal(nn.Module):
    """``mean ||D_p(G(x^s)) - y^s||`` in units of 0.1 m (METHOD 1.1.4), plus the latent's error in its scale."""

    needs_source = True
    views: tuple[View, ...] = ()
    window = 1

    def __init__(self, config: RehearsalConfig, *, parts: LossParts) -> None:
        super().__init__()
        self.weight, self.name, self._parts, self._latent = config.weight, config.name, parts, config.latent

    def forward(self, given: LossInput) -> Tensor:
        """The scalar loss."""
        assert given.source is not None and given.source_poses is not None
        prior = self._parts.pose_prior
        loss = (prior.decode(given.source.z) - given.source_poses).norm(dim=-1).mean() / POSE_SCALE_M
        if self._latent:
            difference = (given.source.z - prior.encode(given.source_poses)) / self._parts.scale.to(given.source.z)
            loss = loss + self._latent * difference.abs().mean()
        return loss
