"""The frozen latent space: priors, relations and relation networks, built from a recipe and loaded from stages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.atomic import seeded
from sa3dhp_core.engine.checkpoint import load_weights
from sa3dhp_core.engine.kernels import lay_out
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.alignment import LossParts
from sa3dhp_core.protocols.relation import Relation
from sa3dhp_core.recipe import Recipe
from sa3dhp_core.types import Skeleton


class LatentSpace:
    """Builds the parts that share the latent space; nothing is built before it is asked for.

    Each part's initial weights depend on the seed and its name alone, not on what was built before it: a resumed run,
    which finds most parts trained, begins the others as an uninterrupted one would.

    Args:
        recipe: names the components.
        host: finds them.
        skeleton: of the unpaired poses.
        frames: length of a motion sequence.
    """

    def __init__(self, recipe: Recipe, host: Host, skeleton: Skeleton, frames: int) -> None:
        self._recipe, self._host, self.skeleton, self.frames = recipe, host, skeleton, frames

    def _table(self, name: str) -> Mapping[str, Any]:
        table: Mapping[str, Any] | None = getattr(self._recipe, name)
        if table is None:
            raise RecipeError(
                f"the recipe has no table [{name}]", where=name, expected=f"a table with use = ID of a {name}"
            )
        return table

    @cached_property
    def pose_prior(self) -> Any:
        """`PosePrior`."""
        with seeded(self._recipe.seed, "pose_prior"):
            return self._host.build("pose_prior", self._table("pose_prior"), "pose_prior", skeleton=self.skeleton)

    @cached_property
    def motion_prior(self) -> Any:
        """`MotionPrior`, or None where the recipe has none."""
        if not self._recipe.motion_prior:
            return None
        pose_prior = self.pose_prior
        with seeded(self._recipe.seed, "motion_prior"):
            return self._host.build(
                "motion_prior",
                self._recipe.motion_prior,
                "motion_prior",
                pose_prior=pose_prior,
                frames=self.frames,
            )

    @cached_property
    def relations(self) -> dict[str, Relation]:
        """Relations by name.

        Raises:
            RecipeError: two relations have the same name.
        """
        found: dict[str, Relation] = {}
        for number, table in enumerate(self._recipe.relations):
            relation = self._host.build("relation", table, f"relations[{number}]", skeleton=self.skeleton)
            if relation.name in found:
                raise RecipeError(
                    "two relations have the same name",
                    where=f"relations[{number}]",
                    found=relation.name,
                    hint="give one a `name`",
                )
            found[relation.name] = relation
        return found

    def network(self, relation: Relation) -> Any:
        """A new `RelationNetwork` for one relation, on z or on v as it acts."""
        table = self._recipe.relation_network or {"use": "residual-mlp"}
        on_time = relation.acts_on_time
        prior = self.motion_prior if on_time else self.pose_prior
        with seeded(self._recipe.seed, "relation_network", relation.name):
            return self._host.build(
                "relation_network",
                table,
                "relation_network",
                width=prior.latent,
                condition=relation.condition,
                bound=getattr(prior, "bound", _unbounded),
                pose_prior=self.pose_prior,
            )

    def encoder(self) -> nn.Module:
        """A new image encoder."""
        table = self._table("encoder")
        if "backbone" not in table:
            raise RecipeError("the encoder names no backbone", where="encoder", expected="a table [encoder.backbone]")
        pose_prior = self.pose_prior
        with seeded(self._recipe.seed, "encoder"):
            backbone = self._host.build("backbone", table["backbone"], "encoder.backbone")
            module: nn.Module = self._host.build(
                "image_encoder",
                table,
                "encoder",
                backbone=backbone,
                latent=pose_prior.latent,
                bound=pose_prior.bound,
            )
        return lay_out(module, self._recipe.engine.channels_last)

    def load_pose_prior(self, folder: Path, device: torch.device, dtype: torch.dtype = torch.float32) -> Any:
        """Load, freeze and return the pose prior."""
        return frozen(self.pose_prior, folder, "prior", device, dtype)

    def load_motion_prior(self, folder: Path, device: torch.device, dtype: torch.dtype = torch.float32) -> Any:
        """Load, freeze and return the motion prior."""
        return frozen(self.motion_prior, folder, "prior", device, dtype)

    def parts(self, networks: Mapping[str, nn.Module], scale: Tensor, motion_scale: Tensor, feature: int) -> LossParts:
        """What losses are built from; priors must have been loaded."""
        return LossParts(
            skeleton=self.skeleton,
            pose_prior=self.pose_prior,
            motion_prior=self.motion_prior,
            relations=self.relations,
            networks=networks,
            scale=scale,
            motion_scale=motion_scale,
            frames=self.frames,
            latent=self.pose_prior.latent,
            motion_latent=0 if self.motion_prior is None else self.motion_prior.latent,
            feature=feature,
        )


def frozen(
    module: nn.Module, folder: Path, name: str, device: torch.device, dtype: torch.dtype = torch.float32
) -> nn.Module:
    """Load the weights that a task stored under `name`, in evaluation mode, without gradients.

    They are in float32 unless a training asks for `Engine.dtype`, whatever an earlier stage made of the module.
    """
    load_weights(folder, {name: module})
    return module.to(device, dtype).eval().requires_grad_(False)


def _unbounded(values: Tensor) -> Tensor:
    return values


def random_pair_scale(embeddings: Tensor) -> Tensor:
    """Latent scale sigma ``(D,)``: mean ``|z - z'|`` over random pairs of ``(N, D)``.

    A dimension that hardly moves gets a tenth of the mean scale, or its noise would count as much as a pose.
    """
    half = len(embeddings) // 2
    scale = (embeddings[:half] - embeddings[half : 2 * half]).abs().mean(dim=0)
    return scale.clamp_min(0.1 * scale.mean())
