"""Relation networks that do to embeddings exactly what the bench's relations do to poses. They learn nothing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.conformance.plain import PlainMotionPrior, PlainPosePrior
from sa3dhp_core.conformance.reference import MatrixRelation, Turning
from sa3dhp_core.no_training import NoTraining
from sa3dhp_core.protocols.task import Task
from sa3dhp_core.types import Spatial


class ExactNetwork(nn.Module):
    """What a relation does to z, or for a relation of motions to v: decode, move, encode.

    Implements `sa3dhp_core.protocols.relation.RelationNetwork`. It has a parameter, so that who trains it is found out.
    """

    def __init__(
        self, relation: MatrixRelation | Turning, pose_prior: PlainPosePrior, motion_prior: PlainMotionPrior
    ) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()), requires_grad=False)
        self._parts = (relation, pose_prior, motion_prior)  # in a tuple: the priors are no part of this network's state

    def forward(self, embedding: Tensor, condition: Tensor) -> Tensor:
        """``(..., width)``, ``(..., P)`` -> ``(..., width)``."""
        relation, _, motion_prior = self._parts
        if not relation.acts_on_time:
            return self.gain.to(embedding) * self._moved(embedding, condition)
        z = self._moved(motion_prior.decode(embedding), condition.unsqueeze(-2))
        return self.gain.to(embedding) * motion_prior.encode(z.flip(-2))

    def task(self, relation: Any, pose_prior: Any, motion_prior: Any, draw: Any, frames: int) -> Task:
        """Nothing to learn."""
        return NoTraining({"network": self})

    def _moved(self, z: Tensor, condition: Tensor) -> Tensor:
        relation, prior, _ = self._parts
        matrix = relation.matrix if isinstance(relation, MatrixRelation) else condition.unflatten(-1, (3, 3))
        lead = z.shape[:-1]
        spatial = Spatial(matrix.to(z).expand(*lead, 3, 3), condition.expand(*lead, condition.shape[-1]))
        return prior.encode(relation.on_poses(prior.decode(z), spatial))
