"""The method as a graph of stages: data, latent space, one stage a row of the table, analysis."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs

from sa3dhp_core.cards import skeleton as skeleton_card
from sa3dhp_core.errors import RecipeError, nearest
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.exportable import Exportable
from sa3dhp_core.protocols.latent import TrainedLatent
from sa3dhp_core.protocols.method import Stage, StageContext
from sa3dhp_core.protocols.prediction import PosedClip
from sa3dhp_core.recipe import Recipe
from sa3dhp_core.structuring import structure
from sa3dhp_self_adaptation import analysis, exporting, latent_stages, predicting, row_stages
from sa3dhp_self_adaptation.config import Row, Settings
from sa3dhp_self_adaptation.sharing import check_batches
from sa3dhp_self_adaptation.space import LatentSpace
from sa3dhp_self_adaptation.synthesis import SYNTHESISED, synthesise

APART = ("adaptation", "synthesised", "headline", "mirror_average", "smooth")
"""Keys of a row that its training's key does not hold as they are: two are told apart, the others concern scoring."""


class SelfAdaptation:
    """`Method` of METHOD.md section 1.

    Args:
        config: ``[settings]``.
        recipe: data sets, components, losses and rows.
        host: finds components.

    Raises:
        RecipeError: a row names an unknown row or loss, a loss an unknown relation, two rows have the same name, or a
            batch does not divide among the engine's processes.
    """

    def __init__(self, config: Settings, *, recipe: Recipe, host: Host) -> None:
        self.config, self.recipe, self.host = config, recipe, host
        self.rows = tuple(
            structure(Row, table, f"rows[{number}]", recipe.source) for number, table in enumerate(recipe.rows)
        )
        self.space = LatentSpace(recipe, host, skeleton_card(), config.frames)
        self._check_rows()
        self._check_relations()
        check_batches(self, recipe.engine)

    @cached_property
    def data(self) -> dict[str, Any]:
        """The data sets by role.

        Raises:
            RecipeError: a role is missing.
        """
        found = {}
        for role, noun in (("source", "image_data"), ("target", "image_data"), ("poses", "pose_data")):
            if role not in self.recipe.data:
                raise RecipeError("the recipe names no such data", where="data", expected=f"a table [data.{role}]")
            found[role] = self.host.build(noun, self.recipe.data[role], f"data.{role}")
        return found

    def loss_table(self, name: str) -> Mapping[str, Any]:
        """The ``[[losses]]`` table that a row calls `name`."""
        return self._loss_tables[name]

    @cached_property
    def _loss_tables(self) -> dict[str, Mapping[str, Any]]:
        return {loss_name(table): table for table in self.recipe.losses}

    def stages(self) -> tuple[Stage, ...]:
        """All stages."""
        recipe, plain = self.recipe, attrs.asdict(self.config)
        viewpoints, frames = plain["viewpoints"], plain["frames"]
        stages = [Stage(f"data-{role}", self._data_key(role), (), self._preparation(role)) for role in self.data]
        prior_key = {"prior": recipe.pose_prior, "viewpoints": viewpoints}
        stages.append(
            Stage("pose_prior", prior_key, ("data-poses",), lambda c: latent_stages.train_pose_prior(self, c))
        )
        latent = ["data-poses", "pose_prior"]
        if recipe.motion_prior:
            key = {"prior": recipe.motion_prior, "frames": frames, "viewpoints": viewpoints}
            run = lambda c: latent_stages.train_motion_prior(self, c)  # noqa: E731
            stages.append(Stage("motion_prior", key, tuple(latent), run))
            latent.append("motion_prior")
        tables = {name: table for name, table in zip(self.space.relations, recipe.relations, strict=True)}
        networks = []
        for name in self.trained_networks():
            key = {"relation": tables[name], "network": recipe.relation_network, "frames": frames}
            stages.append(Stage(network_stage(name), key, tuple(latent), self._network_training(name)))
            networks.append(network_stage(name))
        key = {"relations": list(recipe.relations), "frames": frames, "viewpoints": viewpoints}
        run = lambda c: latent_stages.measure_latent(self, c)  # noqa: E731
        stages.append(Stage("latent", key, (*latent, *networks), run))
        if (synthesis := self.config.synthesis) is not None:
            key = {"synthesis": plain["synthesis"], "viewpoints": viewpoints}
            run = lambda c: synthesise(self, synthesis, c)  # noqa: E731
            stages.append(Stage(SYNTHESISED, key, ("data-source", "data-poses"), run))
        known = (*latent, *networks, "latent", "data-source", "data-target")
        scored = ("pose_prior", "data-source", "data-target", "data-poses")
        tracked = {row.start for row in self.rows if self.learns_from_tracks(row)}
        for row in self.rows:
            tracks = (tracks_stage(row.start),) if self.learns_from_tracks(row) else ()
            made = (SYNTHESISED,) if row.synthesised else ()
            needs = (*_needs(row, known), *tracks, *made)
            stages.append(Stage(row_stage(row.name), self._row_key(row, plain), needs, self._training(row)))
            if row.name in tracked:
                key = {name: plain["tracks"][name] for name in ("mirror_average", "smooth")}
                read = (row_stage(row.name), "pose_prior", "data-target")
                stages.append(Stage(tracks_stage(row.name), key, read, self._tracking(row.name)))
        for row in self.rows:
            averaged = {"mirror_average": row.mirror_average, "smooth": row.smooth}
            key = {"protocols": list(recipe.evaluation.protocols), **averaged}
            stages.append(Stage(score_stage(row.name), key, (row_stage(row.name), *scored), self._scoring(row)))
        scores = tuple(score_stage(row.name) for row in self.rows)
        key = {"samples": plain["samples"]}
        stages.append(Stage("analysis", key, (*scores, "latent", "data-target"), lambda c: analysis.analyse(self, c)))
        return tuple(stages)

    def evaluate(self, folders: Mapping[str, Path], engine: Any, data: str, protocol: str) -> list[dict[str, object]]:
        """Score every row's encoder on another data set: a role of the recipe with a split, or a folder of footage."""
        return row_stages.evaluate_elsewhere(self, folders, engine, data, protocol)

    def predict(
        self, folders: Mapping[str, Path], engine: Any, source: Path, changes: Sequence[str]
    ) -> Iterator[PosedClip]:
        """Poses of the people in a film, by one row's encoder."""
        return predicting.predict(self, folders, engine.device, source, changes)

    def latent_space(self, folders: Mapping[str, Path], engine: Any) -> TrainedLatent:
        """The trained priors, relations and networks; the rows need not be finished."""
        return latent_stages.load_latent(self, folders.__getitem__, engine.device)

    def exportable(self, folders: Mapping[str, Path], engine: Any, row: str | None = None) -> Exportable:
        """A row's model, crops to poses; the headline's if no row is named."""
        return exporting.exportable(self, folders, engine.device, row)

    def trained_networks(self) -> tuple[str, ...]:
        """Names of relations whose network is learned: all that the priors allow, or those that some loss uses."""
        if self.config.networks == "all":
            still = not self.recipe.motion_prior
            return tuple(name for name, one in self.space.relations.items() if not (one.acts_on_time and still))
        wanted: list[str] = []
        for row in self.rows:
            for name in row.losses:
                table = self.loss_table(name)
                relation = table.get("relation", "")
                if table["use"] == "relation" and table.get("answer", "network") == "network":
                    if relation in self.space.relations and relation not in wanted:
                        wanted.append(relation)
        return tuple(wanted)

    def _data_key(self, role: str) -> dict[str, Any]:
        told: Any = getattr(self.data[role], "fingerprint", dict)()
        return {"data": self.recipe.data[role], "fingerprint": told}

    def _row_key(self, row: Row, plain: Mapping[str, Any]) -> dict[str, Any]:
        if row.kind == "again":
            return {"row": row.name}
        told = {k: v for k, v in attrs.asdict(row).items() if k not in APART}
        if row.kind == "constant":
            return {"row": told}
        key: dict[str, Any] = {"row": told, "encoder": self.recipe.encoder}
        if row.kind in ("source", "oracle"):
            key |= {"source": plain["source"], "augmentation": plain[row.images]}
        if row.kind in ("adapt", "oracle"):
            told = attrs.asdict(row.adaptation or self.config.adaptation)
            if row.kind == "adapt":
                del told["labelled"]
            key["adaptation"] = {name: value for name, value in told.items() if value != {}}
        if row.synthesised:
            key["synthesised"] = row.synthesised
        if row.kind == "adapt":
            key["losses"] = [dict(self.loss_table(name)) for name in row.losses]
            key["augmentation"] = plain[row.images]
            key["least_distance"] = self.config.least_distance
            if self.learns_from_tracks(row):
                key["tracks"] = plain["tracks"]
        return key

    def learns_from_tracks(self, row: Row) -> bool:
        """Whether one of the row's losses learns from what an earlier row sees."""
        used = (self.loss_table(name)["use"] for name in row.losses)
        return any("tracks" in self.host.find("alignment_loss", use).capabilities for use in used)

    def _check_rows(self) -> None:
        names = [row.name for row in self.rows]
        losses = self._loss_tables
        for number, row in enumerate(self.rows):
            where = f"{self.recipe.source}: rows[{number}]"
            if names.index(row.name) != number:
                raise RecipeError("two rows have the same name", where=where, found=row.name)
            if row.kind in ("statistics", "oracle", "adapt", "again") and not row.start:
                raise RecipeError(f"a row of kind {row.kind!r} needs an encoder to begin from", where=f"{where}.start")
            if row.synthesised and self.config.synthesis is None:
                raise RecipeError(
                    "nothing synthesises images",
                    where=f"{where}.synthesised",
                    found=row.synthesised,
                    expected="a table [settings.synthesis.by] that names the component",
                )
            if row.synthesised and row.kind not in ("source", "adapt"):
                raise RecipeError(
                    f"a row of kind {row.kind!r} learns from no source images",
                    where=f"{where}.synthesised",
                    found=row.synthesised,
                    expected="0, or a row of kind 'source' or 'adapt'",
                )
            if row.start and row.start not in names[:number]:
                raise RecipeError(
                    "no earlier row has this name",
                    where=f"{where}.start",
                    found=row.start,
                    hint=nearest(row.start, names[:number]),
                )
            rates = (row.adaptation or self.config.adaptation).learning_rates if row.kind == "adapt" else {}
            for name in (*row.losses, *row.weights, *rates):
                if name not in losses:
                    raise RecipeError(
                        "no loss of the recipe has this name", where=where, found=name, hint=nearest(name, losses)
                    )
            if rates and (row.adaptation or self.config.adaptation).schedule == "joint":
                raise RecipeError(
                    "one optimiser cannot have a learning rate for each loss",
                    where=f"{where}: learning_rates",
                    found="schedule = 'joint'",
                    expected="schedule = 'alternating', or weights",
                )

    def _check_relations(self) -> None:
        known = self.space.relations
        for number, table in enumerate(self.recipe.losses):
            if table.get("relation") and table["relation"] not in known:
                raise RecipeError(
                    "no relation of the recipe has this name",
                    where=f"{self.recipe.source}: losses[{number}].relation",
                    found=table["relation"],
                    hint=nearest(table["relation"], known),
                )

    def _preparation(self, role: str) -> Any:
        def prepare(context: StageContext) -> None:
            if context.engine.fabric.is_global_zero:
                self.data[role].prepare(context.folder)
            context.engine.fabric.barrier()

        return prepare

    def _network_training(self, name: str) -> Any:
        return lambda context: latent_stages.train_network(self, name, context)

    def _tracking(self, start: str) -> Any:
        return lambda context: row_stages.save_tracks(self, start, context)

    def _training(self, row: Row) -> Any:
        return lambda context: row_stages.train_row(self, row, context)

    def _scoring(self, row: Row) -> Any:
        return lambda context: row_stages.score_row(self, row, context)


