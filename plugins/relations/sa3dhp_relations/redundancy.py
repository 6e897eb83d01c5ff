"""Redundancy of relations: how much of what one relation network changes follows from what another one changes.

Outputs themselves would tell little: each is nearly a linear image of the whole embedding, so each predicts all others.
What a network changes, ``T x - x``, is blind to all that its relation leaves alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.protocols.latent import TrainedLatent
from sa3dhp_core.types import WHOLE

POSES, MOTIONS = 2048, 768
"""Held-out embeddings of two relations of poses, and where one of the two acts on time."""
RIDGE = 1e-3
"""Of the regression, in units of the predictors' mean variance."""


@torch.no_grad()
def redundancy(latent: TrainedLatent) -> Mapping[str, Mapping[str, float]]:
    """``[a][b]``: the share of the variance of b's change that a's predicts, 0 to 1, for all pairs with networks.

    Two relations of poses are compared on z. Where one acts on time, both are on v: poses move frame by frame.
    """
    on_z = _changes_of_poses(latent)
    on_v = _changes_of_motions(latent) if len(on_z) < len(latent.networks) else {}

    def share(first: str, second: str) -> float:
        changes = on_z if first in on_z and second in on_z else on_v
        return predicted(changes[first], changes[second])

    names = tuple(latent.networks)
    return {first: {second: share(first, second) for second in names if second != first} for first in names}


def predicted(given: Tensor, wanted: Tensor) -> float:
    """Share of the variance of ``wanted (N, E)`` that ridge regression from ``given (N, D)`` predicts.

    Fitted to the first half and judged on the second, 0 where it is no better than the mean.
    """
    half = len(given) // 2
    given, wanted = given.double(), wanted.double()
    centre, mean = given[:half].mean(dim=0), wanted[:half].mean(dim=0)
    known, unknown = given - centre, wanted - mean
    gram = known[:half].T @ known[:half]
    penalty = (
        RIDGE * gram.diagonal().mean().clamp_min(1e-12) * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    )
    weights = torch.linalg.solve(gram + penalty, known[:half].T @ unknown[:half])
    left = (unknown[half:] - known[half:] @ weights).square().sum()
    return float((1 - left / unknown[half:].square().sum().clamp_min(1e-12)).clamp_min(0.0))


def _changes_of_poses(latent: TrainedLatent) -> dict[str, Tensor]:
    """What each network of a relation of poses changes, ``(POSES, D)``."""
    poses = latent.poses(POSES, generator_for("redundancy", "poses"), WHOLE).to(latent.device)
    z = latent.pose_prior.encode(poses)
    names = [name for name in latent.networks if not latent.relations[name].acts_on_time]
    return {name: latent.networks[name](z, _told(latent, name, POSES)) - z for name in names}


def _changes_of_motions(latent: TrainedLatent) -> dict[str, Tensor]:
    """The same on motions, ``(MOTIONS, V)``, relations of poses acting on every frame."""
    motion = latent.motion_prior
    assert motion is not None
    clips = latent.sequences(MOTIONS, latent.frames, generator_for("redundancy", "motions"), WHOLE).to(latent.device)
    z = latent.pose_prior.encode(clips)
    v, found = motion.encode(z), {}
    for name, network in latent.networks.items():
        told = _told(latent, name, MOTIONS)
        if latent.relations[name].acts_on_time:
            found[name] = network(v, told) - v
        else:
            found[name] = motion.encode(network(z, told[:, None].expand(-1, latent.frames, -1))) - v
    return found


def _told(latent: TrainedLatent, name: str, count: int) -> Tensor:
    drawn = latent.relations[name].draw((count,), generator_for("redundancy", name))
    return drawn.condition.to(latent.device)
