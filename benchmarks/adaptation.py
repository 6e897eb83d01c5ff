"""Does adaptation pay, beside every control? Runs a recipe for several seeds and prints its tables.

    OMP_NUM_THREADS=1 python benchmarks/adaptation.py [RECIPE] [--seed 0 --seed 1 …] [--set key=value …]
        [--out FOLDER] [--stages FOLDER] [--label TEXT] [--row NAME …]

Runs of one folder of stages share what they have in common (data, priors, source encoders). A run that is interrupted
goes on where it stopped. Each record of `results.json`, with command, date and machine, is appended to
results/adaptation.jsonl; the markdown tables go to results/adaptation-<label>.md: target test, target validation
(which chose every setting), and target test by motion family, inside and outside the unpaired poses' families.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from _machine import command, machine

from sa3dhp_core.atomic import write_text
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import load_recipe
from sa3dhp_core.runner import run
from sa3dhp_core.tables import markdown_table
from sa3dhp_self_adaptation.method import score_stage

RESULTS = Path(__file__).parent / "results"
SPLITS = ("target-test", "target-validation", "target-test:families-in-prior", "target-test:families-not-in-prior")


def main(
    recipe: Annotated[str, typer.Argument(help="id or file")] = "quickstart",
    seeds: Annotated[list[int], typer.Option("--seed", help="repeat for several seeds")] = [0, 1, 2],  # noqa: B006
    changes: Annotated[list[str], typer.Option("--set", help="as in `sa3dhp run`; {seed} is replaced")] = [],  # noqa: B006
    out: Annotated[Path, typer.Option(help="folder of the runs")] = Path("runs/bench"),
    stages: Annotated[Path | None, typer.Option(help="folder of stages shared between runs")] = None,
    label: Annotated[str, typer.Option(help="name of the tables; the recipe's id if empty")] = "",
    rows: Annotated[list[str], typer.Option("--row", help="only these rows, in this order; all if none")] = [],  # noqa: B006
    record: Annotated[bool, typer.Option(help="append to the committed results")] = True,
) -> None:
    """Run, print, record."""
    host = Host.load()
    name = label or Path(recipe).stem
    records: list[dict[str, Any]] = []
    for seed in seeds:
        resolved = load_recipe(recipe, (*(change.replace("{seed}", str(seed)) for change in changes), f"seed={seed}"))
        only = ("latent", *(score_stage(row) for row in rows)) if rows else ()
        content = run(resolved, host, out / f"{name}-{seed}", only=only, store=stages or out / "stages")
        records += content["records"]
    facts = {"label": name, "command": command(), "date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine()}
    text = page(records, **facts)
    print(text)
    if record:
        write_text(RESULTS / f"adaptation-{name}.md", text)
        with (RESULTS / "adaptation.jsonl").open("a", encoding="utf-8") as file:
            for row in records:
                file.write(json.dumps({**facts, **row}) + "\n")


def page(records: list[dict[str, Any]], label: str, command: str, date: str, machine: str) -> str:
    """All tables: mean and deviation on every split, then the target's test for each seed."""
    tables = [(split, markdown_table(records, split)) for split in _measured(records)]
    seeds = sorted({row["seed"] for row in records})
    for seed in seeds if len(seeds) > 1 else ():
        own = [row for row in records if row["seed"] == seed]
        tables.append((f"{SPLITS[0]}, seed {seed}", markdown_table(own, SPLITS[0])))
    head = f"# {label}\n\n`{command}`, {date}, {machine}\n\n"
    return head + "\n".join(f"## {name}\n\n{table}\n" for name, table in tables)


def _measured(records: list[dict[str, Any]]) -> list[str]:
    there = {row["split"] for row in records}
    return [split for split in SPLITS if split in there] + sorted(s for s in there if s.startswith("latent"))


if __name__ == "__main__":
    typer.run(main)
