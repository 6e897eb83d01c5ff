"""A residual CNN for small crops. Knows nothing of poses."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from sa3dhp_backbones.config import SmallCnnConfig


def _norm(kind: str, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.GroupNorm(8, channels)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; halves the size."""

    def __init__(self, inputs: int, outputs: int, norm: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            _norm(norm, outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            _norm(norm, outputs),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), _norm(norm, outputs))
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """``(N, C, h, w)`` -> ``(N, C', h/2, w/2)``."""
        return self.activation(self.body(features) + self.shortcut(features))


class SmallCnn(nn.Module):
    """`Backbone`: images ``(N, 3, H, W)`` in [0, 1] -> ``(N, widths[-1], H/2^n, W/2^n)``."""

    def __init__(self, config: SmallCnnConfig) -> None:
        super().__init__()
        first, *rest = config.widths
        stem = nn.Sequential(
            nn.Conv2d(3, first, 5, stride=config.stem_stride, padding=2, bias=False),
            _norm(config.norm, first),
            nn.ReLU(inplace=True),
        )
        layers: dict[str, nn.Module] = {"res1": stem}
        width = first
        for number, outputs in enumerate(rest, start=2):
            layers[f"res{number}"] = ResidualBlock(width, outputs, config.norm)
            width = outputs
        self.layers = nn.ModuleDict(layers)
        self.channels = width

    @property
    def blocks(self) -> Mapping[str, nn.Module]:
        """Blocks by name, from input to output."""
        return dict(self.layers.items())

    def forward(self, images: Tensor) -> Tensor:
        """Images in [0, 1] to a feature map."""
        features = images - 0.4
        for layer in self.layers.values():
            features = layer(features)
        return features
