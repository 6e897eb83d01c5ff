"""Pose priors: pose to embedding and back.

Component target: ``target(config, skeleton=Skeleton) -> PosePrior``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from sa3dhp_core.protocols.task import Task
from sa3dhp_core.types import Shard, Skeleton

PoseDraw = Callable[[int, torch.Generator, Shard], Tensor]
"""``draw(count, generator, shard) -> (B, J, 3)`` root-relative camera-frame poses."""


@runtime_checkable
class PosePrior(Protocol):
    """A `torch.nn.Module` that embeds poses in a bounded latent space.

    Attributes:
        latent: width of z.
        skeleton: the skeleton of its poses.
    """

    latent: int
    skeleton: Skeleton

    def encode(self, poses: Tensor) -> Tensor:
        """``(..., J, 3)`` metres, root-relative, camera frame -> ``(..., latent)``."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """``(..., latent)`` -> ``(..., J, 3)``; bone lengths constant where the capability says so."""
        ...

    def bound(self, raw: Tensor) -> Tensor:
        """Squash any real ``(..., latent)`` into the latent domain, a box; image encoders end in it."""
        ...

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """``(count, latent)`` from the prior distribution."""
        ...

    def task(self, draw: PoseDraw) -> Task:
        """How it is trained on unpaired poses."""
        ...
