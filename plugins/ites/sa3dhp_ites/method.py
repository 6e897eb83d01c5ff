"""The method as a graph of stages: keypoints, teacher, student, scores beside controls, lifted poses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from sa3dhp_core.atomic import read_tensors, seeded, write_tensors
from sa3dhp_core.engine.checkpoint import WEIGHTS, load_weights, save_weights
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
from sa3dhp_ites import elsewhere, exporting, predicting
from sa3dhp_ites.config import Settings
from sa3dhp_ites.lifter import ItesLifter, lift_all, shapes_of_all
from sa3dhp_ites.samples import write_samples
from sa3dhp_ites.scoring import ROLE, Record, controls, masks, score, symmetries, whole
from sa3dhp_ites.tasks import StudentTask
from sa3dhp_ites.training import DATA, DENSITY, STUDENT, TEACHER, density_task, fitted, student_task, teacher_task

LIFTED = "lifted"
TASKS = {TEACHER: teacher_task, STUDENT: student_task}


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
        density = (Stage(DENSITY, judged, (DATA,), self._judge),) if self.config.teaching.plausibility else ()
        learned = {"lifter": plain["student"], "training": plain["learning"]}
        return (
            Stage(DATA, {"data": self.recipe.data[ROLE], "fingerprint": told}, (), self._prepare),
            *density,
            Stage(TEACHER, taught, (DATA, *(stage.name for stage in density)), partial(self._train, TEACHER)),
            Stage(STUDENT, learned, (DATA, TEACHER), partial(self._train, STUDENT)),
            Stage(LIFTED, {}, (DATA, STUDENT), self._lift),
            Stage("score-controls", protocols, (DATA, TEACHER), self._score_controls),
            Stage("score-teacher", protocols, (DATA, TEACHER), partial(self._score, TEACHER)),
            Stage("score-student", protocols, (DATA, LIFTED), partial(self._score, STUDENT)),
            Stage("samples", {}, (DATA, TEACHER, LIFTED), self._show),
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

    def _judge(self, context: StageContext) -> None:
        data = self._open(context)
        task = density_task(self, data, whole(data), context)
        context.engine.train(task, context.name, context.folder)

    def _train(self, role: str, context: StageContext) -> None:
        """Train a lifter; its records stand beside those of itself as it began, about the same vertical."""
        data = self._open(context)
        keypoints = whole(data)
        task = TASKS[role](self, data, keypoints, context)
        context.engine.train(task, context.name, context.folder)
        if isinstance(task, StudentTask) and self.config.learning.settle:
            task.settle(self.recipe.seed)
            if context.engine.fabric.is_global_zero:
                save_weights(context.folder, task.modules)
            context.engine.fabric.barrier()
        untrained = fitted(self, role, keypoints, data.skeleton, context)
        rows = ((f"{role}, untrained", untrained), (role, task.lifter))
        found = [symmetries(row, f"{ROLE}-train", lifter, keypoints, task.horizon.tilt) for row, lifter in rows]
        write_records(context.folder, [record for records in found for record in records])

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
            poses = self._poses(role, split, data, context)
            records += score(role, poses, truth, masks(data, split), protocols, data.skeleton, facts_of(data))
        write_records(context.folder, records)

    def _show(self, context: StageContext) -> None:
        """Keep what the report shows of the last split that has a truth: the test's, if there is one."""
        for split, data, truth in list(self._held_out(context))[-1:]:
            rows = {role: self._poses(role, split, data, context) for role in (TEACHER, STUDENT)}
            write_samples(context.folder / ANALYSIS, whole(data), truth, rows, data.skeleton)

    def _lift(self, context: StageContext) -> None:
        """Keep the student's poses of every split, for whatever comes next."""
        for split in self.data.splits:
            data = self._open(context, split)
            facts = {"skeleton": data.skeleton.id, "joints": list(data.skeleton.joints), "unit": "m"}
            found = {"poses": self._lifted_by(STUDENT, data, context), "clips": data.clip_index()}
            write_tensors(_lifted_file(context.folder, split), found, facts)

    def _poses(self, role: str, split: str, data: Keypoints, context: StageContext) -> Tensor:
        """Poses ``(N, J, 3)`` of a split: the teacher's lifted here, the student's as they were kept."""
        if role == TEACHER:
            return self._lifted_by(TEACHER, data, context)
        return read_tensors(_lifted_file(context.of(LIFTED), split))["poses"]

    def _lifted_by(self, role: str, data: Keypoints, context: StageContext) -> Tensor:
        lifter = self.trained(role, context.of(role), data.skeleton, context.engine.device)
        return lift_all(lifter, whole(data))


def _lifted_file(folder: Path, split: str) -> Path:
    """Where the stage `lifted` keeps a split."""
    return folder / ANALYSIS / f"{LIFTED}-{split}.safetensors"