def loss_name(table: Mapping[str, Any]) -> str:
    """What rows call a loss: its name, or one made from what it is."""
    if table.get("name"):
        return str(table["name"])
    if table["use"] == "relation":
        return f"relation:{table.get('relation', '')}"
    if table["use"] == "info-nce":
        return "hcr" if table.get("level") == "motion" else "lcr"
    return str(table["use"])


def _needs(row: Row, known: tuple[str, ...]) -> tuple[str, ...]:
    """Stages whose results the row's training reads; source training never sees the target."""
    read: dict[str, tuple[str, ...]] = {
        "constant": ("data-source",),
        "source": ("pose_prior", "data-source"),
        "statistics": ("pose_prior", "data-target"),
        "oracle": ("pose_prior", "data-target"),
        "adapt": known,
        "again": (),
    }
    return (*read[row.kind], *((row_stage(row.start),) if row.start else ()))


def row_stage(name: str) -> str:
    """Stage that trains a row, as a folder name."""
    return "row-" + slug(name)


def tracks_stage(start: str) -> str:
    """Stage that keeps what a row sees in the target's training clips, as a folder name."""
    return "tracks-" + slug(start)


def score_stage(name: str) -> str:
    """Stage that scores a row, as a folder name."""
    return "score-" + slug(name)


def network_stage(relation: str) -> str:
    """Stage of a relation's network, as a folder name."""
    return "relation-" + slug(relation)


def slug(name: str) -> str:
    """Letters, digits and hyphens of a name, made unique by what was dropped."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if plain == name:
        return plain
    import hashlib

    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:4]}"
