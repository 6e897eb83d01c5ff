"""Rehearsal: labelled source images keep the encoder honest while it adapts."""

from __future__ import annotations

from torch import Tensor, nn

from sa3dhp_alignment.config import RehearsalConfig
from sa3dhp_core.protocols.alignment import LossInput, LossParts, View

POSE_SCALE_M = 0.1


class Rehearsal(nn.Module):
    """``mean |D_p(G(x^s)) - y^s|`` in units of 0.1 m (METHOD 1.1.4)."""

    needs_source = True
    views: tuple[View, ...] = ()
    window = 1

    def __init__(self, config: RehearsalConfig, *, parts: LossParts) -> None:
        super().__init__()
        self.weight, self.name, self._parts = config.weight, config.name, parts

    def forward(self, given: LossInput) -> Tensor:
        """The scalar loss."""
        assert given.source is not None and given.source_poses is not None
        return (self._parts.pose_prior.decode(given.source.z) - given.source_poses).abs().mean() / POSE_SCALE_M
