"""What is each part of `ites-best` worth? Its teacher with one part left out, beside the whole.

    OMP_NUM_THREADS=1 python benchmarks/lifting_gain.py [--seed 0 --seed 1 …] [--out FOLDER]

The recipe on ../shared/data/lifting; only the keys of the row differ. The truth is read to score the test split once,
at the end of each training. Prints a table and appends the records to results/lifting_gain.jsonl.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from _machine import command, machine

from sa3dhp_core.host import Host
from sa3dhp_core.recipe import load_recipe
from sa3dhp_core.runner import run

RESULTS = Path(__file__).parent / "results" / "lifting_gain.jsonl"
ROWS = {
    "whole": (),
    "no plausibility": ("settings.teaching.plausibility=0",),
    "no bones": ("settings.teaching.bones=0",),
    "no equivariance": ("settings.teaching.equivariance=0",),
    "level cameras": ("settings.teaching.learn_tilt=false",),
    "shifted keypoints": ("settings.teacher.centred=false",),
}
PROTOCOLS = ("ites-mpjpe", "ites-pa-mpjpe", "ites-set-mpjpe", "ites-set-pa-mpjpe", "pa-mpjpe")


def main(
    seed: Annotated[list[int], typer.Option()] = [0],  # noqa: B006
    row: Annotated[list[str], typer.Option()] = list(ROWS),  # noqa: B006
    out: Path = Path("runs/lifting-gain"),
) -> None:
    """Train what is missing, print the table, append the records."""
    host = Host.load()
    facts = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "command": command(), "machine": machine()}
    print(f"{'row':20} seed  " + "  ".join(PROTOCOLS))
    for number in seed:
        for name in row:
            recipe = load_recipe("ites-best", [f"seed={number}", *ROWS[name]])
            folder = out / f"{name.replace(' ', '-')}-{number}"
            records = run(recipe, host, folder, only=["score-teacher"], store=out / "stages")["records"]
            found = {
                r["protocol"]: r["value"] for r in records if (r["row"], r["split"]) == ("teacher", "keypoints-test")
            }
            values = {protocol: found[protocol] for protocol in PROTOCOLS}
            print(f"{name:20} {number:4}  " + "  ".join(f"{v:{len(p)}.1f}" for p, v in values.items()), flush=True)
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"row": name, "seed": number, **values, **facts}) + "\n")


if __name__ == "__main__":
    typer.run(main)
