"""Relation networks that each break one promise, beside some that keep all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance import Subject
from sa3dhp_core.conformance.nouns.relation_network import parts
from sa3dhp_core.conformance.plain import PlainPosePrior
from sa3dhp_core.no_training import NoTraining
from sa3dhp_core.protocols.task import Task
from sa3dhp_core.types import WHOLE
from tests.broken.learning import Impatient, Learning, Misnaming, Restless

BODY = skeleton()
CLAIMS = frozenset({"conditioned", "motions"})


class Faulty(nn.Module):
    """``bound((A + B c) z)``, begun as nothing; a subclass breaks one thing."""

    lesson: type[Learning] = Learning

    def __init__(self, width: int, condition: int, bound: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.bound = bound
        self.plain = nn.Linear(width, width)
        self.told = nn.Linear(condition * width, width, bias=False)
        nn.init.zeros_(self.told.weight)

    def forward(self, embedding: Tensor, condition: Tensor) -> Tensor:
        crossed = (condition[..., :, None] * embedding[..., None, :]).flatten(-2)
        return self.bound(self.plain(embedding) + self.told(crossed))

    def task(self, relation: Any, pose_prior: Any, motion_prior: Any, draw: Any, frames: int) -> Task:
        def encoded(poses: Tensor) -> Tensor:
            z = pose_prior.encode(poses)
            return z if motion_prior is None else motion_prior.encode(z)

        def loss(generator: torch.Generator) -> Tensor:
            batch = draw(16, generator, WHOLE) if motion_prior is None else draw(16, frames, generator, WHOLE)
            spatial = relation.draw((16,), generator)
            order = list(relation.temporal(frames).partner)
            partner = relation.on_poses(batch if motion_prior is None else batch[:, order], spatial)
            return (self(encoded(batch), spatial.condition) - encoded(partner)).square().mean()

        task = self.lesson("network", self, loss)
        task.steps = 40
        return task


class Folding(Faulty):
    """Forgets all leading axes but one."""

    def forward(self, embedding: Tensor, condition: Tensor) -> Tensor:
        return super().forward(embedding.flatten(0, -2), condition.flatten(0, -2))


class Familiar(Faulty):
    """Knows families alone."""

    def forward(self, embedding: Tensor, condition: Tensor) -> Tensor:
        return super().forward(embedding, condition / condition[..., :1].detach().abs().clamp_min(1.0).amax())


class Posed(Faulty):
    """Knows poses alone, though it says otherwise."""

    def task(self, relation: Any, pose_prior: Any, motion_prior: Any, draw: Any, frames: int) -> Task:
        return super().task(relation, pose_prior, None, draw, frames)


class Unbounded(Faulty):
    """Forgets the bound."""

    def __init__(self, width: int, condition: int, bound: Callable[[Tensor], Tensor]) -> None:
        super().__init__(width, condition, nn.Identity())


class Stubborn(Faulty):
    """Does not listen to the condition."""

    def forward(self, embedding: Tensor, condition: Tensor) -> Tensor:
        return super().forward(embedding, torch.ones_like(condition))


class Contrary(Faulty):
    """Learns the opposite."""

    def task(self, relation: Any, pose_prior: Any, motion_prior: Any, draw: Any, frames: int) -> Task:
        task: Any = super().task(relation, pose_prior, motion_prior, draw, frames)
        forward = task._loss
        task._loss = lambda generator: -forward(generator)
        return task


class Detached(Faulty):
    """One of its layers learns nothing."""

    def forward(self, embedding: Tensor, condition: Tensor) -> Tensor:
        crossed = (condition[..., :, None] * embedding[..., None, :]).flatten(-2)
        return self.bound(self.plain(embedding) + self.told(crossed).detach())


class Numb(Faulty):
    """Passes no gradient to the embedding."""

    def forward(self, embedding: Tensor, condition: Tensor) -> Tensor:
        return super().forward(embedding.detach(), condition)


class Untold(Faulty):
    """What it became is in no buffer."""

    def __init__(self, width: int, condition: int, bound: Callable[[Tensor], Tensor]) -> None:
        super().__init__(width, condition, bound)
        self.offset = float(torch.rand(()))

    def forward(self, embedding: Tensor, condition: Tensor) -> Tensor:
        return super().forward(embedding + self.offset, condition)


class Meddling(Faulty):
    """Teaches the pose prior too."""

    def task(self, relation: Any, pose_prior: Any, motion_prior: Any, draw: Any, frames: int) -> Task:
        pose_prior.requires_grad_(True)
        return super().task(relation, pose_prior, motion_prior, draw, frames)


class Unmoved(nn.Module):
    """The identity: learns nothing and honours no condition, and claims neither."""

    def forward(self, embedding: Tensor, condition: Tensor) -> Tensor:
        return embedding

    def task(self, relation: Any, pose_prior: Any, motion_prior: Any, draw: Any, frames: int) -> Task:
        return NoTraining({"network": self})


def network(kind: type[Faulty], lesson: type[Learning] = Learning) -> Subject:
    """A subject of this class that learns in this way."""

    def make(bench: Any, **given: Any) -> Faulty:
        wanted = {**parts(bench, {}), **given}
        made = kind(wanted["width"], wanted["condition"], wanted["bound"])
        made.lesson = lesson
        return made

    return Subject("relation_network", f"{kind.__name__}-{lesson.__name__}".lower(), make, CLAIMS)


GOOD = [
    network(Faulty),
    Subject.given(Unmoved()),
    Subject.given(Faulty(PlainPosePrior(BODY).latent, 9, PlainPosePrior(BODY).bound), id="given"),
]
BROKEN = {
    "maps-embeddings": network(Folding),
    "learns-single-elements": network(Familiar),
    "learns-motions": network(Posed),
    "stays-in-the-domain": network(Unbounded),
    "honours-the-condition": network(Stubborn),
    "learns-what-it-is-shown": network(Contrary),
    "passes-gradients": network(Detached),
    "maps-without-side-effects": network(Numb),
    "brings-a-task": network(Faulty, Misnaming),
    "trains-alike-twice": network(Faulty, Restless),
    "keeps-its-state": network(Untold),
    "leaves-frozen-parts-alone": network(Meddling),
}
MORE = [("brings-a-task", network(Faulty, Impatient))]
"""Further ways to break a promise that has several sides."""
