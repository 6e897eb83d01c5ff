"""A motion auto-encoder on the cosine coefficients of the latent track: smooth by construction."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.protocols.motion_prior import SequenceDraw
from sa3dhp_core.protocols.pose_prior import PosePrior
from sa3dhp_core.protocols.task import Task
from sa3dhp_core.schedules import annealed_adamw
from sa3dhp_priors import config as keys
from sa3dhp_priors.motion_task import MotionTask, mean_distance
from sa3dhp_priors.networks import LinearResidual
from sa3dhp_priors.start import principal_map, regression


def cosine_basis(frames: int, coefficients: int) -> Tensor:
    """Orthonormal DCT-II basis ``(frames, coefficients)``, lowest frequency first."""
    time = (torch.arange(frames, dtype=torch.float64) + 0.5) * math.pi / frames
    basis = torch.cos(time[:, None] * torch.arange(coefficients, dtype=torch.float64))
    return (basis / basis.norm(dim=0)).float()


class DctMotionPrior(nn.Module):
    """Sequences of z to v and back; implements `sa3dhp_core.protocols.motion_prior.MotionPrior`.

    Args:
        pose_prior: frozen; not saved with this module.
        frames: sequence length T.
        training: recipe keys.
    """

    basis: Tensor

    def __init__(self, pose_prior: PosePrior, frames: int, training: keys.MotionDct) -> None:
        super().__init__()
        self.latent, self.frames = training.latent, frames
        self._pose_prior, self._training, self._bound = (pose_prior,), training, training.bound
        kept = min(frames, training.coefficients)
        self.register_buffer("basis", cosine_basis(frames, kept), persistent=False)
        track = kept * pose_prior.latent
        self.encoder = LinearResidual(track, self.latent, training.hidden, training.layers)
        self.decoder = LinearResidual(self.latent, track, training.hidden, training.layers)

    def encode(self, z: Tensor) -> Tensor:
        """``(..., T, D)`` -> ``(..., latent)``."""
        return self._bound * torch.tanh(self.encoder(self._coefficients(z)))

    def decode(self, v: Tensor) -> Tensor:
        """``(..., latent)`` -> ``(..., T, D)``, within the pose prior's domain."""
        coefficients = self.decoder(v / self._bound).unflatten(-1, (self.basis.shape[1], -1))
        z = self.basis @ coefficients
        edge = self._pose_prior[0].bound(torch.full_like(z[..., :1, :], 1e6))
        return torch.maximum(torch.minimum(z, edge), -edge)

    def _coefficients(self, z: Tensor) -> Tensor:
        return (self.basis.T @ z).flatten(-2)

    @torch.no_grad()
    def start(self, z: Tensor) -> None:
        """Begin with the principal components of ``(N, T, D)`` sequences."""
        tracks = self._coefficients(z)
        effect = pose_effect(self._pose_prior[0], z[:, 0]).repeat(self.basis.shape[1])
        weight = effect[:, None] * principal_map(tracks * effect, self.latent, self._training.whitening)
        self.encoder.start(tracks, weight, torch.zeros(self.latent))
        v = torch.tanh((tracks - tracks.mean(dim=0)) @ weight)
        self.decoder.start(v, *regression(v, self._coefficients(z)))

    def task(self, draw: SequenceDraw) -> Task:
        """How it is trained on unpaired motion."""
        config = self._training
        return MotionTask(
            self,
            self._pose_prior[0],
            draw,
            self._optimizer,
            config.steps,
            config.batch,
            config.latent_weight,
            min(self.frames, config.decode_every),
            mean_distance,
        )

    def _optimizer(self) -> tuple[torch.optim.Optimizer, Any]:
        return annealed_adamw(self.parameters(), self._training.learning_rate, self._training.steps)


def pose_effect(pose_prior: PosePrior, z: Tensor, count: int = 256, step: float = 0.05) -> Tensor:
    """How far the joints move with each latent dimension, metres per unit; ``(N, D)`` -> ``(D,)``.

    Weighing a latent track by it makes its principal components those of the motion, not of the latent's scaling.
    """
    here = z[:count]
    poses = pose_prior.decode(here)
    moved = pose_prior.decode(here + step * torch.eye(z.shape[-1]).to(z)[:, None])
    return (moved - poses).norm(dim=-1).square().mean(dim=(1, 2)).sqrt() / step


def build(config: keys.MotionDct, pose_prior: PosePrior, frames: int) -> DctMotionPrior:
    """Component `motion-dct`."""
    return DctMotionPrior(pose_prior, frames, config)
