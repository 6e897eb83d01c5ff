"""Why does the published teacher get worse while its losses fall? What is measured at the ends of some epochs.

    OMP_NUM_THREADS=1 python benchmarks/lifting_drift.py [--seed 0] [--mixed]

The teacher of the recipe `ites` on ../shared/data/lifting, trained as the engine trains it; every eighth test frame, or
all with --every 1. `--mixed` lets what the cycle lifts enter the running statistics of batch normalisation, as in the
public code. Measured are the protocols, how well depths correlate with the truth's (whatever their sign), how large
they are against the truth's once sizes are fitted, the aligned error at the same depths made smaller by factors, and
how far canonical shapes are from their mean. Appends the records to results/lifting_drift.jsonl.
"""

from __future__ import annotations

import json
import platform
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import typer
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.evaluation import evaluate, load_protocol
from sa3dhp_core.geometry import fit_scale
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import load_recipe
from sa3dhp_core.runner import run, stage_folders
from sa3dhp_core.types import WHOLE, Skeleton
from sa3dhp_ites import losses, tasks
from sa3dhp_ites.lifter import lift_all
from sa3dhp_ites.scoring import whole

RESULTS = Path(__file__).parent / "results" / "lifting_drift.jsonl"
EPOCH, EPOCHS = 54, (1, 2, 4, 8, 15, 20, 30, 40, 50)
FACTORS = (0.0, 0.5, 0.75, 1.0)


def measured(lifter: Any, keypoints: Tensor, truth: Tensor, body: Skeleton) -> dict[str, float]:
    """Of one state of the teacher."""
    lifter.eval()
    poses = lift_all(lifter, keypoints)
    with torch.no_grad():
        canonical = lifter.lift(lifter.units(keypoints)).canonical
    found = {p: evaluate(load_protocol(p), poses, truth, body).value for p in ("ites-mpjpe", "ites-pa-mpjpe")}
    for factor in FACTORS:
        flatter = poses * poses.new_tensor([1.0, 1.0, factor])
        found[f"ites-pa-mpjpe, depth x {factor}"] = evaluate(load_protocol("ites-pa-mpjpe"), flatter, truth, body).value
    own, wanted = poses[..., 2], truth[..., 2]
    found["correlation of depths"] = float(torch.cosine_similarity(own, wanted, dim=1).abs().mean())
    found["size of depths"] = float(fit_scale(poses, truth)[..., 2].abs().mean() / wanted.abs().mean())
    spread = losses.spread(canonical, lifter.skeleton.index(body.root))
    found["canonical spread, mm"] = 1000 * lifter.units.unit_m * float(spread)
    lifter.train()
    return found


def main(seed: int = 0, mixed: bool = False, every: int = 8, out: Path = Path("runs/lifting-drift")) -> None:
    """Train, print a line for each of the epochs, append the records."""
    recipe, host = load_recipe("ites", [f"seed={seed}"]), Host.load()
    run(recipe, host, out / f"data-{seed}", only=["data-keypoints"], store=out / "stages")
    method: Any = host.build("method", {"use": recipe.method, **recipe.settings}, "settings", recipe=recipe, host=host)
    folder = stage_folders(out / f"data-{seed}")["data-keypoints"]
    train, test = (method.data.keypoints(folder, split) for split in ("train", "test"))
    truth, keypoints = method.data.truth(folder, "test")[::every], whole(test)[::every]
    lifter = method.lifter("teacher", train.skeleton)
    lifter.units.fit(whole(train))
    task = tasks.TeacherTask(lifter, train, method.config.teaching)
    if mixed:
        tasks.statistics_kept = lambda module: nullcontext()  # type: ignore[assignment, return-value]
    ((optimizer, scheduler),) = task.optimizers().values()
    facts = {"seed": seed, "mixed": mixed, "every": every, "machine": platform.machine()}
    for step in range(task.steps):
        for update in task.updates(step, generator_for(recipe.seed, "teacher", step), WHOLE):
            optimizer.zero_grad()
            update.loss.backward()
            optimizer.step()
            scheduler.step()
        epoch, rest = divmod(step + 1, EPOCH)
        if rest == 0 and epoch in EPOCHS:
            logs = {name: float(value) for name, value in update.logs.items()}
            record = {"epoch": epoch, **logs, **measured(lifter, keypoints, truth, train.skeleton), **facts}
            print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in record.items()}), flush=True)
            with RESULTS.open("a", encoding="utf-8") as file:
                at = datetime.now(UTC).isoformat(timespec="seconds")
                file.write(json.dumps({**record, "at": at}) + "\n")


if __name__ == "__main__":
    typer.run(main)
