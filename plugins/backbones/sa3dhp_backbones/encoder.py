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


class CompactHead(nn.Module):
    """Flattened map -> feature -> raw latent."""

    def __init__(self, channels: int, grid: int, feature: int, latent: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(grid)
        self.lift = nn.Sequential(nn.Flatten(), nn.Linear(channels * grid * grid, feature), nn.ReLU(inplace=True))
        self.project = nn.Sequential(nn.Linear(feature, feature), nn.ReLU(inplace=True), nn.Linear(feature, latent))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, C, h, w)`` -> raw latent ``(N, latent)``, feature ``(N, feature)``."""
        feature = self.lift(self.pool(features))
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

    def __init__(self, backbone: nn.Module, head: nn.Module, feature: int, bound: Bound, disc: bool) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.feature, self._bound, self._disc = feature, bound, disc

    @property
    def blocks(self) -> Mapping[str, nn.Module]:
        """The backbone's blocks and ``head``."""
        blocks: Mapping[str, nn.Module] = self.backbone.blocks  # type: ignore[assignment]
        return {**blocks, "head": self.head}

    def forward(self, images: Tensor) -> Encoding:
        """Encode frames one by one."""
        if self._disc:
            images = inside_disc(images)
        raw, feature = self.head(self.backbone(images.contiguous(memory_format=torch.channels_last)))
        return Encoding(self._bound(raw), feature)


def inside_disc(images: Tensor, grey: float = 0.4) -> Tensor:
    """Replace what lies outside the inscribed disc of ``(N, 3, H, W)`` crops by grey."""
    height, width = images.shape[-2:]
    y = torch.linspace(-1 + 1 / height, 1 - 1 / height, height, device=images.device)
    x = torch.linspace(-1 + 1 / width, 1 - 1 / width, width, device=images.device)
    inside = (x[None, :] ** 2 + y[:, None] ** 2) <= 1.0
    return torch.where(inside, images, images.new_tensor(grey))


def build_encoder(config: LatentEncoderConfig, *, backbone: Backbone, latent: int, bound: Bound) -> LatentEncoder:
    """Put a head on a backbone."""
    channels = backbone.channels
    head: Any
    if config.head == "published":
        head, feature = PublishedHead(channels, config.grid, latent), 1024
    else:
        head, feature = CompactHead(channels, config.grid, config.feature, latent), config.feature
    module: nn.Module = backbone  # type: ignore[assignment]
    return LatentEncoder(module, head, feature, bound, config.disc)
