"""Printing for the command line: plain text is never read as markup, tables stay whole in a pipe."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 160
"""Columns where the output is no terminal."""


def out() -> Console:
    """Standard output."""
    return Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def err() -> Console:
    """Standard error; lines are never broken, so that messages can be searched for."""
    return Console(stderr=True, markup=False, highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """JSON on standard output, on the first rank only."""
    if is_first_rank():
        print(json.dumps(value, indent=1))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on standard output."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    out().print(table)


def print_results(results: Mapping[str, Any]) -> None:
    """The records of a `results.json`, a table a split: rows down, protocols across.

    Validation chooses and test reports: splits that end in ``test`` are printed where there are any; those with a
    qualifier (``target-test:families``) are for the report.
    """
    if not is_first_rank():
        return
    splits = list(dict.fromkeys(record["split"] for record in results["records"]))
    reported = [split for split in splits if split.endswith("test") and ":" not in split]
    for split in reported or splits:
        records = [record for record in results["records"] if record["split"] == split]
        columns = list(dict.fromkeys((record["protocol"], record["unit"]) for record in records))
        cells: dict[str, dict[tuple[str, str], float]] = {}
        for record in records:
            cells.setdefault(record["row"], {})[(record["protocol"], record["unit"])] = record["value"]
        rows = [[row, *(_number(values.get(column), column[1]) for column in columns)] for row, values in cells.items()]
        heads = [f"{protocol} ({unit})" if unit else protocol for protocol, unit in columns]
        print_table(f"{results['recipe']}, seed {results['seed']}, {split}", ["row", *heads], rows)
        print()


def _number(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.1f}" if unit else f"{value:.2f}"


def is_first_rank() -> bool:
    """Whether this process is the one that talks, under torchrun or SLURM too."""
    return not any(int(os.environ.get(name) or 0) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
