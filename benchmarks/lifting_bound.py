"""How well does the lifter of `ites-best` do with labels? A bound for whoever learns from 2D keypoints alone.

    OMP_NUM_THREADS=1 python benchmarks/lifting_bound.py [--seed 0] [--every 8] [--set key=value …] [--no-record]

The teacher's network and units, its optimiser, batches and steps on ../shared/data/lifting; in place of its losses the
distance of depths from the true ones of the training frames. Scores every eighth test frame after the last step, prints
the figures and appends the record to results/lifting_bound.jsonl.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from _lifting import opened
from _machine import command, machine
from torch import Tensor, nn

from sa3dhp_core.evaluation import evaluate, load_protocol
from sa3dhp_core.protocols.task import Update
from sa3dhp_core.recipe import load_recipe
from sa3dhp_core.types import Shard
from sa3dhp_ites import losses
from sa3dhp_ites.config import Optimisation
from sa3dhp_ites.heads import at_depth
from sa3dhp_ites.lifter import ItesLifter, lift_all
from sa3dhp_ites.scoring import true_depths
from sa3dhp_ites.tasks import optimizer
from sa3dhp_ites.training import DATA, TEACHER, fitted

RESULTS = Path(__file__).parent / "results" / "lifting_bound.jsonl"
PROTOCOLS = ("ites-mpjpe", "ites-pa-mpjpe")


class Labelled:
    """`Task`: the distance of a lifter's depths from true ones.

    Args:
        lifter: trained; its units are fitted.
        keypoints: ``(N, J, 2)`` on the camera plane.
        truth: ``(N, J, 3)`` metres.
        config: how.
    """

    ema: float | None = None
    sharded: tuple[str, ...] = ()

    def __init__(self, lifter: ItesLifter, keypoints: Tensor, truth: Tensor, config: Optimisation) -> None:
        self.steps, self.clip_norm, self._config, self._lifter = config.steps, config.clip_norm, config, lifter
        self.modules: dict[str, nn.Module] = {"lifter": lifter}
        keypoints, truth = (some.to(lifter.units.scale) for some in (keypoints, truth))
        self._points = lifter.units(keypoints)
        self._truth = at_depth(self._points, true_depths(lifter.units, keypoints, truth))
        self._root = lifter.skeleton.index(lifter.skeleton.root)
        lifter.train()

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        """The teacher's."""
        return {"lifter": optimizer(self.modules.values(), self._config)}

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """One update a step."""
        chosen = torch.randint(len(self._points), (self._config.batch,), generator=generator)
        lifted = self._lifter.lift(self._points[chosen]).points
        distance = losses.depth_distance(lifted, self._truth[chosen], self._root)
        yield Update("lifter", distance, {"depth": distance.detach()})


def main(
    seed: int = 0,
    every: Annotated[int, typer.Option(help="each so many-th test frame", min=1)] = 8,
    changes: Annotated[list[str], typer.Option("--set", help="as in `sa3dhp run`")] = [],  # noqa: B006
    record: Annotated[bool, typer.Option(help="append to the committed results")] = True,
    out: Path = Path("runs/lifting-bound"),
) -> None:
    """Train, score, print, record."""
    recipe = load_recipe("ites-best", [*changes, f"seed={seed}"])
    some = opened(recipe, out, every, only=[DATA])
    lifter = fitted(some.method, TEACHER, some.keypoints, some.data.skeleton, some.context)
    task = Labelled(lifter, some.keypoints, some.truth, some.method.config.teaching)
    with tempfile.TemporaryDirectory() as folder:
        some.context.engine.train(task, "labelled", Path(folder))
    poses = lift_all(lifter, some.test_keypoints)
    cards = [load_protocol(name) for name in PROTOCOLS]
    found = {card.id: evaluate(card, poses, some.test_truth, some.data.skeleton).value for card in cards}
    print("  ".join(f"{name} {value:.1f} mm" for name, value in found.items()))
    if record:
        made = {"command": command(), "machine": machine(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
        row = {"recipe": recipe.id, "seed": seed, "steps": task.steps, "every": every, **found, **made}
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    typer.run(main)
