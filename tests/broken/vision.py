"""Modules of images that each break one promise: what broken backbones and broken image encoders are made of."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sa3dhp_core.conformance.plain import PlainBackbone


class Faulty(PlainBackbone):
    """Keeps everything; a subclass breaks one thing."""


class Averaging(Faulty):
    """Normalises by the batch in evaluation mode too."""

    def forward(self, images: Tensor) -> Tensor:
        features = super().forward(images)
        return features - features.mean(dim=0, keepdim=True) * 0.1 if len(features) > 1 else features


class Squeezing(Faulty):
    """Drops the axis of a batch of one."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).squeeze(0)


class Rough(Faulty):
    """Takes the difference of large numbers."""

    def forward(self, images: Tensor) -> Tensor:
        first = self.first(images - 0.5)
        return self.second(first + 50.0) - self.second(torch.full_like(first, 50.0))


class Branching(Faulty):
    """Decides by numbers, in Python, on its way: cannot be exported."""

    def forward(self, images: Tensor) -> Tensor:
        features = super().forward(images)
        return features if float(features.detach().sum()) > 0 else -features


class Detached(Faulty):
    """Its first block gets no gradient."""

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.second(self.first(images - 0.5).detach())
        return features


class Forgetful(Faulty):
    """A part of what it has become is in no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = float(torch.rand(()))

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + self.seen


class Homeless(Faulty):
    """A parameter that no block holds."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        return self.gain * super().forward(images)


class Noisy(Faulty):
    """Adds noise in evaluation mode."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + 1e-3 * torch.randn(())


class InPlace(Faulty):
    """Normalises the images where they lie."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.sub_(0.1))


class Flattening(Faulty):
    """Reads memory as if it knew its order."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.as_strided(images.shape, torch.empty(images.shape).stride()))


class Misnumbered(Faulty):
    """States other channels than it has."""

    channels = 16

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images)[:, :-1]


FAULTS: Mapping[str, type[Faulty]] = {
    "looks-at-each-image-alone": Averaging,
    "takes-any-batch-size": Squeezing,
    "computes-under-autocast": Rough,
    "exports": Branching,
    "passes-gradients": Detached,
    "keeps-its-state": Forgetful,
    "names-its-blocks": Homeless,
    "draws-nothing-in-evaluation": Noisy,
    "leaves-its-input-alone": InPlace,
    "takes-either-layout": Flattening,
}
"""For every check that backbones and encoders share, a backbone that breaks it."""
