"""Printing for the command line: plain text is never read as markup, tables stay whole in a pipe.

Rich is imported by the functions that need it, because many calls print no table.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sa3dhp_core.ranks import is_first

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 160
"""Columns where the output is no terminal."""


def out(markup: bool = False) -> Console:
    """Standard output; `markup` for what was made with Rich's own, and escaped."""
    from rich.console import Console

    return Console(markup=markup, highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def err() -> Console:
    """Standard error; lines are never broken, so that messages can be searched for."""
    from rich.console import Console

    return Console(stderr=True, markup=False, highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """JSON on standard output, on the first rank only."""
    if is_first():
        print(json.dumps(value, indent=1))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on standard output."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    out().print(table)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A function that shows one line on a terminal while something runs, in the place of the line before."""
    stream = sys.stderr
    if not stream.isatty():
        yield lambda text: None
        return

    def show(text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\x1b[2K{text[:width]}", end="", file=stream, flush=True)

    try:
        yield show
    finally:
        show("")


def print_results(results: Mapping[str, Any]) -> None:
    """The tables of a `results.json`: rows down, protocols across; the latent stages first, where there are any, then
    the target's test split (or what there is instead).
    """
    if not is_first():
        return
    from rich.markup import escape

    from sa3dhp_core.tables import is_latent, render_table

    title, records = escape(f"{results['recipe']}, seed {results['seed']}"), results["records"]
    latent = next((str(record["split"]) for record in records if is_latent(str(record["split"]))), None)
    if latent is not None:
        out(markup=True).print(render_table(records, latent, title=f"{title}: latent stages"))
    if latent is None or any(not is_latent(str(record["split"])) for record in records):
        out(markup=True).print(render_table(records, title=title))


def print_predictions(index: Mapping[str, Any], folder: Path) -> None:
    """The clips of an `index.json`, how much of each was not seen, and where their files are."""
    rows = [
        (clip["files"]["bvh"].removesuffix(".bvh"), clip["frames"], f"{clip['fps']:g}", clip["unseen_joints"])
        for clip in index["clips"]
    ]
    print_table("", ("clip", "frames", "fps", "unseen joints"), rows)
    for note in index["notes"]:
        print(f"note: {note}", file=sys.stderr)
    print(f"poses (npz, json, bvh): {folder}")
    for name in ("overlay", "page"):
        if name in index:
            print(f"{name}: {folder / index[name]}")
