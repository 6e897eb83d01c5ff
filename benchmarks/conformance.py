"""How long does the conformance kit take? Its quick profile over every shipped component, and over the template's.

    OMP_NUM_THREADS=1 python benchmarks/conformance.py [--profile quick|thorough] [--noun relation] …

One process, the plugins of this repository. Prints seconds and checks by noun, and what is broken, if anything is.
Appends one record to results/conformance.jsonl.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch
import typer
from _machine import command, machine

from sa3dhp_core.components import NOUNS, Component
from sa3dhp_core.conformance import Bench, Outcome, Subject, profile, run_checks
from sa3dhp_core.host import Host

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "conformance.jsonl"


def timed(components: Sequence[Component], bench: Bench) -> tuple[float, list[Outcome]]:
    """Seconds and outcomes of all checks of some components."""
    began = time.perf_counter()
    outcomes = list(run_checks([Subject.offered(component) for component in components], bench))
    return time.perf_counter() - began, outcomes


def template() -> list[Component]:
    """What `plugins/_template` offers."""
    sys.path.insert(0, str(ROOT / "plugins" / "_template"))
    from sa3dhp_template.plugin import sa3dhp_relations

    return list(sa3dhp_relations())


def main(
    profile_name: str = typer.Option("quick", "--profile", help="quick or thorough"),
    noun: list[str] = typer.Option([], help="nouns; all if none is named"),
    record: bool = typer.Option(True, help="append to results/conformance.jsonl"),
) -> None:
    """Print the table and append its record."""
    host = Host.load()
    bench = Bench(profile(profile_name), host)
    groups = {name: [offer.component for offer in host.components(name)] for name in (noun or NOUNS)}
    groups["the template's relation"] = template()
    rows, broken, whole = [], [], 0.0
    print(f"{'noun':26}{'components':>11}{'checks':>8}{'known':>7}{'broken':>8}{'seconds':>9}")
    for name, components in groups.items():
        seconds, outcomes = timed(components, bench)
        known, wrong = ([o for o in outcomes if o.status in kind] for kind in (("known",), ("broken", "mended")))
        print(f"{name:26}{len(components):11}{len(outcomes):8}{len(known):7}{len(wrong):8}{seconds:9.1f}", flush=True)
        rows.append(
            {"noun": name, "components": len(components), "checks": len(outcomes), "seconds": round(seconds, 2)}
        )
        broken += wrong
        whole += seconds
    print(f"{'together':26}{'':34}{whole:9.1f}")
    for outcome in broken:
        print(f"\n{outcome.subject}: {outcome.check}\n{outcome.reason}")
    if record:
        shared = {
            "command": command(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{machine()}, {torch.get_num_threads()} thread(s), torch {torch.__version__}",
        }
        RESULTS.parent.mkdir(exist_ok=True)
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**shared, "profile": profile_name, "broken": len(broken), "rows": rows}) + "\n")


if __name__ == "__main__":
    typer.run(main)
