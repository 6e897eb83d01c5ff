"""The table of a run: rows by metrics, mean ± deviation over seeds, recovery of the gap to the oracle.

It reads records as `results.json` holds them; it never computes an error from poses.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

MPJPE, PA_MPJPE, SPREAD = "mpjpe-root", "pa-mpjpe", "spread"
LABELS = {MPJPE: "MPJPE", PA_MPJPE: "PA-MPJPE", SPREAD: "spread"}
TARGET_TEST, TARGET_VALIDATION, SOURCE_TEST, LATENT = "target-test", "target-validation", "source-test", "latent"
KEYPOINTS_TEST, KEYPOINTS_VALIDATION = "keypoints-test", "keypoints-validation"
HELD_OUT = (TARGET_TEST, TARGET_VALIDATION, KEYPOINTS_TEST, KEYPOINTS_VALIDATION)
"""Splits that a table shows by default, the first that there is."""

CONSTANT, SOURCE_ONLY, ORACLE = "constant-pose", "source-only", "oracle"
LEAST_GAP_MM = 1.0
"""A gap between source-only and oracle below this is noise; shares of it would be too."""
REFERENCES = (CONSTANT, SOURCE_ONLY, ORACLE, SOURCE_TEST)

Record = Mapping[str, Any]
Sample = tuple[int, str]
"""Seed and recipe digest: what tells one measurement of a row from another."""


def is_latent(split: str) -> bool:
    """Whether a split belongs to the latent stages (``latent``, ``latent:test``), which predict no images."""
    return split.partition(":")[0] == LATENT


def row_key(row: str) -> str:
    """A row's name as the table compares it: lower case, hyphens for spaces (``Constant pose`` is `CONSTANT`)."""
    return "-".join(row.lower().split())


@attrs.frozen
class Cell:
    """One figure: its values by (seed, recipe digest), and their unit."""

    samples: Mapping[Sample, float]
    unit: str = ""

    @property
    def mean(self) -> float:
        """Mean over the samples."""
        return math.fsum(self.samples.values()) / len(self.samples)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the samples (n − 1), None for a single one."""
        if len(self.samples) < 2:
            return None
        squares = math.fsum((value - self.mean) ** 2 for value in self.samples.values())
        return math.sqrt(squares / (len(self.samples) - 1))

    @property
    def text(self) -> str:
        """``82.9`` or ``82.9 ± 1.2`` (millimetres and per cent one digit or none, plain ratios two)."""
        digits = {"mm": 1, "%": 0}.get(self.unit, 2)
        deviation = self.deviation
        return f"{round(self.mean, digits) + 0.0:.{digits}f}" + (
            "" if deviation is None else f" ± {deviation:.{digits}f}"
        )


@attrs.frozen
class Row:
    """A row of the table: its cells and recoveries by protocol id."""

    name: str
    split: str
    cells: Mapping[str, Cell]
    recovery: Mapping[str, Cell]

    @property
    def key(self) -> str:
        """The name as rows are compared."""
        return row_key(self.name)

    @property
    def is_reference(self) -> bool:
        """Whether the row only frames the others: constant pose, source-only, oracle, the source's own test split."""
        return self.key in REFERENCES or self.split == SOURCE_TEST


@attrs.frozen
class Summary:
    """What a table shows.

    Attributes:
        split: the split of the rows that do not say otherwise.
        protocols: protocol ids of the columns: the house's three first, then others as they appeared.
        rows: in order of first appearance.
    """

    split: str
    protocols: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def recovered(self) -> tuple[str, ...]:
        """Protocols for which at least one row has a recovery."""
        return tuple(p for p in self.protocols if any(p in row.recovery for row in self.rows))

    def find(self, key: str) -> Row | None:
        """The row of that key, if there is one."""
        return next((row for row in self.rows if row.key == key), None)


def summarise(records: Iterable[Record], split: str | None = None) -> Summary:
    """Gather records into rows.

    Args:
        records: as in ``results.json``; of two with the same row, protocol, split, seed and digest the later counts.
        split: which split to show; by default the first of `HELD_OUT` that there is, else the first.
            Where the default is shown, rows that were measured on the source's test split alone are shown too; if
            there is none, source-only's figures on that split come last.

    Returns:
        The rows, with recovery = (source-only − row) / (source-only − oracle) in per cent, for errors in mm, where both
        references exist and source-only is worse than the oracle by `LEAST_GAP_MM` or more. Pairs are made within a
        seed and recipe where possible, else with the mean of the reference.
    """
    records = list(records)
    chosen = split or _default_split(records)
    if split is None:
        records = [record for record in records if not is_latent(str(record["split"]))] or records
    by_row: dict[tuple[str, str], dict[str, dict[Sample, float]]] = {}
    units: dict[str, str] = {}
    order: dict[str, None] = {}
    for record in records:
        cells = by_row.setdefault((str(record["row"]), str(record["split"])), {})
        sample = (int(record.get("seed", 0)), str(record.get("recipe_digest", "")))
        cells.setdefault(str(record["protocol"]), {})[sample] = float(record["value"])
        units.setdefault(str(record["protocol"]), str(record.get("unit", "")))
        order.setdefault(str(record["row"]))
    shown = []
    for name in order:
        found = chosen if (name, chosen) in by_row else (SOURCE_TEST if split is None else chosen)
        if (name, found) in by_row:
            figures = {p: Cell(samples, units[p]) for p, samples in by_row[name, found].items()}
            shown.append(Row(name, found, figures, {}))
    if split is None and not any(row.split == SOURCE_TEST for row in shown):
        for name in order:
            if row_key(name) == SOURCE_ONLY and (name, SOURCE_TEST) in by_row:
                figures = {p: Cell(samples, units[p]) for p, samples in by_row[name, SOURCE_TEST].items()}
                shown.append(Row(f"{name} on {SOURCE_TEST}", SOURCE_TEST, figures, {}))
    protocols = dict.fromkeys(p for row in shown for p in row.cells)
    columns = (*(p for p in LABELS if p in protocols), *(p for p in protocols if p not in LABELS))
    source, oracle = (next((r for r in shown if r.key == key and r.split == chosen), None) for key in REFERENCES[1:3])
    if source is not None and oracle is not None:
        shown = [attrs.evolve(row, recovery=_recoveries(row, source, oracle)) for row in shown]
    return Summary(chosen, columns, tuple(shown))


