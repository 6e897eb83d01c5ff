"""What the page says first: which row stands for the run, and how it compares. It reads a summary, adds no figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from sa3dhp_core.tables import (
    LABELS,
    MPJPE,
    ORACLE,
    PA_MPJPE,
    SOURCE_ONLY,
    SPREAD,
    TARGET_VALIDATION,
    Cell,
    Row,
    Summary,
    row_key,
    summarise,
)

CONTROLS = ("rehearsal", "light-rehearsal", "statistics", "statistics-re-estimated")
STRONG_SOURCE = ("strong-source", "strong-source-augmentation")
COLLAPSED = 0.6


@attrs.frozen
class Cast:
    """Which rows play the parts that a page speaks of, by name; None where a run has no such row.

    Attributes:
        chosen: the row that stands for the run.
        source: source-only.
        strong: the control with strong augmentation of the source alone.
        oracle: trained with target labels.
    """

    chosen: str | None
    source: str | None
    strong: str | None
    oracle: str | None

    @property
    def few(self) -> tuple[str, ...]:
        """The rows that a crowded figure shows at first."""
        return tuple(row for row in (self.source, self.strong, self.chosen, self.oracle) if row is not None)


@attrs.frozen
class Fact:
    """A figure, what follows it (deviation, unit), its label and a remark; `warning` marks one to be careful about."""

    value: str
    tail: str
    label: str
    remark: str = ""
    warning: bool = False


@attrs.frozen
class Headline:
    """The row that stands for the run, one sentence about it, and its figures."""

    row: str
    sentence: str
    facts: tuple[Fact, ...]


def cast(summary: Summary, records: Sequence[Mapping[str, Any]], recipe: Mapping[str, Any]) -> Cast:
    """Find the rows: as the recipe's ``[[rows]]`` declare them (kind, augmentation, headline), else by their names."""
    declared = [row for row in recipe.get("rows", ()) if isinstance(row, Mapping) and "name" in row]

    def first(keys: Sequence[str], **facts: object) -> str | None:
        told = [str(row["name"]) for row in declared if all(row.get(k) == v for k, v in facts.items())] if facts else []
        named = [row.name for row in summary.rows if row.key in keys]
        return next(iter(told + named), None)

    source, oracle = first((SOURCE_ONLY,)), first((ORACLE,), kind="oracle")
    strong = first(STRONG_SOURCE, kind="source", augmentation="strong")
    headlines = [name for name in (first((), headline=True),) if name and summary.find(row_key(name))]
    controls = {str(row["name"]) for row in declared if row.get("kind", "adapt") != "adapt"}
    adapted = _adapted(summary, records, {*controls, *(row for row in (source, strong, oracle) if row)})
    return Cast(headlines[0] if headlines else adapted, source, strong, oracle)


def _adapted(summary: Summary, records: Sequence[Mapping[str, Any]], others: set[str]) -> str | None:
    """The adapted row that validation prefers; without validation the last one. Test figures choose nothing."""
    rows = [row for row in summary.rows if not row.is_reference and row.name not in others and MPJPE in row.cells]
    rows = [row for row in rows if row.key not in CONTROLS]
    named = [row for row in rows if row.key.startswith("adapted")] or rows
    validation = summarise([r for r in records if r["split"] == TARGET_VALIDATION], TARGET_VALIDATION)
    scores = {row.name: row.cells[MPJPE].mean for row in validation.rows if MPJPE in row.cells}
    scored = [row for row in named if row.name in scores]
    if scored:
        return min(scored, key=lambda row: scores[row.name]).name
    return named[-1].name if named else None


def headline(summary: Summary, players: Cast) -> Headline | None:
    """The first lines of the page, or None where no row was adapted."""
    rows = {row.name: row for row in summary.rows}
    row = rows.get(players.chosen or "")
    if row is None or MPJPE not in row.cells:
        return None
    source, strong, oracle = (rows.get(name or "") for name in (players.source, players.strong, players.oracle))
    return Headline(row.name, _sentence(summary.split, row, source, strong, oracle), tuple(_facts(row, strong)))


def _sentence(split: str, row: Row, source: Row | None, strong: Row | None, oracle: Row | None) -> str:
    text = f"On {split}, “{row.name}” has an MPJPE of {row.cells[MPJPE].text} mm"
    known = [(name, r) for name, r in (("source-only", source), ("the oracle", oracle)) if r and MPJPE in r.cells]
    if known:
        text += ", against " + " and ".join(f"{r.cells[MPJPE].text} mm of {name}" for name, r in known)
    text += "."
    if strong is not None and MPJPE in strong.cells:
        text += f" Strong augmentation of the source alone, without adaptation, has {strong.cells[MPJPE].text} mm."
    else:
        text += " The control with strong augmentation of the source alone is missing from this run."
    return text


def _facts(row: Row, strong: Row | None) -> list[Fact]:
    facts = []
    for protocol in (MPJPE, PA_MPJPE):
        if protocol in row.recovery:
            control = strong.recovery.get(protocol) if strong is not None else None
            remark = f"strong-source control: {control.text} %" if control is not None else ""
            facts.append(Fact(*_parts(row.recovery[protocol]), f"of the {LABELS[protocol]} gap recovered", remark))
    for protocol in (MPJPE, PA_MPJPE):
        if protocol in row.cells:
            facts.append(Fact(*_parts(row.cells[protocol]), LABELS[protocol], f"{row.split}, {protocol}"))
    if SPREAD in row.cells:
        collapsed = row.cells[SPREAD].mean < COLLAPSED
        remark = "low: predictions may have collapsed" if collapsed else "relative to the truth; near 0 is collapse"
        facts.append(Fact(*_parts(row.cells[SPREAD]), "spread of predictions", remark, collapsed))
    return facts


def _parts(cell: Cell) -> tuple[str, str]:
    mean, _, deviation = cell.text.partition(" ")
    return mean, " ".join(part for part in (deviation, cell.unit) if part)
