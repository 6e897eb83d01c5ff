"""Does a teacher of `ites` get worse while its losses fall? What is measured after some of its steps.

    OMP_NUM_THREADS=1 python benchmarks/lifting_drift.py [--recipe ites|ites-best] [--seed 0] [--mixed]
        [--step N …] [--set key=value …] [--no-record]

The recipe's teacher on ../shared/data/lifting, trained by the engine on the method's own task; every eighth test frame,
or all with --every 1. `--mixed` lets what the published cycle lifts enter the running statistics of batch
normalisation, as in the public code. Measured are the protocols, how well depths correlate with the truth's (whatever
their sign), how large they are against the truth's once sizes are fitted, the aligned error at the same depths made
smaller by factors, and how far canonical shapes are from their mean, if there are any. Appends the records to
results/lifting_drift.jsonl.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import attrs
import typer
from _lifting import opened
from _machine import command, machine
from _watching import Watch, measured
from torch import Tensor

from sa3dhp_core.engine import Engine
from sa3dhp_core.protocols.sink import SPEEDS
from sa3dhp_core.recipe import load_recipe
from sa3dhp_ites import losses, tasks
from sa3dhp_ites.lifter import ItesLifter, shapes_of_all
from sa3dhp_ites.training import TEACHER, teacher_task

RESULTS = Path(__file__).parent / "results" / "lifting_drift.jsonl"
STEPS = {
    "ites": [54 * epoch for epoch in (1, 2, 4, 8, 15, 20, 30, 40, 50)],
    "ites-best": [500, 1000, 1500],
}
"""When it is measured; an epoch of `ites` is 54 steps."""
FACTORS = (0.0, 0.5, 0.75, 1.0)


def measured_teacher(lifter: ItesLifter, keypoints: Tensor, truth: Tensor) -> dict[str, float]:
    """Of one state of the teacher."""
    found = measured(lifter, keypoints, truth, FACTORS)
    if lifter.canonical:
        lifter.eval()
        shapes, body = shapes_of_all(lifter, keypoints), lifter.skeleton
        found["canonical spread, mm"] = 1000 * float(losses.spread(shapes, body.index(body.root)))
        lifter.train()
    return found


def main(
    recipe: Annotated[str, typer.Option(help="ites or ites-best")] = "ites",
    seed: int = 0,
    mixed: bool = False,
    every: Annotated[int, typer.Option(help="each so many-th test frame", min=1)] = 8,
    step: Annotated[list[int], typer.Option(help="when to measure; repeat")] = [],  # noqa: B006
    changes: Annotated[list[str], typer.Option("--set", help="as in `sa3dhp run`")] = [],  # noqa: B006
    record: Annotated[bool, typer.Option(help="append to the committed results")] = True,
    out: Path = Path("runs/lifting-drift"),
) -> None:
    """Train, print a line for each of the steps, append the records."""
    resolved = load_recipe(recipe, [*changes, f"seed={seed}"])
    how, steps = resolved.settings["teaching"], step or STEPS.get(resolved.id, [])
    if not steps or max(steps) > how["steps"]:
        raise typer.BadParameter(f"name some of the {how['steps']} steps of {resolved.id}", param_hint="--step")
    some = opened(resolved, out, every)
    if mixed:
        tasks.statistics_kept = lambda module: nullcontext()  # type: ignore[assignment, return-value]
    task = teacher_task(some.method, some.data, some.keypoints, some.context)
    facts = {
        "recipe": resolved.id,
        "seed": seed,
        "mixed": mixed,
        "every": every,
        "command": command(),
        "machine": machine(),
    }

    def measure(done: int, scalars: Mapping[str, float]) -> None:
        at = {"step": done, "epoch": round(done * some.method.config.teaching.batch / len(some.data), 2)}
        figures = measured_teacher(task.lifter, some.test_keypoints, some.test_truth)
        logs = {name: value for name, value in scalars.items() if name not in SPEEDS}
        row = {**at, **logs, **figures, **facts}
        print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}), flush=True)
        if record:
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**row, "at": datetime.now(UTC).isoformat(timespec="seconds")}) + "\n")

    config = attrs.evolve(resolved.engine, log_every=math.gcd(*steps), checkpoint_every=task.steps)
    with tempfile.TemporaryDirectory() as folder:
        Engine(config, seed, Watch(steps, measure)).train(task, TEACHER, Path(folder))


if __name__ == "__main__":
    typer.run(main)