def render_table(records: Iterable[Record], split: str | None = None, title: str | None = None) -> Table:
    """The table for a terminal; see `summarise` for what it holds."""
    summary = summarise(records, split)
    table = Table(
        title=title,
        caption=caption(summary),
        caption_justify="left",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        min_width=40,
    )
    head, *columns = header(summary)
    table.add_column(
        head, vertical="bottom", min_width=min(32, max((len(row.name) for row in summary.rows), default=0))
    )
    for column in columns:
        stacked = column.replace(" (", "\n(").replace("recovery ", "recovery\n")
        table.add_column(stacked, justify="right", no_wrap=True)
    for row in summary.rows:
        name = escape(row.name)
        table.add_row(
            f"[dim]{name}[/]"
            if row.key in REFERENCES
            else f"[bold]{name}[/]"
            if row.key.startswith("adapted")
            else name,
            *cells_of(row, summary)[1:],
        )
    return table


def _style(row: Row) -> str:
    return "dim" if row.is_reference else "bold" if row.key.startswith("adapted") else ""


def markdown_table(records: Iterable[Record], split: str | None = None) -> str:
    """The table as Markdown, with its caption below; see `summarise` for what it holds."""
    summary = summarise(records, split)
    columns = header(summary)
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *(cells_of(row, summary) for row in summary.rows)]
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return f"{table}\n\n{caption(summary)}\n"


def header(summary: Summary) -> list[str]:
    """Column heads, the row's first."""
    units = {p: next(row.cells[p].unit for row in summary.rows if p in row.cells) for p in summary.protocols}
    heads = [LABELS.get(p, p) + (f" ({units[p]})" if units[p] else "") for p in summary.protocols]
    many = len(summary.recovered) > 1
    return ["row", *heads, *(f"recovery{' ' + LABELS.get(p, p) if many else ''} (%)" for p in summary.recovered)]


def cells_of(row: Row, summary: Summary) -> list[str]:
    """A row's texts, in the header's order; an en dash where there is no figure."""
    figures = [row.cells.get(p) for p in summary.protocols] + [row.recovery.get(p) for p in summary.recovered]
    return [row.name, *(cell.text if cell is not None else "–" for cell in figures)]


def caption(summary: Summary) -> str:
    """What the figures are: split, protocols, how many seeds."""
    seeds = sorted({seed for row in summary.rows for cell in row.cells.values() for seed, _ in cell.samples})
    parts = [f"split {summary.split}" if summary.split else "no records"]
    elsewhere = [row.name for row in summary.rows if row.split != summary.split and row.split not in row.key]
    if elsewhere:
        parts.append(f"of {', '.join(elsewhere)} {SOURCE_TEST}")
    parts += [f"{LABELS[p]} is {p}" for p in summary.protocols if LABELS.get(p, p) != p]
    if len(seeds) > 1:
        parts.append(f"mean ± standard deviation over seeds {', '.join(map(str, seeds))}")
    elif seeds:
        parts.append(f"seed {seeds[0]}")
    return "; ".join(parts)


def _default_split(records: Sequence[Record]) -> str:
    splits = list(dict.fromkeys(str(record["split"]) for record in records))
    return next((s for s in HELD_OUT if s in splits), splits[0] if splits else "")


def _recoveries(row: Row, source: Row, oracle: Row) -> dict[str, Cell]:
    if row.is_reference or row.split != source.split:
        return {}
    found = {}
    for protocol, cell in row.cells.items():
        if cell.unit != "mm" or protocol not in source.cells or protocol not in oracle.cells:
            continue
        samples = {}
        for sample, value in cell.samples.items():
            start, goal = (_paired(reference.cells[protocol], sample) for reference in (source, oracle))
            if start - goal >= LEAST_GAP_MM:
                samples[sample] = 100.0 * (start - value) / (start - goal)
        if samples:
            found[protocol] = Cell(samples, "%")
    return found


def _paired(reference: Cell, sample: Sample) -> float:
    """The reference's value for a sample: of the same seed and recipe, else of the same seed, else the mean."""
    if sample in reference.samples:
        return reference.samples[sample]
    same_seed = [value for (seed, _), value in reference.samples.items() if seed == sample[0]]
    return math.fsum(same_seed) / len(same_seed) if same_seed else reference.mean
