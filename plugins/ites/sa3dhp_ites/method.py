"""The method as a graph of stages: keypoints, teacher, student, scores beside controls, lifted poses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from sa3dhp_core.atomic import seeded, write_tensors
from sa3dhp_core.engine.checkpoint import WEIGHTS, load_weights
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.data import facts_of
from sa3dhp_core.protocols.exportable import Exportable
from sa3dhp_core.protocols.keypoints import Keypoints
from sa3dhp_core.protocols.lifter import TrainedLifter
from sa3dhp_core.protocols.method import Stage, StageContext
from sa3dhp_core.protocols.prediction import PosedClip
from sa3dhp_core.recipe import Recipe
from sa3dhp_core.runner import ANALYSIS, write_records
from sa3dhp_core.types import Skeleton
from sa3dhp_ites import elsewhere, exporting, losses, predicting
from sa3dhp_ites.config import Settings
from sa3dhp_ites.density import DensityTask, PoseDensity
from sa3dhp_ites.lifter import ItesLifter, lift_all, shapes_of_all
from sa3dhp_ites.samples import write_samples
from sa3dhp_ites.scoring import ROLE, Record, controls, masks, score, symmetries, whole
from sa3dhp_ites.tasks import Horizon, StudentTask, TeacherTask
from sa3dhp_ites.units import Normaliser

DATA, DENSITY, TEACHER, STUDENT = f"data-{ROLE}", "density", "teacher", "student"


class Ites:
    """`Method` of METHOD.md section 2.

    Args:
        config: ``[settings]``.
        recipe: names the keypoints and the protocols.
        host: finds components.
    """

    def __init__(self, config: Settings, *, recipe: Recipe, host: Host) -> None:
        self.config, self.recipe, self.host = config, recipe, host

    @cached_property
    def data(self) -> Any:
        """`KeypointData`.

        Raises:
            RecipeError: the recipe names no keypoints.
        """
        if ROLE not in self.recipe.data:
            raise RecipeError("the recipe names no such data", where="data", expected=f"a table [data.{ROLE}]")
        return self.host.build("keypoint_data", self.recipe.data[ROLE], f"data.{ROLE}", host=self.host)

    def stages(self) -> tuple[Stage, ...]:
        """All stages."""
        told: dict[str, Any] = getattr(self.data, "fingerprint", dict)()
        plain, protocols = attrs.asdict(self.config), {"protocols": list(self.recipe.evaluation.protocols)}
        taught = {"lifter": plain["teacher"], "training": plain["teaching"]}
        units = {key: plain["teacher"].get(key) for key in ("top", "centred")}
        judged = {"units": units, "training": plain["density"]}
        density = (Stage(DENSITY, judged, (DATA,), self._judge),) if self._judged else ()
        learned = {"lifter": plain["student"], "training": plain["learning"]}
        return (
            Stage(DATA, {"data": self.recipe.data[ROLE], "fingerprint": told}, (), self._prepare),
            *density,
            Stage(TEACHER, taught, (DATA, *(stage.name for stage in density)), self._teach),
            Stage(STUDENT, learned, (DATA, TEACHER), self._learn),
            Stage("score-controls", protocols, (DATA, TEACHER), self._score_controls),
            Stage("score-teacher", protocols, (DATA, TEACHER), partial(self._score, TEACHER)),
            Stage("score-student", protocols, (DATA, STUDENT), partial(self._score, STUDENT)),
            Stage("lifted", {}, (DATA, STUDENT), self._lift),
            Stage("samples", {}, (DATA, TEACHER, STUDENT), self._show),
        )

    def evaluate(self, folders: Mapping[str, Path], engine: Any, data: str, protocol: str) -> list[Record]:
        """Score both lifters of a finished run on one of its splits, or on other keypoint files."""
        return elsewhere.evaluate(self, folders, engine.device, data, protocol)

    def trained_lifter(self, folders: Mapping[str, Path], engine: Any) -> TrainedLifter:
        """The student, for whoever wants its poses, and the teacher's canonical shapes, if its head tells them."""
        keypoints = partial(self.data.keypoints, folders[DATA])
        skeleton, place = keypoints("train").skeleton, folders[STUDENT]
        student = self.trained(STUDENT, place, skeleton, engine.device)
        weights = hashlib.sha256((place / WEIGHTS).read_bytes()).hexdigest()
        told = {"weights": weights, "stages": [place.name, folders[DATA].name]}
        tells = self.lifter(TEACHER, skeleton).canonical
        shapes = partial(self._shapes, folders, engine.device, skeleton) if tells else None
        return TrainedLifter(partial(lift_all, student), skeleton, self.data.splits, keypoints, told, shapes)

    def _shapes(self, folders: Mapping[str, Path], device: Any, body: Skeleton, keypoints: Tensor) -> Tensor:
        """The teacher's canonical shapes; it is loaded when they are asked for."""
        return shapes_of_all(self.trained(TEACHER, folders[TEACHER], body, device), keypoints)

    def predict(
        self, folders: Mapping[str, Path], engine: Any, source: Path, changes: Sequence[str]
    ) -> Iterator[PosedClip]:
        """The student's poses of every clip of keypoint files of the user's."""
        return predicting.predict(self, self.trained_lifter(folders, engine), source, changes)

    def exportable(self, folders: Mapping[str, Path], engine: Any, row: str | None = None) -> Exportable:
        """The student, or the lifter that is named, keypoints to poses."""
        return exporting.exportable(self, folders, engine.device, STUDENT if row is None else row)

    def lifter(self, role: str, skeleton: Skeleton) -> ItesLifter:
        """A new lifter for a role.

        Raises:
            RecipeError: the component is none that this method can train, or a teacher without canonical shapes.
        """
        table = getattr(self.config, role)
        with seeded(self.recipe.seed, role):
            lifter = self.host.build("lifter", table, f"settings.{role}", skeleton=skeleton)
        if not isinstance(lifter, ItesLifter):
            raise RecipeError(
                "this lifter cannot be trained without 3D labels by this method",
                where=f"{self.recipe.source}: settings.{role}.use",
                found=table["use"],
                expected="ites-mlp or ites-graph",
            )
        wants = [name for name in ("reprojection", "cycle") if getattr(self.config.teaching, name)]
        if role == TEACHER and wants and not lifter.canonical:
            raise RecipeError(
                f"the teacher's {' and '.join(wants)} need canonical shapes",
                where=f"{self.recipe.source}: settings.teacher.head",
                found=table.get("head", "its default"),
                expected=f"dictionary, or settings.teaching with {' and '.join(f'{name} = 0' for name in wants)}",
            )
        return lifter

    @property
    def _judged(self) -> bool:
        """Whether the teacher's poses are judged by a density of 2D poses."""
        return self.config.teaching.plausibility > 0

    def trained(self, role: str, folder: Path, skeleton: Skeleton, device: Any) -> ItesLifter:
        """The lifter that a stage left, frozen, in evaluation mode."""
        lifter = self.lifter(role, skeleton)
        load_weights(folder, {"lifter": lifter})
        return lifter.to(device).eval().requires_grad_(False)

    def _prepare(self, context: StageContext) -> None:
        if context.engine.fabric.is_global_zero:
            self.data.prepare(context.folder)
        context.engine.fabric.barrier()

    def _open(self, context: StageContext, split: str = "train") -> Keypoints:
        found: Keypoints = self.data.keypoints(context.of(DATA), split)
        return found

    def _fitted(self, role: str, data: Keypoints, context: StageContext) -> ItesLifter:
        """A new lifter whose units are those of the training split."""
        lifter = self.lifter(role, data.skeleton)
        lifter.units.fit(whole(data))
        return lifter.to(context.engine.device)

    def _density(self, body: Skeleton, context: StageContext) -> PoseDensity:
        """A new one."""
        with seeded(self.recipe.seed, DENSITY):
            return PoseDensity(body, self.config.density).to(context.engine.device)

    def _judge(self, context: StageContext) -> None:
        data = self._open(context)
        units, density = self._fitted(TEACHER, data, context).units, self._density(data.skeleton, context)
        task = DensityTask(density, units, data, whole(data), self.config.density)
        context.engine.train(task, context.name, context.folder)

    def _teach(self, context: StageContext) -> None:
        data, how, density = self._open(context), self.config.teaching, None
        lifter, keypoints = self._fitted(TEACHER, data, context), whole(data)
        before = symmetries("teacher, untrained", f"{ROLE}-train", lifter, keypoints)
        lengths = _longest_seen(lifter.units, keypoints) if how.bones else None
        if self._judged:
            density = self._density(data.skeleton, context)
            load_weights(context.of(DENSITY), {"density": density})
            density.requires_grad_(False)
        horizon = Horizon(how.learn_tilt).to(context.engine.device)
        task = TeacherTask(lifter, data, how, horizon, lengths, density)
        context.engine.train(task, context.name, context.folder)
        write_records(context.folder, [*before, *symmetries("teacher", f"{ROLE}-train", lifter, whole(data))])

    def _learn(self, context: StageContext) -> None:
        data = self._open(context)
        teacher = self.trained(TEACHER, context.of(TEACHER), data.skeleton, context.engine.device)
        lifter = self._fitted(STUDENT, data, context)
        before = symmetries("student, untrained", f"{ROLE}-train", lifter, whole(data))
        horizon = Horizon(learned=False).to(context.engine.device)
        load_weights(context.of(TEACHER), {"horizon": horizon})
        task = StudentTask(lifter, teacher, data, self.config.learning, horizon)
        context.engine.train(task, context.name, context.folder)
        write_records(context.folder, [*before, *symmetries("student", f"{ROLE}-train", lifter, whole(data))])

    def _held_out(self, context: StageContext) -> Iterator[tuple[str, Keypoints, Tensor]]:
        """Each split that was not learned from and has a truth."""
        for split in self.data.splits:
            if split != "train" and (truth := self.data.truth(context.of(DATA), split)) is not None:
                yield split, self._open(context, split), truth

    def _score_controls(self, context: StageContext) -> None:
        records, protocols = [], self.recipe.evaluation.protocols
        for split, data, truth in self._held_out(context):
            units = self.trained(TEACHER, context.of(TEACHER), data.skeleton, "cpu").units
            for row, poses in controls(units, whole(data), truth):
                records += score(row, poses, truth, masks(data, split), protocols, data.skeleton, facts_of(data))
        write_records(context.folder, records)

    def _score(self, role: str, context: StageContext) -> None:
        records, protocols = [], self.recipe.evaluation.protocols
        for split, data, truth in self._held_out(context):
            lifter = self.trained(role, context.of(role), data.skeleton, context.engine.device)
            poses = lift_all(lifter, whole(data))
            records += score(role, poses, truth, masks(data, split), protocols, data.skeleton, facts_of(data))
        write_records(context.folder, records)

    def _show(self, context: StageContext) -> None:
        """Keep what the report shows of the last split that has a truth: the test's, if there is one."""
        for _, data, truth in list(self._held_out(context))[-1:]:
            device, points = context.engine.device, whole(data)
            roles = {role: self.trained(role, context.of(role), data.skeleton, device) for role in (TEACHER, STUDENT)}
            rows = {role: lift_all(lifter, points) for role, lifter in roles.items()}
            write_samples(context.folder / ANALYSIS, points, truth, rows, data.skeleton)

    def _lift(self, context: StageContext) -> None:
        """Keep the student's poses of every split, for whatever comes next."""
        for split in self.data.splits:
            data = self._open(context, split)
            lifter = self.trained(STUDENT, context.of(STUDENT), data.skeleton, context.engine.device)
            poses = lift_all(lifter, whole(data))
            facts = {"skeleton": data.skeleton.id, "joints": list(data.skeleton.joints), "unit": "m"}
            found = {"poses": poses, "clips": data.clip_index()}
            write_tensors(context.folder / ANALYSIS / f"lifted-{split}.safetensors", found, facts)


def _longest_seen(units: Normaliser, keypoints: Tensor) -> Tensor:
    """`losses.relative_lengths` of keypoints ``(N, J, 2)`` on the camera plane, on the units' device."""
    keypoints = keypoints.to(units.scale)
    return losses.relative_lengths(units(keypoints).where(keypoints.isfinite(), torch.nan), units.skeleton)
