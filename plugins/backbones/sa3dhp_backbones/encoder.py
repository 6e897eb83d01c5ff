"""Image encoders: a backbone and a head. The latent's meaning belongs to the pose prior."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_backbones.config import LatentEncoderConfig
from sa3dhp_core.protocols.encoder import Backbone
from sa3dhp_core.types import Encoding

Bound = Callable[[Tensor], Tensor]


def _dense(inputs: int, outputs: int, norm: str) -> tuple[nn.Module, ...]:
    layer = nn.BatchNorm1d(outputs) if norm == "batch" else nn.LayerNorm(outputs)
    return nn.Linear(inputs, outputs), layer, nn.ReLU(inplace=True)


def _last(inputs: int, latent: int) -> nn.Linear:
    """The layer before the bound, small at the start: first predictions are near the latent's middle."""
    layer = nn.Linear(inputs, latent)
    with torch.no_grad():
        layer.weight.mul_(0.1)
    return layer


class CompactHead(nn.Module):
    """Flattened map -> feature -> raw latent."""

    def __init__(self, channels: int, grid: int, feature: int, latent: int, norm: str) -> None:
        super().__init__()
        self.grid = grid
        self.lift = nn.Sequential(nn.Flatten(), *_dense(channels * grid * grid, feature, norm))
        self.project = nn.Sequential(*_dense(feature, feature, norm), _last(feature, latent))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, C, h, w)`` -> raw latent ``(N, latent)``, feature ``(N, feature)``."""
        if features.shape[-2:] != (self.grid, self.grid):
            features = nn.functional.adaptive_avg_pool2d(features, self.grid)
        feature = self.lift(features)
        return self.project(feature), feature


class PublishedHead(nn.Module):
    """The published head [C]: convolutions 512 (stride 2), 256, 128, 64, then 1024-512-256-128-latent."""

    def __init__(self, channels: int, grid: int, latent: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = channels
        for outputs, stride in ((512, 2), (256, 1), (128, 1), (64, 1)):
            layers += [nn.Conv2d(width, outputs, 3, stride=stride, padding=1), nn.ReLU(inplace=True)]
            width = outputs
        self.convolutions = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(grid), nn.Flatten())
        self.lift = nn.Sequential(nn.Linear(width * grid * grid, 1024), nn.ReLU(inplace=True))
        widths = (1024, 512, 256, 128)
        hidden = [m for a, b in zip(widths, widths[1:], strict=False) for m in (nn.Linear(a, b), nn.ReLU(inplace=True))]
        self.project = nn.Sequential(*hidden, nn.Linear(widths[-1], latent))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, C, h, w)`` -> raw latent ``(N, latent)``, feature ``(N, 1024)``."""
        feature = self.lift(self.convolutions(features))
        return self.project(feature), feature


class LatentEncoder(nn.Module):
    """`ImageEncoder`: ``(N, 3, H, W)`` in [0, 1] -> bounded z and the feature before the head's last layers."""

    def __init__(
        self, backbone: nn.Module, head: nn.Module, feature: int, bound: Bound, disc: bool, standardise: bool
    ) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.feature, self._bound, self._disc, self._standardise = feature, bound, disc, standardise

    @property
    def blocks(self) -> Mapping[str, nn.Module]:
        """The backbone's blocks and ``head``."""
        blocks: Mapping[str, nn.Module] = self.backbone.blocks  # type: ignore[assignment]
        return {**blocks, "head": self.head}

    def forward(self, images: Tensor) -> Encoding:
        """Encode frames one by one."""
        if self._disc or self._standardise:
            images = prepared(images, self._disc, self._standardise)
        raw, feature = self.head(self.backbone(images))
        return Encoding(self._bound(raw), feature)


def prepared(images: Tensor, disc: bool, standardise: bool, grey: float = 0.4) -> Tensor:
    """What the backbone sees of ``(N, 3, H, W)`` crops, each by itself.

    Args:
        images: in [0, 1].
        disc: replace what lies outside the inscribed disc by `grey`, so that a rotated crop has no telltale corners.
        standardise: give what is seen zero mean and unit deviation (all colours together), then add `grey`, which
            backbones subtract.
        grey: the neutral value.

    Computed in float32 at least; the result has the images' own dtype.
    """
    dtype = images.dtype
    images = images.to(torch.promote_types(dtype, torch.float32))
    inside = disc_mask(images) if disc else torch.ones_like(images[0, :1], dtype=torch.bool)
    if standardise:
        share = inside.to(images)
        count = 3 * share.sum()
        mean = (images * share).sum(dim=(1, 2, 3), keepdim=True) / count
        centred = images - mean
        deviation = ((centred.square() * share).sum(dim=(1, 2, 3), keepdim=True) / count).sqrt()
        images = centred / deviation.clamp_min(0.02) + grey
    return torch.where(inside, images, images.new_tensor(grey)).to(dtype)


def disc_mask(images: Tensor) -> Tensor:
    """``(1, H, W)``: whether a pixel's centre lies inside the inscribed disc."""
    height, width = images.shape[-2:]
    y = torch.linspace(-1 + 1 / height, 1 - 1 / height, height, device=images.device, dtype=torch.float32)
    x = torch.linspace(-1 + 1 / width, 1 - 1 / width, width, device=images.device, dtype=torch.float32)
    return ((x[None, :] ** 2 + y[:, None] ** 2) <= 1.0)[None]


def build_encoder(config: LatentEncoderConfig, *, backbone: Backbone, latent: int, bound: Bound) -> LatentEncoder:
    """Put a head on a backbone."""
    channels = backbone.channels
    head: Any
    if config.head == "published":
        head, feature = PublishedHead(channels, config.grid, latent), 1024
    else:
        feature = config.feature
        head = CompactHead(channels, config.grid, feature, latent, config.head_norm)
    module: nn.Module = backbone  # type: ignore[assignment]
    return LatentEncoder(module, head, feature, bound, config.disc, config.standardise)
