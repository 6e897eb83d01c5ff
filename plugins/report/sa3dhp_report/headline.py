"""What the page says first: which row stands for the run, and how it compares. It reads a summary, adds no figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from sa3dhp_core.tables import (
    LABELS,
    MPJPE,
    ORACLE,
    PA_MPJPE,
    REFERENCES,
    SOURCE_ONLY,
    SPREAD,
    TARGET_VALIDATION,
    Cell,
    Row,
    Summary,
    row_key,
    summarise,
)

STRONG_SOURCE = "strong-source"
CONTROLS = ("rehearsal", "light-rehearsal", STRONG_SOURCE, "statistics")
COLLAPSED = 0.6


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


def is_adapted(row: str) -> bool:
    """Whether a row is neither a reference (constant pose, source-only, oracle) nor a control."""
    return row_key(row) not in (*REFERENCES, *CONTROLS)


def chosen_row(summary: Summary, records: Sequence[dict[str, Any]]) -> Row | None:
    """The adapted row that validation prefers; without validation the last one. Test figures choose nothing."""
    rows = [row for row in summary.rows if is_adapted(row.name) and MPJPE in row.cells and row.split == summary.split]
    named = [row for row in rows if row.key.startswith("adapted")] or rows
    validation = summarise([r for r in records if r["split"] == TARGET_VALIDATION], TARGET_VALIDATION)
    scores = {row.name: row.cells[MPJPE].mean for row in validation.rows if MPJPE in row.cells}
    scored = [row for row in named if row.name in scores]
    if scored:
        return min(scored, key=lambda row: scores[row.name])
    return named[-1] if named else None


def headline(summary: Summary, records: Sequence[dict[str, Any]]) -> Headline | None:
    """The first lines of the page, or None where no row was adapted."""
    row = chosen_row(summary, records)
    if row is None:
        return None
    return Headline(row.name, _sentence(row, summary), tuple(_facts(row, summary)))


def _sentence(row: Row, summary: Summary) -> str:
    text = f"On {summary.split}, “{row.name}” has an MPJPE of {row.cells[MPJPE].text} mm"
    source, oracle, strong = (summary.find(key) for key in (SOURCE_ONLY, ORACLE, STRONG_SOURCE))
    known = [(name, r) for name, r in (("source-only", source), ("the oracle", oracle)) if r and MPJPE in r.cells]
    if known:
        text += ", against " + " and ".join(f"{r.cells[MPJPE].text} mm of {name}" for name, r in known)
    text += "."
    if strong is not None and MPJPE in strong.cells:
        text += f" Strong augmentation of the source alone, without adaptation, has {strong.cells[MPJPE].text} mm."
    else:
        text += " The control with strong augmentation of the source alone is missing from this run."
    return text


def _facts(row: Row, summary: Summary) -> list[Fact]:
    strong = summary.find(STRONG_SOURCE)
    facts = []
    for protocol in (MPJPE, PA_MPJPE):
        if protocol in row.recovery:
            control = strong.recovery.get(protocol) if strong is not None else None
            remark = f"strong-source control: {control.text} %" if control is not None else ""
            facts.append(Fact(*_parts(row.recovery[protocol]), f"of the {LABELS[protocol]} gap recovered", remark))
    for protocol in (MPJPE, PA_MPJPE):
        if protocol in row.cells:
            facts.append(Fact(*_parts(row.cells[protocol]), LABELS[protocol], f"{summary.split}, {protocol}"))
    if SPREAD in row.cells:
        collapsed = row.cells[SPREAD].mean < COLLAPSED
        remark = "low: predictions may have collapsed" if collapsed else "relative to the truth; near 0 is collapse"
        facts.append(Fact(*_parts(row.cells[SPREAD]), "spread of predictions", remark, collapsed))
    return facts


def _parts(cell: Cell) -> tuple[str, str]:
    mean, _, deviation = cell.text.partition(" ")
    return mean, " ".join(part for part in (deviation, cell.unit) if part)
