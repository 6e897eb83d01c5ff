"""Plain parts for what is built on others: priors that lose nothing, a family of relations, networks that act exactly.

They need no plugin and learn nothing. Their parameters are there so that a loss which trains them is found out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from sa3dhp_core.conformance.reference import MatrixRelation
from sa3dhp_core.conformance.strategies import random_poses
from sa3dhp_core.geometry import act_on_images, act_on_poses, rotation_z
from sa3dhp_core.protocols.task import Update
from sa3dhp_core.types import Shard, Skeleton, Spatial, Temporal

UNIT_M = 0.5
"""One unit of a `CoordinatePrior`'s z."""

REACH = 6.0
"""Its bound, in units."""


class CoordinatePrior(nn.Module):
    """A pose prior that loses nothing: z is the pose, turned by a fixed orthogonal matrix.

    Implements `sa3dhp_core.protocols.pose_prior.PosePrior`; double precision inside.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        self.skeleton, self.latent = skeleton, 3 * len(skeleton)
        drawn = torch.randn(self.latent, self.latent, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        self.basis = nn.Parameter(torch.linalg.qr(drawn)[0], requires_grad=False)

    def encode(self, poses: Tensor) -> Tensor:
        """``(..., J, 3)`` metres -> ``(..., 3 J)``."""
        return poses.flatten(-2) @ self.basis.to(poses) / UNIT_M

    def decode(self, z: Tensor) -> Tensor:
        """``(..., 3 J)`` -> ``(..., J, 3)`` metres, root-relative."""
        poses = (UNIT_M * z @ self.basis.to(z).mT).unflatten(-1, (-1, 3))
        root = self.skeleton.index(self.skeleton.root)
        return poses - poses[..., root : root + 1, :]

    def bound(self, raw: Tensor) -> Tensor:
        """Squash every number into the reach."""
        return REACH * torch.tanh(raw / REACH)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """``(count, 3 J)``: embeddings of poses of any kind."""
        seed = int(torch.randint(2**31, (1,), generator=generator))
        return self.encode(random_poses(self.skeleton, seed, count, dtype=torch.get_default_dtype()))

    def task(self, draw: Any) -> NoSteps:
        """Nothing to learn."""
        return NoSteps({"prior": self})


class StackedPrior(nn.Module):
    """A motion prior that loses nothing: v is all z of the sequence, side by side.

    Implements `sa3dhp_core.protocols.motion_prior.MotionPrior`.
    """

    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        self.frames, self.latent = frames, frames * width
        self.gain = nn.Parameter(torch.ones(()), requires_grad=False)

    def encode(self, z: Tensor) -> Tensor:
        """``(..., T, D)`` -> ``(..., T D)``."""
        return self.gain.to(z) * z.flatten(-2)

    def decode(self, v: Tensor) -> Tensor:
        """``(..., T D)`` -> ``(..., T, D)``."""
        return (v / self.gain.to(v)).unflatten(-1, (self.frames, -1))

    def task(self, draw: Any) -> NoSteps:
        """Nothing to learn."""
        return NoSteps({"prior": self})


class NoSteps:
    """A task of no steps; implements `sa3dhp_core.protocols.task.Task`."""

    steps = 0
    clip_norm: float | None = None
    ema: float | None = None
    sharded: tuple[str, ...] = ()

    def __init__(self, modules: dict[str, nn.Module]) -> None:
        self.modules = modules

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        """None."""
        return {}

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """Nothing."""
        yield from ()


@attrs.frozen(eq=False)
class TurnRelation:
    """A family: turns about the optical axis by an angle that is drawn; implements `protocols.relation.Relation`.

    Attributes:
        skeleton: of the poses that it acts on.
        limit_deg: largest angle, either way.
        name: what losses call it.
    """

    skeleton: Skeleton
    limit_deg: float = 60.0
    name: str = "turn"
    condition: int = 2
    acts_on_time: bool = False
    capabilities: frozenset[str] = frozenset({"geometric", "acts-on-images", "keeps-bones"})

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Spatial:
        """Angles drawn evenly; the condition is ``(cos, sin)``."""
        angle = math.radians(self.limit_deg) * (2 * torch.rand(shape, generator=generator) - 1)
        return Spatial(rotation_z(angle), torch.stack([angle.cos(), angle.sin()], dim=-1))

    def temporal(self, frames: int) -> Temporal:
        """The same frames."""
        return Temporal(frames, tuple(range(frames)), tuple(range(frames)))

    def on_poses(self, poses: Tensor, spatial: Spatial) -> Tensor:
        """``(..., J, 3)`` -> ``(..., J, 3)``."""
        return act_on_poses(spatial.matrix.to(poses), poses, self.skeleton)

    def on_images(self, images: Tensor, spatial: Spatial, intrinsics: Tensor) -> Tensor:
        """``(..., 3, H, W)`` -> ``(..., 3, H, W)``."""
        return act_on_images(spatial.matrix.to(images), images, intrinsics)


class ExactNetwork(nn.Module):
    """What a relation does to z, or for a relation of motions to v: decode, move, encode.

    Implements `sa3dhp_core.protocols.relation.RelationNetwork` for the relations of this room.
    """

    def __init__(
        self, relation: MatrixRelation | TurnRelation, pose_prior: CoordinatePrior, motion_prior: StackedPrior
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

    def task(self, relation: Any, pose_prior: Any, motion_prior: Any, draw: Any, frames: int) -> NoSteps:
        """Nothing to learn."""
        return NoSteps({"network": self})

    def _moved(self, z: Tensor, condition: Tensor) -> Tensor:
        relation, prior, _ = self._parts
        matrix = relation.matrix if isinstance(relation, MatrixRelation) else _turn(condition)
        lead = z.shape[:-1]
        spatial = Spatial(matrix.to(z).expand(*lead, 3, 3), condition.expand(*lead, condition.shape[-1]))
        return prior.encode(relation.on_poses(prior.decode(z), spatial))


def _turn(condition: Tensor) -> Tensor:
    """``(..., 3, 3)`` from the ``(cos, sin)`` of a `TurnRelation`."""
    return rotation_z(torch.atan2(condition[..., 1], condition[..., 0]))
