"""Scores of relations from embeddings of anchors and partners: how far from local a relation is (METHOD 1.3)."""

from __future__ import annotations

import attrs
from torch import Tensor

from sa3dhp_relations import config as keys


@attrs.frozen
class LatentDistanceScore:
    """``d = mean ||E(anchor) - E(partner)||``."""

    def __call__(self, anchor: Tensor, partner: Tensor) -> float:
        """Anchors and partners ``(N, width)`` -> d in latent units."""
        return float(_distances(anchor, partner).mean())


@attrs.frozen
class RelativeLatentDistanceScore:
    """The latent distance divided by that of random pairs of anchors: 0 is the identity, 1 an unrelated pose."""

    def __call__(self, anchor: Tensor, partner: Tensor) -> float:
        """Anchors and partners ``(N, width)``, N > 1; random pairs are anchors half the batch apart."""
        unrelated = _distances(anchor, anchor.roll(len(anchor) // 2, dims=0)).mean()
        if not float(unrelated) > 0:
            raise ValueError("a relative latent distance needs at least two different anchors")
        return float(_distances(anchor, partner).mean() / unrelated)


def _distances(anchor: Tensor, partner: Tensor) -> Tensor:
    if anchor.shape != partner.shape or anchor.dim() != 2:
        raise ValueError(f"anchors {tuple(anchor.shape)} and partners {tuple(partner.shape)} must both be (N, width)")
    return (anchor.double() - partner.double()).norm(dim=-1)


def latent_distance(config: keys.LatentDistance) -> LatentDistanceScore:
    """Target of the component `latent-distance`."""
    return LatentDistanceScore()


def relative_latent_distance(config: keys.RelativeLatentDistance) -> RelativeLatentDistanceScore:
    """Target of the component `relative-latent-distance`."""
    return RelativeLatentDistanceScore()
