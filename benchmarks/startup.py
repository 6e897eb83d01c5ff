"""How long do the calls take that only list or explain? Medians of whole processes, and what bounds them from below.

    python benchmarks/startup.py [--processes 11] [--no-record]

Measures `sa3dhp --help` and `sa3dhp plugins list` beside two yardsticks, an interpreter that does nothing and one that
imports typer. The four take turns, so that noise of the machine falls on all alike; a first round, which fills the
disk's cache and leaves the bytecode as any installation has it, does not count. Prints a table and appends its records
to results/startup.jsonl, with the machine's load before and after: other work on its cores slows all four rows, their
computing time (user and system) least of all.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import typer
from _machine import command, machine

from sa3dhp_core.host import Host

RESULTS = Path(__file__).parent / "results" / "startup.jsonl"
SCRIPT = Path(sysconfig.get_path("scripts")) / "sa3dhp"
CALLS: dict[str, list[str]] = {
    "python -c pass": [sys.executable, "-c", "pass"],
    'python -c "import typer"': [sys.executable, "-c", "import typer"],
    "sa3dhp --help": [sys.executable, str(SCRIPT), "--help"],
    "sa3dhp plugins list": [sys.executable, str(SCRIPT), "plugins", "list"],
}
GOALS_S = {"sa3dhp --help": 0.4, "sa3dhp plugins list": 0.6}
"""What the medians are to stay below, on two cores."""


def main(
    processes: int = typer.Option(11, min=1, help="processes of each call"),
    record: bool = typer.Option(True, help="append to results/startup.jsonl"),
) -> None:
    """Print the table and append its records."""
    facts: dict[str, Any] = {
        "command": command(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        "distributions": len(list(distributions())),
        "components": len(Host.load().components()),
    }
    print(", ".join(f"{name} {value}" for name, value in facts.items() if name != "command"))
    print(f"{'':28}{'median s':>9}{'least':>8}{'most':>8}{'computing':>11}{'goal':>6}")
    times = times_s(CALLS, processes)
    facts["load_after"] = round(os.getloadavg()[0], 2)
    for name, measured in times.items():
        row = summary(name, measured)
        print(
            f"{name:28}{row['median_s']:9.3f}{row['least_s']:8.3f}{row['most_s']:8.3f}{row['computing_s']:11.3f}"
            f"{row['goal_s'] or '–':>6}"
        )
        if record:
            RESULTS.parent.mkdir(exist_ok=True)
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**row, **facts}) + "\n")


def times_s(calls: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds of wall clock and of computing of each call in each round, after a round that does not count."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(rounds + 1):
        for name, words in calls.items():
            began, computed = time.perf_counter(), _computing_s()
            subprocess.run(words, stdout=subprocess.DEVNULL, env=environment, check=True)
            found[name].append((time.perf_counter() - began, _computing_s() - computed))
    return {name: measured[1:] for name, measured in found.items()}


def summary(name: str, measured: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """A call's record."""
    seconds, computing = zip(*measured, strict=True)
    return {
        "call": name,
        "processes": len(seconds),
        "median_s": round(statistics.median(seconds), 3),
        "least_s": round(min(seconds), 3),
        "most_s": round(max(seconds), 3),
        "computing_s": round(statistics.median(computing), 3),
        "goal_s": GOALS_S.get(name),
    }


def _computing_s() -> float:
    """User and system time of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    typer.run(main)
