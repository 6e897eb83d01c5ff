"""The paper's motion auto-encoder (METHOD 1.1.2): a bidirectional LSTM into v and another out of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.protocols.motion_prior import SequenceDraw
from sa3dhp_core.protocols.pose_prior import PosePrior
from sa3dhp_core.protocols.task import Task
from sa3dhp_core.schedules import annealed_adamw
from sa3dhp_priors import config as keys
from sa3dhp_priors.motion_task import MotionTask, mean_distance, mean_square


class BilstmMotionPrior(nn.Module):
    """Sequences of z to v and back; implements `sa3dhp_core.protocols.motion_prior.MotionPrior`.

    The encoder's final states, through a linear layer and the bound, are v; the decoder gets v at every step and as
    its initial state.

    Args:
        pose_prior: frozen; not saved with this module.
        frames: sequence length T.
        training: recipe keys.
    """

    def __init__(self, pose_prior: PosePrior, frames: int, training: keys.MotionBilstm) -> None:
        super().__init__()
        self.latent, self.frames = training.latent, frames
        self._pose_prior, self._training, self._bound = (pose_prior,), training, training.bound
        width, units, layers = pose_prior.latent, training.units, training.layers
        self._states = (2 * layers, units)
        self.reader = nn.LSTM(width, units, layers, batch_first=True, bidirectional=True)
        self.squeeze = nn.Linear(2 * layers * units, self.latent)
        self.expand = nn.Linear(self.latent, 2 * 2 * layers * units)
        self.writer = nn.LSTM(self.latent, units, layers, batch_first=True, bidirectional=True)
        self.leave = nn.Linear(2 * units, width)

    def encode(self, z: Tensor) -> Tensor:
        """``(..., T, D)`` -> ``(..., latent)``."""
        lead = z.shape[:-2]
        _, (states, _) = self.reader(z.reshape(-1, *z.shape[-2:]))
        raw = self.squeeze(states.transpose(0, 1).flatten(1))
        return (self._bound * torch.tanh(raw / self._bound)).reshape(*lead, self.latent)

    def decode(self, v: Tensor) -> Tensor:
        """``(..., latent)`` -> ``(..., T, D)``, within the pose prior's domain."""
        flat = v.reshape(-1, self.latent)
        hidden, cell = self.expand(flat).unflatten(-1, (2, *self._states)).permute(1, 2, 0, 3).contiguous().unbind(0)
        track, _ = self.writer(flat[:, None].expand(-1, self.frames, -1).contiguous(), (torch.tanh(hidden), cell))
        return self._pose_prior[0].bound(self.leave(track)).reshape(*v.shape[:-1], self.frames, -1)

    def task(self, draw: SequenceDraw) -> Task:
        """How it is trained on unpaired motion."""
        config = self._training
        distance = mean_distance if config.loss == "distance" else mean_square
        return MotionTask(
            self,
            self._pose_prior[0],
            draw,
            self._optimizer,
            config.steps,
            config.batch,
            config.latent_weight,
            min(self.frames, config.decode_every),
            distance,
        )

    def _optimizer(self) -> tuple[torch.optim.Optimizer, Any]:
        config = self._training
        if config.schedule == "constant":
            return torch.optim.RMSprop(self.parameters(), lr=config.learning_rate), None
        return annealed_adamw(self.parameters(), config.learning_rate, config.steps)


def build(config: keys.MotionBilstm, pose_prior: PosePrior, frames: int) -> BilstmMotionPrior:
    """Component `motion-bilstm`."""
    return BilstmMotionPrior(pose_prior, frames, config)
