"""Motion priors: sequences of pose embeddings to one motion embedding and back.

Component target: ``target(config, pose_prior=PosePrior, frames=int) -> MotionPrior``. The pose prior is frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from sa3dhp_core.protocols.task import Task
from sa3dhp_core.types import Shard

SequenceDraw = Callable[[int, int, torch.Generator, Shard], Tensor]
"""``draw(count, frames, generator, shard) -> (B, T, J, 3)`` root-relative camera-frame pose sequences."""


@runtime_checkable
class MotionPrior(Protocol):
    """A `torch.nn.Module` that embeds sequences of z.

    Attributes:
        latent: width of v.
        frames: sequence length T.
    """

    latent: int
    frames: int

    def encode(self, z: Tensor) -> Tensor:
        """``(..., T, D)`` -> ``(..., latent)``."""
        ...

    def decode(self, v: Tensor) -> Tensor:
        """``(..., latent)`` -> ``(..., T, D)``."""
        ...

    def task(self, draw: SequenceDraw) -> Task:
        """How it is trained on unpaired motion."""
        ...
