"""Supervision beside the relations: rehearsed source images, and what an earlier encoder saw in the target."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from sa3dhp_alignment.config import RehearsalConfig
from sa3dhp_alignment.relational import POSE_SCALE_M
from sa3dhp_core.protocols.alignment import LossInput, LossParts, View


class _Supervision(nn.Module):
    """``mean ||D_p(G(x)) - y||`` in units of 0.1 m (METHOD 1.1.4), plus the latent's error in its scale."""

    labelled: ClassVar[tuple[str, ...]]
    views: tuple[View, ...] = ()
    window = 1

    def __init__(self, config: RehearsalConfig, *, parts: LossParts) -> None:
        super().__init__()
        self.weight, self.name, self._parts, self._latent = config.weight, config.name, parts, config.latent

    def forward(self, given: LossInput) -> Tensor:
        """The scalar loss."""
        (images,) = self.labelled
        z, poses = given.labelled[images].encoding.z, given.labelled[images].poses
        prior = self._parts.pose_prior
        loss = (prior.decode(z) - poses).norm(dim=-1).mean() / POSE_SCALE_M
        if self._latent:
            difference = (z - prior.encode(poses)) / self._parts.scale.to(z)
            loss = loss + self._latent * difference.abs().mean()
        return loss


class Rehearsal(_Supervision):
    """On labelled source images, which keep the encoder honest while it adapts."""

    labelled = ("source",)


class Distillation(_Supervision):
    """On target frames, towards the poses that the row's first encoder saw there, averaged over mirror and time.

    Averages of a clip's predictions are better than any one of them, and the encoder, which sees single frames, cannot
    learn their noise by heart: what it learns is what they agree on.
    """

    labelled = ("tracks",)
