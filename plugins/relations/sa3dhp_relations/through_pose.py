"""A relation network that needs no training: decode, move the pose, encode."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sa3dhp_core.errors import RecipeError
from sa3dhp_core.geometry import act_on_poses
from sa3dhp_core.no_training import NoTraining
from sa3dhp_core.protocols.pose_prior import PosePrior
from sa3dhp_core.protocols.relation import Relation
from sa3dhp_core.protocols.task import Task
from sa3dhp_relations import config as keys
from sa3dhp_relations.geometric import matrices_from
from sa3dhp_relations.tasks import Draw, EncodeMotion


class ThroughPoseNetwork(nn.Module):
    """``T(z) = E_p(M D_p(z))``, with M from the condition, or for a single element from a buffer set by `task`."""

    element: Tensor

    def __init__(self, width: int, condition: int, pose_prior: PosePrior) -> None:
        super().__init__()
        if width != pose_prior.latent:
            raise RecipeError(
                "a through-pose network relates pose embeddings alone",
                found=f"embeddings of width {width}",
                expected=f"the pose prior's {pose_prior.latent}",
                hint="use = 'residual-mlp' for relations that act on time",
            )
        self._condition = condition
        self._prior = (pose_prior,)  # in a tuple, so that the frozen prior is not saved as part of this network
        self.register_buffer("element", torch.full((3, 3), torch.nan))

    def forward(self, embedding: Tensor, condition: Tensor) -> Tensor:
        """``(..., width)``, ``(..., P)`` -> ``(..., width)``."""
        (prior,) = self._prior
        matrix = matrices_from(condition) if self._condition else self.element.expand(*embedding.shape[:-1], 3, 3)
        if matrix.isnan().any():
            raise RuntimeError("a through-pose network of a single element learns it from `task` or from a checkpoint")
        return prior.encode(act_on_poses(matrix.to(embedding), prior.decode(embedding), prior.skeleton))

    def task(
        self, relation: Relation, pose_prior: PosePrior, motion_prior: EncodeMotion | None, draw: Draw, frames: int
    ) -> Task:
        """A task of no steps; takes the element of a single-element relation from its draw."""
        if motion_prior is not None or relation.acts_on_time:
            raise RecipeError(
                f"relation {relation.name!r} relates motions; a through-pose network relates single poses",
                hint="use = 'residual-mlp'",
            )
        if relation.condition == 0:
            self.element.copy_(relation.draw((), torch.Generator()).matrix)
        return NoTraining({"network": self})


def through_pose(
    config: keys.ThroughPose, width: int, condition: int, bound: Callable[[Tensor], Tensor], pose_prior: PosePrior
) -> ThroughPoseNetwork:
    """Target of the component `through-pose`."""
    return ThroughPoseNetwork(width, condition, pose_prior)
