"""How the teacher and the student learn: one frame at a time, from keypoints alone (METHOD.md section 2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.protocols.keypoints import Keypoints
from sa3dhp_core.protocols.task import Relief, Update, halved
from sa3dhp_core.schedules import warm_cosine_scheduler
from sa3dhp_core.types import WHOLE, Shard
from sa3dhp_ites import losses
from sa3dhp_ites.config import Optimisation, StudentTraining, TeacherTraining
from sa3dhp_ites.density import PoseDensity
from sa3dhp_ites.heads import Lifted
from sa3dhp_ites.lifter import ItesLifter
from sa3dhp_ites.running import settle, statistics_kept
from sa3dhp_ites.units import project

WARM_UP = 100
"""Steps in which AdamW's learning rate rises."""


class Horizon(nn.Module):
    """How far cameras look down, in radians: at first not at all."""

    def __init__(self, learned: bool) -> None:
        super().__init__()
        self.tilt = nn.Parameter(torch.zeros(()), requires_grad=learned)


def optimizer(modules: Iterable[nn.Module], config: Optimisation) -> tuple[torch.optim.Optimizer, Any]:
    """SGD whose learning rate is halved again and again, or AdamW, warmed up and decayed; with its schedule."""
    every = (weight for module in modules for weight in module.parameters())
    weights, rate, decay = [w for w in every if w.requires_grad], config.learning_rate, config.weight_decay
    if config.optimizer == "adamw":
        adamw = torch.optim.AdamW(weights, lr=rate, weight_decay=decay)
        return adamw, warm_cosine_scheduler(adamw, config.steps, WARM_UP)
    sgd = torch.optim.SGD(weights, lr=rate, momentum=config.momentum, weight_decay=decay)
    return sgd, torch.optim.lr_scheduler.StepLR(sgd, config.halve_every, gamma=0.5)


