"""Detectors that each break one promise, beside one that keeps all."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from sa3dhp_core.conformance import Subject
from sa3dhp_core.protocols.detection import Detections


class Bright:
    """One person where it is bright; a subclass breaks one thing."""

    threshold = 0.7

    def __call__(self, images: Tensor) -> Sequence[Detections]:
        return [self.one(image, self.threshold) for image in images]

    def one(self, image: Tensor, threshold: float) -> Detections:
        y, x = (image.mean(dim=0) >= threshold).nonzero().unbind(-1)
        if not len(x):
            return Detections(torch.zeros(0, 4), torch.zeros(0))
        box = torch.stack([x.min(), y.min(), x.max() - x.min() + 1, y.max() - y.min() + 1]).float()
        return Detections(torch.stack([box, box]), torch.tensor([0.9, 0.4]))


class Rising(Bright):
    """The surest comes last."""

    def one(self, image: Tensor, threshold: float) -> Detections:
        found = super().one(image, threshold)
        return attrs.evolve(found, scores=found.scores.flip(0))


class Comparing(Bright):
    """What is bright depends on the other images."""

    def __call__(self, images: Tensor) -> Sequence[Detections]:
        return [self.one(image, 0.4 * len(images)) for image in images]


class Normalising(Bright):
    """Works in the images that it was given."""

    def __call__(self, images: Tensor) -> Sequence[Detections]:
        return super().__call__(images.mul_(0.99))


def made(kind: type[Bright]) -> Subject:
    """A detector without claims."""
    return Subject("detector", kind.__name__.lower(), lambda bench, **parts: kind())


GOOD = [made(Bright)]
BROKEN = {
    "answers-for-each-image": made(Rising),
    "looks-at-each-image-alone": made(Comparing),
    "leaves-its-input-alone": made(Normalising),
}
