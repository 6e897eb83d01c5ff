"""How the teacher and the student learn: one frame at a time, from keypoints alone (METHOD.md section 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.protocols.keypoints import Keypoints
from sa3dhp_core.protocols.task import Update
from sa3dhp_core.types import Shard
from sa3dhp_ites import losses
from sa3dhp_ites.config import Optimisation, StudentTraining, TeacherTraining
from sa3dhp_ites.lifter import ItesLifter


class _Lifting:
    """What both trainings share: drawing, units, optimiser. Every rank computes the whole (small) batch.

    Attributes:
        root: index of the root joint.
    """

    clip_norm: float | None = None
    ema: float | None = None
    sharded: tuple[str, ...] = ()

    def __init__(self, lifter: ItesLifter, data: Keypoints, config: Optimisation) -> None:
        self.steps, self._data, self._config, self._lifter = config.steps, data, config, lifter
        self.modules: dict[str, nn.Module] = {"lifter": lifter}
        self.root = lifter.skeleton.index(lifter.skeleton.root)
        lifter.train()

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        """SGD whose learning rate is halved again and again."""
        config = self._config
        optimizer = torch.optim.SGD(
            self._lifter.parameters(),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
        return {"lifter": (optimizer, torch.optim.lr_scheduler.StepLR(optimizer, config.halve_every, gamma=0.5))}

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Keypoints ``(B, J, 2)`` in units, and which of them ``(B, J)`` were seen."""
        keypoints = self._data.draw(self._config.batch, 1, generator)[:, 0].to(self._lifter.units.scale)
        return self._lifter.units(keypoints), keypoints[..., 0].isfinite()


class TeacherTask(_Lifting):
    """`Task`: reprojection, and invariance of the canonical shape under any rotation.

    Args:
        lifter: trained; its head is a dictionary.
        data: the training split.
        config: how.
    """

    def __init__(self, lifter: ItesLifter, data: Keypoints, config: TeacherTraining) -> None:
        super().__init__(lifter, data, config)
        self._how = config

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """One update a step."""
        how, lifter = self._how, self._lifter
        points, seen = self.draw(generator)
        lifted = lifter.lift(points)
        assert lifted.canonical is not None
        flat = losses.reprojection(lifted, points, seen)
        turns = losses.any_rotations((how.rotations, len(points)), generator, points)
        cycle = losses.invariance(lifter.lift, lifted.canonical, turns, self.root, step < how.aligned)
        varies_mm = 1000 * lifter.units.unit_m * losses.spread(lifted.canonical.detach(), self.root)
        logs = {"reprojection": flat.detach(), "cycle": cycle.detach(), "canonical_spread_mm": varies_mm}
        yield Update("lifter", how.reprojection * flat + how.cycle * cycle, logs)


class StudentTask(_Lifting):
    """`Task`: the teacher's depths, and equivariance under rotations about the vertical axis.

    Args:
        lifter: trained.
        teacher: frozen, in evaluation mode.
        data: the training split.
        config: how.
    """

    def __init__(self, lifter: ItesLifter, teacher: ItesLifter, data: Keypoints, config: StudentTraining) -> None:
        super().__init__(lifter, data, config)
        self._how, self._teacher = config, teacher

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """One update a step."""
        how, lifter = self._how, self._lifter
        points, _ = self.draw(generator)
        lifted = lifter.lift(points).points
        with torch.no_grad():
            wanted = self._teacher.lift(points).points
        distance = losses.depth_distance(lifted, wanted, self.root)
        turns = losses.vertical_rotations((how.rotations, len(points)), generator, points)
        cycle = losses.equivariance(lifter.lift, lifted - lifted[:, [self.root]], turns, self.root)
        logs = {"distillation": distance.detach(), "cycle": cycle.detach()}
        yield Update("lifter", how.distillation * distance + how.cycle * cycle, logs)
