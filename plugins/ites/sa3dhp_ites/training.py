"""What the stages of a run train: density, teacher and student, as problems on the training split. Trains nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sa3dhp_core.atomic import seeded
from sa3dhp_core.engine.checkpoint import load_weights
from sa3dhp_core.protocols.keypoints import Keypoints
from sa3dhp_core.protocols.method import StageContext
from sa3dhp_core.types import Skeleton
from sa3dhp_ites import losses
from sa3dhp_ites.density import DensityTask, PoseDensity
from sa3dhp_ites.lifter import ItesLifter
from sa3dhp_ites.scoring import ROLE
from sa3dhp_ites.tasks import Horizon, StudentTask, TeacherTask
from sa3dhp_ites.units import Normaliser

if TYPE_CHECKING:
    from sa3dhp_ites.method import Ites

DATA, DENSITY, TEACHER, STUDENT = f"data-{ROLE}", "density", "teacher", "student"
"""Names of the stages that are read by others."""


def density_task(method: Ites, data: Keypoints, keypoints: Tensor, context: StageContext) -> DensityTask:
    """The density's training, seen through the teacher's units.

    Args:
        method: of the run.
        data: the training split.
        keypoints: all of it, ``(N, J, 2)``.
        context: of the stage; says where to compute.
    """
    units = fitted(method, TEACHER, keypoints, data.skeleton, context).units
    return DensityTask(_density(method, data.skeleton, context), units, data, keypoints, method.config.density)


def teacher_task(method: Ites, data: Keypoints, keypoints: Tensor, context: StageContext) -> TeacherTask:
    """The teacher's training; reads the density's stage where it judges. Arguments as those of `density_task`."""
    how = method.config.teaching
    lifter = fitted(method, TEACHER, keypoints, data.skeleton, context)
    lengths = _longest_seen(lifter.units, keypoints) if how.bones else None
    density = None
    if how.plausibility:
        density = _density(method, data.skeleton, context)
        load_weights(context.of(DENSITY), {"density": density})
        density.requires_grad_(False)
    horizon = Horizon(how.learn_tilt).to(context.engine.device, context.engine.dtype)
    return TeacherTask(lifter, data, how, horizon, lengths, density)


def student_task(method: Ites, data: Keypoints, keypoints: Tensor, context: StageContext) -> StudentTask:
    """The student's training; reads the teacher's stage. Arguments as those of `density_task`."""
    folder, device, dtype = context.of(TEACHER), context.engine.device, context.engine.dtype
    teacher = method.trained(TEACHER, folder, data.skeleton, device).to(dtype)
    horizon = Horizon(learned=False).to(device, dtype)
    load_weights(folder, {"horizon": horizon})
    lifter = fitted(method, STUDENT, keypoints, data.skeleton, context)
    return StudentTask(lifter, teacher, data, method.config.learning, horizon)


def fitted(method: Ites, role: str, keypoints: Tensor, body: Skeleton, context: StageContext) -> ItesLifter:
    """A new lifter for a role whose units are those of keypoints ``(N, J, 2)``, the training split's."""
    lifter = method.lifter(role, body)
    lifter.units.fit(keypoints)
    return lifter.to(context.engine.device, context.engine.dtype)


def _density(method: Ites, body: Skeleton, context: StageContext) -> PoseDensity:
    """A new one."""
    with seeded(method.recipe.seed, DENSITY):
        return PoseDensity(body, method.config.density).to(context.engine.device, context.engine.dtype)


def _longest_seen(units: Normaliser, keypoints: Tensor) -> Tensor:
    """`losses.relative_lengths` of keypoints ``(N, J, 2)`` on the camera plane, on the units' device."""
    keypoints = keypoints.to(units.scale)
    return losses.relative_lengths(units(keypoints).where(keypoints.isfinite(), torch.nan), units.skeleton)
