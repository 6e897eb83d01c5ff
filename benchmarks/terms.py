"""What do the ablation's losses still ask for? Values of every term of the longest row, under the encoder of each row.

    OMP_NUM_THREADS=1 python benchmarks/terms.py RUN [RUN …] [--row NAME …] [--of NAME] [--steps 20]

RUN is a finished run of `sa3dhp-world` (one a seed); `--of` names the row whose losses are measured. A term that is as
small in a row that never trained on it as in the row that did teaches nothing new. Contrastive terms have heads of
their own, so they are measured only where they were trained. Target labels are not read. Appends the records to
results/terms.jsonl.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import torch
import typer
from _machine import command, machine

from sa3dhp_core.atomic import generator_for, read_tensors
from sa3dhp_core.engine import Engine
from sa3dhp_core.engine.averaging import load_named
from sa3dhp_core.engine.checkpoint import WEIGHTS, load_weights
from sa3dhp_core.host import Host
from sa3dhp_core.runner import Context, recipe_of, stage_folders
from sa3dhp_core.sinks import SinkBoard
from sa3dhp_core.types import WHOLE
from sa3dhp_self_adaptation.method import SelfAdaptation, row_stage
from sa3dhp_self_adaptation.row_stages import adaptation_task

RESULT = Path(__file__).parent / "results" / "terms.jsonl"
OWN_HEADS = ("light-lcr", "light-hcr")
ROWS = [
    "strong source augmentation",
    "repaired: rehearsal",
    "repaired: + LCR",
    "repaired: + HCR",
    "repaired: + pose relation",
    "repaired: + flip-backward",
    "repaired: + slow-backward",
    "relations",
    "adapted",
]


@torch.no_grad()
def measured(run: Path, rows: list[str], of: str, steps: int) -> dict[str, dict[str, float]]:
    """Row to term to mean value over the same `steps` draws."""
    recipe, host = recipe_of(run), Host.load()
    method: SelfAdaptation = host.build(
        "method", {"use": recipe.method, **recipe.settings}, "settings", recipe=recipe, host=host
    )
    folders = stage_folders(run)
    board = SinkBoard(())
    engine = Engine(recipe.engine, recipe.seed, board)
    context = Context(run, "terms", recipe.seed, engine, board, run, folders)
    method.space.load_pose_prior(context.of("pose_prior"), context.engine.device)
    longest = next(row for row in method.rows if row.name == of)
    found = {}
    for name in rows:
        trained_in, encoder = folders[row_stage(name)], method.space.encoder()
        load_weights(trained_in, {"encoder": encoder})
        task = adaptation_task(method, longest, encoder, context)
        trained = next((row.losses for row in method.rows if row.name == name), ())
        # The row may have fewer losses, or other ones in their places: only heads of the same loss are taken over.
        same = [n for n, (one, other) in enumerate(zip(trained, longest.losses, strict=False)) if one == other]
        heads = {
            k: v
            for k, v in read_tensors(trained_in / WEIGHTS).items()
            if k.startswith(tuple(f"losses.{n}." for n in same))
        }
        fresh = task.modules["losses"].state_dict(prefix="losses.")
        load_named({"losses": task.modules["losses"]}, {**fresh, **heads})
        totals: dict[str, float] = {}
        for step in range(steps):
            update = next(iter(task.updates(step, generator_for("terms", step), WHOLE)))
            for term, value in update.logs.items():
                if term not in OWN_HEADS or term in trained:
                    totals[term] = totals.get(term, 0.0) + float(value) / steps
        found[name] = totals
    return found


def main(
    runs: Annotated[list[Path] | None, typer.Argument(help="finished runs, one a seed; default: runs/bench")] = None,
    rows: Annotated[list[str], typer.Option("--row", help="whose encoders")] = ROWS,  # noqa: B006
    of: Annotated[str, typer.Option(help="the row whose losses are measured")] = "repaired: + slow-backward",
    steps: Annotated[int, typer.Option(help="draws", min=1)] = 20,
) -> None:
    """Measure and print."""
    runs = runs or sorted(Path("runs/bench").glob("sa3dhp-world-ablation-*"))
    if not runs:
        print("no finished run: python benchmarks/adaptation.py sa3dhp-world --label sa3dhp-world-ablation, then again")
        return
    every = [measured(run, rows, of, steps) for run in runs]
    terms = list(dict.fromkeys(term for found in every[0].values() for term in found))
    lines = ["| encoder | " + " | ".join(terms) + " |", "| --- |" + " ---: |" * len(terms)]
    facts = {"command": command(), "machine": machine(), "date": f"{datetime.now(UTC):%Y-%m-%d}", "of": of}
    with RESULT.open("a", encoding="utf-8") as file:
        for row in rows:
            cells = []
            for term in terms:
                values = torch.tensor([seed[row][term] for seed in every if term in seed[row]])
                spread = f" ± {values.std():.3f}" if len(values) > 1 else ""
                cells.append(f"{values.mean():.3f}{spread}" if len(values) else "–")
                if len(values):
                    file.write(json.dumps({**facts, "encoder": row, "term": term, "values": values.tolist()}) + "\n")
            lines.append(f"| {row} | " + " | ".join(cells) + " |")
    print(f"Losses of {of!r}, {steps} draws; mean ± standard deviation over {len(runs)} runs.\n\n" + "\n".join(lines))


if __name__ == "__main__":
    typer.run(main)
