"""The recipe `sa3dhp-paper` made ready to measure: data and a latent space of untrained parts, tasks, bare passes.

Trains nothing beyond one step a part: times do not depend on the weights. Measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import nn

from sa3dhp_core.engine import Engine
from sa3dhp_core.engine.feeding import placed
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import Recipe, load_recipe
from sa3dhp_core.runner import Context, run, stage_folders
from sa3dhp_core.sinks import SinkBoard
from sa3dhp_core.types import WHOLE
from sa3dhp_self_adaptation.adapting import AdaptationTask
from sa3dhp_self_adaptation.method import SelfAdaptation
from sa3dhp_self_adaptation.row_stages import adaptation_task, source_task
from sa3dhp_self_adaptation.supervised import SupervisedTask

RECIPE, SOURCE, ADAPTED = "sa3dhp-paper", "source-only", "+ slow-backward"
Pass = Mapping[str, int]
"""How many images an update encodes, by whom: ``student`` with gradient, ``stopped`` and ``teacher`` without."""


@attrs.frozen
class Sizes:
    """What a step takes: `batch` labelled images; `clips` of `frames`; crops of `size` pixels."""

    batch: int
    clips: int
    frames: int
    size: int


PUBLISHED = Sizes(batch=128, clips=8, frames=30, size=224)


def recipe_of(sizes: Sizes, device: str, data_clips: int, changes: Sequence[str]) -> Recipe:
    """The recipe at these sizes, with few clips and one step a part of the latent space."""
    small = [f"data.{role}.{part}_clips=1" for role in ("source", "target") for part in ("validation", "test")]
    return load_recipe(
        RECIPE,
        [
            f"engine.device={device}",
            f"settings.frames={sizes.frames}",
            f"settings.adaptation.clips={sizes.clips}",
            f"settings.source.batch={sizes.batch}",
            *(f"data.{role}.size={sizes.size}" for role in ("source", "target")),
            *(f"data.{role}.train_clips={data_clips}" for role in ("source", "target")),
            *small,
            "data.poses.train_sequences=64",
            *(f"{part}.steps=1" for part in ("pose_prior", "motion_prior", "relation_network")),
            *changes,
        ],
    )


class Bench:
    """A run whose rows can be trained at will.

    Args:
        recipe: of `recipe_of`. folder: where data and latent space go.
    """

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        host = Host.load()
        run(recipe, host, folder, only=("latent", "data-source", "data-target"))
        self.recipe, self._folder, self._folders = recipe, folder, stage_folders(folder)
        table = {"use": recipe.method, **recipe.settings}
        self.method: SelfAdaptation = host.build("method", table, "settings", recipe=recipe, host=host)

    def engine(self, precision: Any, every: int, board: Any) -> Engine:
        """An engine that tells `board` of every `every`-th step and keeps no checkpoint."""
        settings = attrs.evolve(self.recipe.engine, precision=precision, log_every=every, checkpoint_every=10**9)
        return Engine(settings, self.recipe.seed, board)

    def source(self, engine: Engine) -> SupervisedTask:
        """Source training."""
        row = next(row for row in self.method.rows if row.name == SOURCE)
        context = self._context(engine)
        self.method.space.load_pose_prior(context.of("pose_prior"), engine.device, engine.dtype)
        return source_task(self.method, row, self.method.space.encoder(), context)

    def adaptation(self, engine: Engine, schedule: Any) -> AdaptationTask:
        """Adaptation with all published losses, in alternation or jointly."""
        row = next(row for row in self.method.rows if row.name == ADAPTED)
        rates = self.method.config.adaptation.learning_rates if schedule == "alternating" else {}
        settings = attrs.evolve(self.method.config.adaptation, schedule=schedule, learning_rates=rates)
        context = self._context(engine)
        self.method.space.load_pose_prior(context.of("pose_prior"), engine.device, engine.dtype)
        row = attrs.evolve(row, adaptation=settings)
        return adaptation_task(self.method, row, self.method.space.encoder(), context)

    def _context(self, engine: Engine) -> Context:
        return Context(self._folder, "bench", self.recipe.seed, engine, SinkBoard(()), self._folder, self._folders)


def drawing(task: Any, device: torch.device, steps: int) -> Callable[[int], object]:
    """Draw what some steps of a task learn from and bring it to the device."""

    def draw(number: int) -> object:
        seeded = [torch.Generator().manual_seed(number * steps + step) for step in range(steps)]
        return [placed(task.draw(step, generator, WHOLE), device) for step, generator in enumerate(seeded)]

    return draw


def bare(encoder: nn.Module, passes: Sequence[Pass], size: int, engine: Engine | None = None) -> Callable[[], None]:
    """Forward and backward of the network alone, on as many images as the updates encode; no loss, no optimiser.

    Without an engine it computes in the weights' own precision. Gradients are left behind.
    """
    weight = next(encoder.parameters())
    counts = sorted({count for images in passes for count in images.values() if count})
    # Random pixels: zeros draw less power, and a GPU would clock higher than in training.
    images = {n: torch.rand(n, 3, size, size, device=weight.device, dtype=weight.dtype) for n in counts}

    def encode(count: int) -> None:
        with nullcontext() if engine is None else engine.fabric.autocast():
            out = encoder(images[count])
        if torch.is_grad_enabled():
            (out.z.float().sum() + out.feature.float().sum()).backward()

    def call() -> None:
        for update in passes:
            for by, count in update.items():
                if count:
                    with torch.set_grad_enabled(by == "student"):
                        encode(count)

    return call
