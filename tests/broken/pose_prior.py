"""Pose priors that each break one promise, beside some that keep all."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance import Subject
from sa3dhp_core.conformance.plain import BOUND, PlainPosePrior
from sa3dhp_core.protocols.task import Task
from sa3dhp_core.types import WHOLE, Skeleton
from tests.broken.learning import Global, Impatient, Learning, Misnaming, Restless

BODY = skeleton()


class Faulty(PlainPosePrior):
    """Learns how large a pose is; a subclass breaks one thing."""

    lesson: type[Learning] = Learning

    def __init__(self, body: Skeleton) -> None:
        super().__init__(body)
        self.gain = nn.Parameter(1.0 + 0.01 * torch.rand(()))

    def decode(self, z: Tensor) -> Tensor:
        return self.gain * super().decode(z)

    def task(self, draw: Any) -> Task:
        def loss(generator: torch.Generator) -> Tensor:
            poses = draw(8, generator, WHOLE)
            return (self.decode(self.encode(poses)) - poses).norm(dim=-1).mean()

        return self.lesson("prior", self, loss)


class Widthless(Faulty):
    def __init__(self, body: Skeleton) -> None:
        super().__init__(body)
        self.latent = 0


class Flat(Faulty):
    """Has one leading axis, whatever it was given."""

    def encode(self, poses: Tensor) -> Tensor:
        return super().encode(poses).flatten(0, -2)


class Unbounded(Faulty):
    def bound(self, raw: Tensor) -> Tensor:
        return raw


class Straying(Faulty):
    """Encodes a little more than its domain."""

    def encode(self, poses: Tensor) -> Tensor:
        return 1.2 * BOUND * poses[..., self._moved, :].flatten(-2).sign()


class Bursting(Faulty):
    """Its decoder is infinite at the edge."""

    def decode(self, z: Tensor) -> Tensor:
        return super().decode(z) / (1 - (z.abs().amax(-1) / BOUND >= 1).to(z))[..., None, None]


class Drifting(Faulty):
    """Its root wanders."""

    def decode(self, z: Tensor) -> Tensor:
        return super().decode(z) + 0.01


class Forgetful(Faulty):
    """Samples from the global generator."""

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        return self.bound(torch.randn(count, self.latent))


class Detached(Faulty):
    def encode(self, poses: Tensor) -> Tensor:
        return super().encode(poses.detach())


class InPlace(Faulty):
    def encode(self, poses: Tensor) -> Tensor:
        return super().encode(poses.detach().mul_(1.1) * (poses / poses.detach().clamp_min(1e-9)))


class Shrinking(Faulty):
    """A tenth smaller, and that is not learned."""

    def encode(self, poses: Tensor) -> Tensor:
        return super().encode(0.9 * poses)


class Untold(Faulty):
    """What it became is in no buffer."""

    def __init__(self, body: Skeleton) -> None:
        super().__init__(body)
        self.offset = float(torch.rand(()))

    def encode(self, poses: Tensor) -> Tensor:
        return self.bound(super().encode(poses) + self.offset)


def prior(kind: type[Faulty], lesson: type[Learning] = Learning, **claims: Any) -> Subject:
    """A subject of this class that learns in this way."""

    def make(bench: object, skeleton: Skeleton = BODY) -> Faulty:
        made = kind(skeleton)
        made.lesson = lesson
        return made

    return Subject("pose_prior", f"{kind.__name__}-{lesson.__name__}".lower(), make, **claims)


GOOD = [
    prior(Faulty, figures={"round-trip-mm": 20.0}),
    Subject.given(PlainPosePrior(BODY), figures={"round-trip-mm": 1.0}),
]
BROKEN = {
    "has-the-attributes": prior(Widthless),
    "keeps-leading-axes": prior(Flat),
    "bounds-anything": prior(Unbounded),
    "stays-in-its-domain": prior(Straying),
    "decodes-its-whole-domain": prior(Drifting),
    "samples-from-its-generator-alone": prior(Forgetful),
    "maps-without-side-effects": prior(Detached),
    "comes-back-within-its-figure": prior(Shrinking, figures={"round-trip-mm": 20.0}),
    "decodes-constant-bones": prior(Faulty, capabilities=frozenset({"constant-bone-lengths"})),
    "samples-what-a-body-can-do": prior(Faulty, figures={"anatomical-rate": 0.9}),
    "brings-a-task": prior(Faulty, Misnaming),
    "trains-alike-twice": prior(Faulty, Restless),
    "keeps-its-state": prior(Untold),
}
MORE = [
    ("brings-a-task", prior(Faulty, Impatient)),
    ("trains-alike-twice", prior(Faulty, Global)),
    ("decodes-its-whole-domain", prior(Bursting)),
    ("maps-without-side-effects", prior(InPlace)),
]
"""Further ways to break a promise that has several sides."""
