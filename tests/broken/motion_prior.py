"""Motion priors that each break one promise, beside some that keep all."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance import Subject
from sa3dhp_core.conformance.nouns.motion_prior import FRAMES
from sa3dhp_core.conformance.plain import PlainMotionPrior, PlainPosePrior
from sa3dhp_core.protocols.task import Task
from sa3dhp_core.types import WHOLE
from tests.broken.learning import Global, Impatient, Learning, Misnaming, Restless

BODY = skeleton()


class Faulty(PlainMotionPrior):
    """Learns how large a motion is; a subclass breaks one thing."""

    lesson: type[Learning] = Learning

    def __init__(self, pose_prior: PlainPosePrior, frames: int) -> None:
        super().__init__(pose_prior.latent, frames)
        self.given = (pose_prior,)
        self.gain = nn.Parameter(1.0 + 0.01 * torch.rand(()))

    def decode(self, v: Tensor) -> Tensor:
        return self.gain * super().decode(v)

    def task(self, draw: Any) -> Task:
        def loss(generator: torch.Generator) -> Tensor:
            z = self.given[0].encode(draw(4, self.frames, generator, WHOLE))
            return (self.decode(self.encode(z)) - z).abs().mean()

        return self.lesson("prior", self, loss)


class Deaf(Faulty):
    """Has its own idea of how long sequences are."""

    def __init__(self, pose_prior: PlainPosePrior, frames: int) -> None:
        super().__init__(pose_prior, FRAMES)


class Mixing(Faulty):
    """A sequence's v depends on the others."""

    def encode(self, z: Tensor) -> Tensor:
        v = super().encode(z)
        return v - 0.1 * v.mean(dim=0) if v.ndim > 1 else v


class Straying(Faulty):
    """Says that v lies between -1 and 1."""

    def bound(self, raw: Tensor) -> Tensor:
        return torch.tanh(raw)


class Detached(Faulty):
    def encode(self, z: Tensor) -> Tensor:
        return super().encode(z.detach())


class Noisy(Faulty):
    """Adds noise wherever it is used."""

    def decode(self, v: Tensor) -> Tensor:
        return super().decode(v) + 1e-3 * torch.randn(())


class Shrinking(Faulty):
    """A tenth smaller, and that is not learned."""

    def encode(self, z: Tensor) -> Tensor:
        return super().encode(0.9 * z)


class Untold(Faulty):
    """What it became is in no buffer."""

    def __init__(self, pose_prior: PlainPosePrior, frames: int) -> None:
        super().__init__(pose_prior, frames)
        self.offset = float(torch.rand(()))

    def encode(self, z: Tensor) -> Tensor:
        return super().encode(z) + self.offset


class Meddling(Faulty):
    """Teaches the pose prior too."""

    def task(self, draw: Any) -> Task:
        self.given[0].requires_grad_(True)
        return super().task(draw)


def prior(kind: type[Faulty], lesson: type[Learning] = Learning, **claims: Any) -> Subject:
    """A subject of this class that learns in this way."""

    def make(bench: object, pose_prior: PlainPosePrior | None = None, frames: int = FRAMES) -> Faulty:
        made = kind(pose_prior or PlainPosePrior(BODY), frames)
        made.lesson = lesson
        return made

    return Subject("motion_prior", f"{kind.__name__}-{lesson.__name__}".lower(), make, **claims)


GOOD = [
    prior(Faulty, figures={"round-trip-mm": 20.0}),
    Subject.given(PlainMotionPrior(PlainPosePrior(BODY).latent, 9), figures={"round-trip-mm": 1.0}),
]
BROKEN = {
    "has-the-attributes": prior(Deaf),
    "keeps-leading-axes": prior(Mixing),
    "stays-in-its-domain": prior(Straying),
    "maps-without-side-effects": prior(Detached),
    "comes-back-within-its-figure": prior(Shrinking, figures={"round-trip-mm": 20.0}),
    "brings-a-task": prior(Faulty, Misnaming),
    "trains-alike-twice": prior(Faulty, Restless),
    "keeps-its-state": prior(Untold),
    "leaves-frozen-parts-alone": prior(Meddling),
}
MORE = [
    ("brings-a-task", prior(Faulty, Impatient)),
    ("trains-alike-twice", prior(Faulty, Global)),
    ("maps-without-side-effects", prior(Noisy)),
]
"""Further ways to break a promise that has several sides."""
