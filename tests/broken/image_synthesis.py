"""Image syntheses that each break one promise, beside some that keep all."""

from __future__ import annotations

from typing import Any

import attrs
import torch
from torch import Tensor

from sa3dhp_core.components import Component
from sa3dhp_core.conformance import Subject
from sa3dhp_core.conformance.people import crops
from sa3dhp_core.types import LabelledBatch

PLACE = "tests.broken.image_synthesis"


class Tubes:
    """People of soft tubes; a subclass breaks one thing."""

    def __init__(self, config: Any, *, source: Any, generator: torch.Generator) -> None:
        self.skeleton, self.size = source.skeleton, source.draw(1, generator).images.shape[-1]

    def __call__(self, poses: Tensor, generator: torch.Generator) -> LabelledBatch:
        return crops(poses, self.size, self.skeleton)


class Glaring(Tubes):
    def __call__(self, poses: Tensor, generator: torch.Generator) -> LabelledBatch:
        batch = super().__call__(poses, generator)
        return attrs.evolve(batch, images=2 * batch.images)


class Shrinking(Tubes):
    """Its people are a tenth smaller than they were to be."""

    def __call__(self, poses: Tensor, generator: torch.Generator) -> LabelledBatch:
        return super().__call__(0.9 * poses, generator)


class Unturned(Tubes):
    """Poses of the first camera beside keypoints of the virtual one: the turn is forgotten."""

    def __call__(self, poses: Tensor, generator: torch.Generator) -> LabelledBatch:
        return attrs.evolve(super().__call__(poses, generator), poses=poses)


class Blind(Tubes):
    """The same grey for everyone."""

    def __call__(self, poses: Tensor, generator: torch.Generator) -> LabelledBatch:
        batch = super().__call__(poses, generator)
        return attrs.evolve(batch, images=torch.full_like(batch.images, 0.5))


class Restless(Tubes):
    """Noise from the global generator."""

    def __call__(self, poses: Tensor, generator: torch.Generator) -> LabelledBatch:
        batch = super().__call__(poses, generator)
        return attrs.evolve(batch, images=0.5 * batch.images + 0.5 * torch.rand(batch.images.shape))


class Overwriting(Tubes):
    def __call__(self, poses: Tensor, generator: torch.Generator) -> LabelledBatch:
        batch = super().__call__(poses.clone(), generator)
        poses.copy_(batch.poses)
        return batch


class Careless(Tubes):
    """Takes it that every image has keypoints."""

    def __init__(self, config: Any, *, source: Any, generator: torch.Generator) -> None:
        super().__init__(config, source=source, generator=generator)
        self.spread = source.draw(1, generator).keypoints.std()


def offered(kind: type[Tubes]) -> Subject:
    """A component with this target."""
    name = kind.__name__
    component = Component(
        "image_synthesis", name.lower(), "a part of the tests", "tests.broken.keys:Keys", f"{PLACE}:{name}"
    )
    return Subject.offered(component)


GOOD = [offered(Tubes)]
BROKEN = {
    "makes-labelled-images": offered(Glaring),
    "keeps-the-poses": offered(Shrinking),
    "projects-its-poses": offered(Unturned),
    "shows-the-poses": offered(Blind),
    "draws-from-its-generators-alone": offered(Restless),
    "leaves-its-input-alone": offered(Overwriting),
    "refuses-images-that-lack-something": offered(Careless),
}
