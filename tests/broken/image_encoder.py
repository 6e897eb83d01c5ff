"""Image encoders that each break one promise, beside some that keep all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.conformance import Subject
from sa3dhp_core.conformance.plain import PlainBackbone, bound
from sa3dhp_core.types import Encoding
from tests.broken.vision import FAULTS


class Pooled(nn.Module):
    """The mean of the map and one linear layer; a subclass breaks one thing."""

    def __init__(self, backbone: Any, latent: int, bound: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(backbone.channels, latent)
        self.feature, self._bound = backbone.channels, bound

    @property
    def blocks(self) -> Mapping[str, nn.Module]:
        return {**self.backbone.blocks, "head": self.head}

    def forward(self, images: Tensor) -> Encoding:
        feature = self.backbone(images).mean(dim=(-2, -1))
        return Encoding(self._bound(self.head(feature)), feature)


class Narrow(Pooled):
    """Leaves out a dimension."""

    def forward(self, images: Tensor) -> Encoding:
        z, feature = super().forward(images)
        return Encoding(z[:, 1:], feature)


class Unbounded(Pooled):
    """Forgets the bound."""

    def forward(self, images: Tensor) -> Encoding:
        feature = self.backbone(images).mean(dim=(-2, -1))
        return Encoding(self.head(feature), feature)


def subject(kind: type[Pooled], backbone: type[PlainBackbone] = PlainBackbone) -> Subject:
    """An encoder of this class on a backbone of that class."""

    def make(bench: object, latent: int = 12, bound: Callable[[Tensor], Tensor] = bound) -> Pooled:
        return kind(backbone(), latent, bound)

    return Subject("image_encoder", f"{kind.__name__}-{backbone.__name__}".lower(), make)


GOOD = [subject(Pooled), Subject.given(Pooled(PlainBackbone(), 7, torch.tanh), id="built")]
BROKEN = {
    "embeds-images": subject(Narrow),
    "ends-in-the-bound": subject(Unbounded),
    **{name: subject(Pooled, backbone) for name, backbone in FAULTS.items()},
}
