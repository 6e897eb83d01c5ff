"""How likely a 2D pose is, learned from the training keypoints: what a pose may look like from another side.

A normalising flow of affine coupling layers (Dinh et al. 2017, "Density estimation using Real NVP") over principal
components, as Wandt et al. 2022, "ElePose", judge lifted poses from other sides. Size and place do not matter to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.protocols.keypoints import Keypoints
from sa3dhp_core.protocols.task import Relief, Update, halved
from sa3dhp_core.schedules import annealed_adamw
from sa3dhp_core.types import Shard, Skeleton
from sa3dhp_ites.config import DensityTraining
from sa3dhp_ites.units import Normaliser

LARGEST = 1.5
"""Bound of the logarithm of a coupling's scale."""


class Coupling(nn.Module):
    """Half of the components, in an order of its own, scale and shift the others."""

    order: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self._known = size // 2
        last = nn.Linear(width, 2 * (size - self._known))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.map = nn.Sequential(nn.Linear(self._known, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), last)
        self.register_buffer("order", torch.randperm(size))

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, K)`` to the same, and the logarithm ``(N,)`` of the volume's growth."""
        values = values[:, self.order]
        known, other = values[:, : self._known], values[:, self._known :]
        scale, shift = self.map(known).chunk(2, dim=1)
        scale = LARGEST * torch.tanh(scale / LARGEST)
        return torch.cat([other * scale.exp() + shift, known], dim=1), scale.sum(dim=1)


class PoseDensity(nn.Module):
    """Density of 2D poses, whatever their size and place.

    Args:
        skeleton: of the keypoints.
        config: sizes.
    """

    mean: Tensor
    whiten: Tensor

    def __init__(self, skeleton: Skeleton, config: DensityTraining) -> None:
        super().__init__()
        root = skeleton.index(skeleton.root)
        self._root, self._beside = root, [joint for joint in range(len(skeleton)) if joint != root]
        size = min(config.components, 2 * len(self._beside) - 1)
        self.register_buffer("mean", torch.zeros(2 * len(self._beside)))
        self.register_buffer("whiten", torch.zeros(2 * len(self._beside), size))
        self.layers = nn.ModuleList(Coupling(size, config.width) for _ in range(config.layers))

    def fit(self, points: Tensor) -> None:
        """Learn mean and principal components from ``(N, J, 2)`` poses."""
        shapes = self._shapes(points.double())
        mean, size = shapes.mean(dim=0), self.whiten.shape[1]
        _, spread, axes = torch.linalg.svd(shapes - mean, full_matrices=False)
        deviation = (spread[:size] / len(shapes) ** 0.5).clamp_min(1e-6)
        self.mean.copy_(mean)
        self.whiten.zero_()
        self.whiten[:, : len(deviation)].copy_(axes[:size].T / deviation)

    def components(self, points: Tensor) -> Tensor:
        """``(N, J, 2)`` poses to components ``(N, K)`` of spread 1."""
        return (self._shapes(points) - self.mean) @ self.whiten

    def surprise(self, components: Tensor) -> Tensor:
        """Negative logarithm ``(N,)`` of the density at components ``(N, K)``, up to a constant."""
        grown = components.new_zeros(len(components))
        for layer in self.layers:
            components, more = layer(components)
            grown = grown + more
        return 0.5 * components.square().sum(dim=1) - grown

    def forward(self, points: Tensor) -> Tensor:
        """How surprising ``(N,)`` are 2D poses ``(N, J, 2)``: `surprise` of their `components`."""
        return self.surprise(self.components(points))

    def _shapes(self, points: Tensor) -> Tensor:
        """Relative to the root, of mean square 1, without the root: ``(N, 2 (J - 1))``."""
        beside = (points - points[:, [self._root]])[:, self._beside].flatten(1)
        return beside / beside.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-6)


class DensityTask:
    """`Task`: likelihood of training poses and of their mirror images, with noise on their components.

    Args:
        density: trained; fitted here to the training split.
        units: fitted; what keypoints are seen through.
        data: the training split.
        keypoints: all of it, ``(N, J, 2)``.
        config: how.
    """

    clip_norm: float | None = 10.0
    ema: float | None = None
    sharded: tuple[str, ...] = ()

    def __init__(
        self, density: PoseDensity, units: Normaliser, data: Keypoints, keypoints: Tensor, config: DensityTraining
    ) -> None:
        self.steps, self._config, self._data, self._units = config.steps, config, data, units
        self.samples = config.batch
        self.modules: dict[str, nn.Module] = {"density": density}
        points = units(keypoints.to(units.scale))
        density.fit(torch.cat([points, mirrored(points, units.skeleton)]))

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        """AdamW, warmed up, decayed."""
        config = self._config
        weights = self.modules["density"].parameters()
        return {"density": annealed_adamw(weights, config.learning_rate, config.steps)}

    def reliefs(self) -> tuple[Relief | None, ...]:
        """The key that would make a step smaller."""
        return (halved("settings.density.batch", self._config.batch),)

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """One update a step."""
        return self.updates_from(self.draw(step, generator, shard), step, generator, shard)

    def draw(self, step: int, generator: torch.Generator, shard: Shard) -> Tensor:
        """Keypoints ``(B, J, 2)``, pixels."""
        return self._data.draw(self._config.batch, 1, generator)[:, 0]

    def updates_from(self, batch: Tensor, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """The update, of what `draw` gave."""
        density: Any = self.modules["density"]
        points = self._units(batch.to(self._units.scale))
        turn = (torch.rand(len(points), 1, 1, generator=generator) < 0.5).to(points.device)
        seen = density.components(torch.where(turn, mirrored(points, self._units.skeleton), points))
        noise = torch.randn(seen.shape, generator=generator).to(seen)
        surprise = density.surprise(seen + self._config.noise * noise).mean()
        yield Update("density", surprise, {"surprise": surprise.detach()})


def mirrored(points: Tensor, skeleton: Skeleton) -> Tensor:
    """2D poses ``(..., J, 2)`` as in a mirror, left and right exchanged."""
    return points[..., list(skeleton.mirror), :] * points.new_tensor([-1.0, 1.0])
