"""What keeps the student of `ites` from its teacher: its first weights, its running statistics? After some steps.

    OMP_NUM_THREADS=1 python benchmarks/lifting_student.py [--first small --first usual] [--seed 0] [--step N …]
        [--set key=value …] [--out FOLDER] [--no-record]

The recipe's student on ../shared/data/lifting, trained by the engine on the method's own task, from the teacher of the
run in FOLDER/ites-SEED, which is trained first where there is none (minutes). Every eighth test frame, or all with
--every 1. `small` are the first weights as they are, `usual` those of torch's linear maps. Each student is measured as
it is, and as it would be with running statistics taken anew, `settled`. Appends to results/lifting_student.jsonl.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import attrs
import torch
import typer
from _lifting import Opened, opened
from _machine import command, machine
from _watching import Watch, measured
from torch import nn

from sa3dhp_core.engine import Engine
from sa3dhp_core.protocols.sink import SPEEDS
from sa3dhp_core.recipe import load_recipe
from sa3dhp_ites.running import settle
from sa3dhp_ites.tasks import StudentTask
from sa3dhp_ites.training import DATA, STUDENT, TEACHER, student_task

RESULTS = Path(__file__).parent / "results" / "lifting_student.jsonl"
SMALL, USUAL = "small", "usual"
BATCHES = 54
"""From which statistics are taken anew: an epoch."""


def usual(module: nn.Module) -> None:
    """First weights of torch's linear maps instead of the lifter's own."""
    if isinstance(module, nn.Linear):
        module.reset_parameters()


def report(
    some: Opened, task: StudentTask, facts: Mapping[str, Any], record: bool, done: int, scalars: Mapping[str, float]
) -> None:
    """Print a line of the student as it is, and append it."""
    logs = {name: value for name, value in scalars.items() if name not in SPEEDS}
    settled = deepcopy(task.lifter)
    settle(settled, task.settling(facts["seed"], BATCHES))
    figures = measured(task.lifter, some.test_keypoints, some.test_truth)
    anew = measured(settled, some.test_keypoints, some.test_truth)
    row = {"step": done, **logs, **figures, **{f"{name}, settled": value for name, value in anew.items()}, **facts}
    print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}), flush=True)
    if record:
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**row, "at": datetime.now(UTC).isoformat(timespec="seconds")}) + "\n")


def main(
    first: Annotated[list[str], typer.Option(help=f"{SMALL} or {USUAL}")] = [SMALL, USUAL],  # noqa: B006
    seed: int = 0,
    every: Annotated[int, typer.Option(help="each so many-th test frame", min=1)] = 8,
    step: Annotated[list[int], typer.Option(help="when to measure; repeat")] = [54, 108],  # noqa: B006
    changes: Annotated[list[str], typer.Option("--set", help="as in `sa3dhp run`")] = [],  # noqa: B006
    record: Annotated[bool, typer.Option(help="append to the committed results")] = True,
    out: Path = Path("runs/lifting-student"),
) -> None:
    """Train up to the last of the steps, from each of the first weights."""
    if unknown := set(first) - {SMALL, USUAL}:
        raise typer.BadParameter(f"{sorted(unknown)} is neither {SMALL} nor {USUAL}", param_hint="--first")
    resolved = load_recipe("ites", [*changes, f"seed={seed}"])
    some = opened(resolved, out, every, only=(DATA, TEACHER))
    config = attrs.evolve(resolved.engine, log_every=math.gcd(*step), checkpoint_every=max(step) + 1)
    for name in first:
        task = student_task(some.method, some.data, some.keypoints, some.context)
        if name == USUAL:
            torch.manual_seed(seed)
            task.lifter.apply(usual)
        task.steps = max(step)
        facts = {"first weights": name, "seed": seed, "every": every, "command": command(), "machine": machine()}
        with tempfile.TemporaryDirectory() as folder:
            board = Watch(step, partial(report, some, task, facts, record))
            Engine(config, seed, board).train(task, STUDENT, Path(folder))


if __name__ == "__main__":
    typer.run(main)
