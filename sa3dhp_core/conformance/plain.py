"""Plain modules that need no plugin: a backbone, an exact pose prior and motion prior. Nothing here learns.

Components are built from them on the bench; tests of plugins may use them too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.no_training import NoTraining
from sa3dhp_core.protocols.task import Task
from sa3dhp_core.types import Skeleton

BOUND = 2.0
"""Embeddings of the bench lie in [-BOUND, BOUND]."""


def bound(raw: Tensor) -> Tensor:
    """``BOUND * tanh(raw / BOUND)``, elementwise: what embeddings of the bench end in."""
    return BOUND * torch.tanh(raw / BOUND)


class PlainBackbone(nn.Module):
    """Two convolutions; implements `sa3dhp_core.protocols.encoder.Backbone`."""

    channels = 16

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 5, stride=4, padding=2), nn.GELU())
        self.second = nn.Sequential(nn.Conv2d(8, self.channels, 3, stride=2, padding=1), nn.GELU())

    @property
    def blocks(self) -> Mapping[str, nn.Module]:
        """``first`` and ``second``."""
        return {"first": self.first, "second": self.second}

    def forward(self, images: Tensor) -> Tensor:
        """``(N, 3, H, W)`` in [0, 1] -> ``(N, 16, H / 8, W / 8)``."""
        features: Tensor = self.second(self.first(images - 0.5))
        return features


class PlainPosePrior(nn.Module):
    """``z = bound(Q y)`` with Q orthogonal: exact both ways; implements `sa3dhp_core.protocols.pose_prior.PosePrior`.

    y are the coordinates of all joints but the root.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        self.skeleton = skeleton
        self.latent = 3 * (len(skeleton) - 1)
        noise = torch.randn(self.latent, self.latent, generator=torch.Generator().manual_seed(0))
        self.basis = nn.Parameter(torch.linalg.qr(noise).Q, requires_grad=False)
        self._moved = [joint for joint in range(len(skeleton)) if joint != skeleton.index(skeleton.root)]

    def encode(self, poses: Tensor) -> Tensor:
        """``(..., J, 3)`` -> ``(..., 3 J - 3)``."""
        return self.bound(poses[..., self._moved, :].flatten(-2) @ self.basis.to(poses))

    def decode(self, z: Tensor) -> Tensor:
        """``(..., 3 J - 3)`` -> ``(..., J, 3)``."""
        raw = BOUND * torch.atanh((z / BOUND).clamp(-1 + 1e-6, 1 - 1e-6))
        moved = (raw @ self.basis.to(z).mT).unflatten(-1, (-1, 3))
        poses = z.new_zeros(*z.shape[:-1], len(self.skeleton), 3)
        poses[..., self._moved, :] = moved
        return poses

    def bound(self, raw: Tensor) -> Tensor:
        """As all embeddings of the bench."""
        return bound(raw)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """``(count, 3 J - 3)``: joints scattered about the root by 0.3 m."""
        return self.bound(0.3 * torch.randn(count, self.latent, generator=generator).to(self.basis))

    def task(self, draw: Any) -> Task:
        """Nothing to learn."""
        return NoTraining({"prior": self})


class PlainMotionPrior(nn.Module):
    """All cosine coefficients of the track of z: exact both ways; implements `protocols.motion_prior.MotionPrior`."""

    basis: Tensor

    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        self.frames, self.latent = frames, width * frames
        time, order = torch.arange(frames) + 0.5, torch.arange(frames)[:, None]
        basis = torch.cos(math.pi * order * time / frames) * math.sqrt(2 / frames)
        basis[0] /= math.sqrt(2)
        self.register_buffer("basis", basis)

    def encode(self, z: Tensor) -> Tensor:
        """``(..., T, D)`` -> ``(..., T D)``."""
        return (self.basis.to(z) @ z).flatten(-2)

    def decode(self, v: Tensor) -> Tensor:
        """``(..., T D)`` -> ``(..., T, D)``."""
        return self.basis.to(v).mT @ v.unflatten(-1, (self.frames, -1))

    def task(self, draw: Any) -> Task:
        """Nothing to learn."""
        return NoTraining({"prior": self})