class _Lifting(ABC):
    """What both trainings share: drawing, units, optimiser. Every rank computes the whole (small) batch.

    Attributes:
        lifter: what is trained.
        horizon: how far cameras look down.
        root: index of the root joint.
        batch_key: the recipe's key that says how many frames a step takes.
    """

    batch_key: ClassVar[str]
    clip_norm: float | None
    ema: float | None = None
    sharded: tuple[str, ...] = ()

    def __init__(self, lifter: ItesLifter, data: Keypoints, config: Optimisation, horizon: Horizon) -> None:
        self.steps, self.samples, self._data, self._config = config.steps, config.batch, data, config
        self.lifter, self.horizon = lifter, horizon
        self.modules: dict[str, nn.Module] = {"lifter": lifter}
        self.clip_norm = config.clip_norm
        self.root = lifter.skeleton.index(lifter.skeleton.root)
        lifter.train()

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        """One, of all modules."""
        return {"lifter": optimizer(self.modules.values(), self._config)}

    def reliefs(self) -> tuple[Relief | None, ...]:
        """The key that would make a step smaller."""
        return (halved(self.batch_key, self._config.batch),)

    def draw(self, step: int, generator: torch.Generator, shard: Shard) -> Tensor:
        """Keypoints ``(B, J, 2)``, pixels, NaN where unseen."""
        return self._data.draw(self._config.batch, 1, generator)[:, 0]

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """One update a step."""
        return self.updates_from(self.draw(step, generator, shard), step, generator, shard)

    @abstractmethod
    def updates_from(self, batch: Tensor, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """The update, of what `draw` gave."""

    def _placed(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """Keypoints ``(B, J, 2)`` in units, and which of them ``(B, J)`` were seen."""
        keypoints = keypoints.to(self.lifter.units.scale)
        return self.lifter.units(keypoints), keypoints[..., 0].isfinite()


class TeacherTask(_Lifting):
    """`Task`: the sum of the losses that have a weight.

    Published are reprojection, and invariance of the canonical shape under any rotation. The others judge the pose
    itself, from whatever head: how it looks from another side, how long its bones are, and whether it is lifted the
    same from there.

    Args:
        lifter: trained; for the published losses its head is a dictionary.
        data: the training split.
        config: how.
        horizon: how far cameras look down; trained if it is to be learned.
        lengths: relative lengths ``(J,)`` of bones, if their loss has a weight.
        density: frozen, if its loss has a weight.
    """

    batch_key = "settings.teaching.batch"

    def __init__(
        self,
        lifter: ItesLifter,
        data: Keypoints,
        config: TeacherTraining,
        horizon: Horizon | None = None,
        lengths: Tensor | None = None,
        density: PoseDensity | None = None,
    ) -> None:
        super().__init__(lifter, data, config, horizon or Horizon(config.learn_tilt))
        self._how, self._lengths, self._density = config, lengths, density
        self.modules["horizon"] = self.horizon

    def updates_from(self, batch: Tensor, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """The update, of what `draw` gave."""
        points, seen = self._placed(batch)
        lifted = self.lifter.lift(points)
        found = self._published(lifted, points, seen, step, generator) | self._own(lifted, seen, generator)
        logs: dict[str, Tensor | float] = {name: value.detach() for name, (_, value) in found.items()}
        if lifted.canonical is not None:
            spread = losses.spread(lifted.canonical.detach(), self.root)
            logs["canonical_spread_mm"] = 1000 * self.lifter.units.unit_m * spread
        if self._how.learn_tilt:
            logs["tilt_deg"] = self.horizon.tilt.detach().rad2deg()
        yield Update("lifter", torch.stack([weight * value for weight, value in found.values()]).sum(), logs)

    def _published(
        self, lifted: Lifted, points: Tensor, seen: Tensor, step: int, generator: torch.Generator
    ) -> dict[str, tuple[float, Tensor]]:
        """Losses of a dictionary, each with its weight."""
        how, found = self._how, {}
        if how.reprojection:
            found["reprojection"] = how.reprojection, losses.reprojection(lifted, points, seen)
        if how.cycle:
            assert lifted.canonical is not None
            turns = losses.any_rotations((how.rotations, len(points)), generator, points)
            with statistics_kept(self.lifter):
                cycle = losses.invariance(self.lifter.lift, lifted.canonical, turns, self.root, step < how.aligned)
            found["cycle"] = how.cycle, cycle
        return found

    def _own(self, lifted: Lifted, seen: Tensor, generator: torch.Generator) -> dict[str, tuple[float, Tensor]]:
        """Losses of any pose, each with its weight."""
        how, found, body = self._how, {}, self.lifter.skeleton
        if how.bones:
            assert self._lengths is not None
            found["bones"] = how.bones, losses.bone_error(lifted.points, self._lengths, seen, body)
        if how.equivariance or how.plausibility:
            pose = lifted.points - lifted.points[:, [self.root]]
            shape, tilt = (how.rotations, len(pose)), self.horizon.tilt
            turned = (pose @ losses.vertical_rotations(shape, generator, pose, tilt).mT).flatten(0, 1)
            if how.plausibility:
                assert self._density is not None
                found["surprise"] = how.plausibility, self._density(project(turned)).mean()
            if how.equivariance:
                with statistics_kept(self.lifter):
                    cycle = losses.equivariance(self.lifter.lift, turned, self.root)
                found["equivariance"] = how.equivariance, cycle
        return found


class StudentTask(_Lifting):
    """`Task`: the teacher's depths, and equivariance under rotations about the vertical axis.

    Args:
        lifter: trained.
        teacher: frozen, in evaluation mode.
        data: the training split.
        config: how.
        horizon: how far cameras look down.
    """

    batch_key = "settings.learning.batch"

    def __init__(
        self,
        lifter: ItesLifter,
        teacher: ItesLifter,
        data: Keypoints,
        config: StudentTraining,
        horizon: Horizon | None = None,
    ) -> None:
        super().__init__(lifter, data, config, horizon or Horizon(learned=False))
        self._how, self._teacher = config, teacher

    def updates_from(self, batch: Tensor, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """The update, of what `draw` gave."""
        how, lifter = self._how, self.lifter
        points, _ = self._placed(batch)
        lifted = lifter.lift(points).points
        with torch.no_grad():
            wanted = self._teacher.lift(points).points
        distance = losses.depth_distance(lifted, wanted, self.root)
        shape, tilt = (how.rotations, len(points)), self.horizon.tilt.detach()
        turns = losses.vertical_rotations(shape, generator, points, tilt)
        turned = ((lifted - lifted[:, [self.root]]) @ turns.mT).flatten(0, 1)
        with statistics_kept(lifter):
            cycle = losses.equivariance(lifter.lift, turned, self.root)
        logs = {"distillation": distance.detach(), "cycle": cycle.detach()}
        yield Update("lifter", how.distillation * distance + how.cycle * cycle, logs)

    def settle(self, seed: int) -> None:
        """After the last step: running statistics of the weights as they are now, from batches of the training split.

        What comes out depends on weights and seed alone, so it may be done again.
        """
        settle(self.lifter, self.settling(seed, self._how.settle))

    def settling(self, seed: int, count: int) -> Iterator[Tensor]:
        """Batches of points ``(B, J, 2)`` in units that are no step's."""
        for number in range(count):
            yield self._placed(self.draw(number, generator_for("settle", seed, number), WHOLE))[0]
