"""Relation scores that each break one promise, beside one that keeps all."""

from __future__ import annotations

import torch
from torch import Tensor

from sa3dhp_core.conformance import Subject


class Distance:
    """The mean distance; a subclass breaks one thing."""

    def __call__(self, anchor: Tensor, partner: Tensor) -> float:
        if anchor.shape != partner.shape:
            raise ValueError("shapes differ")
        return self.of(anchor.double(), partner.double())

    def of(self, anchor: Tensor, partner: Tensor) -> float:
        return float((anchor - partner).norm(dim=-1).mean())


class Boxed(Distance):
    """A tensor is no number."""

    def __call__(self, anchor: Tensor, partner: Tensor) -> float:
        return (anchor - partner).norm(dim=-1).mean()


class Raised(Distance):
    def of(self, anchor: Tensor, partner: Tensor) -> float:
        return super().of(anchor, partner) + 0.1


class Saturated(Distance):
    """Farther partners count less."""

    def of(self, anchor: Tensor, partner: Tensor) -> float:
        return float((anchor - partner).norm(dim=-1).mul(-1).exp().mul((anchor - partner).norm(dim=-1)).mean())


class Relative(Distance):
    """In units of the anchors' size alone; answers NaN where they have none."""

    def of(self, anchor: Tensor, partner: Tensor) -> float:
        return float((anchor - partner).norm(dim=-1).mean() / anchor.std(dim=0).norm())


class Broadcasting(Distance):
    def __call__(self, anchor: Tensor, partner: Tensor) -> float:
        return self.of(anchor, partner)


class Sampled(Distance):
    """Looks at some pairs, drawn anew each time."""

    def of(self, anchor: Tensor, partner: Tensor) -> float:
        some = torch.randperm(len(anchor))[: len(anchor) // 2 + 1]
        return super().of(anchor[some], partner[some])


def scored(kind: type[Distance], *claims: str) -> Subject:
    """A score with these claims."""
    return Subject.given(kind(), noun="relation_score", capabilities=claims)


GOOD = [scored(Distance, "symmetric")]
BROKEN = {
    "is-a-finite-number": scored(Boxed),
    "is-zero-where-nothing-moves": scored(Raised),
    "grows-with-distance": scored(Saturated),
    "is-symmetric": scored(Relative, "symmetric"),
    "refuses-shapes-that-differ": scored(Broadcasting),
    "never-answers-nan": scored(Relative),
    "answers-the-same-question-alike": scored(Sampled),
}
