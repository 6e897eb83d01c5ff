"""Figures as plain plotly data. Colours are slots that the page fills by theme: it draws, this room only says what.

A trace's ``slot`` is an index into the page's palette, or ``"ink"``, ``"muted"``, ``"faint"``; ``slots`` is one a bar.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sa3dhp_core.protocols.sink import SPEEDS
from sa3dhp_core.tables import MPJPE, PA_MPJPE, REFERENCES, Summary, row_key
from sa3dhp_report.headline import Cast

Figure = dict[str, Any]
Slot = int | str
PALETTE = 8
RANDOM_PAIR = 1.0


def row_slots(rows: Iterable[str], players: Cast) -> dict[str, Slot]:
    """A colour slot for each row, the same in every figure; those of the cast have slots of their own."""
    fixed = {players.chosen: 0, players.source: 1, players.oracle: 2, players.strong: 3}
    slots: dict[str, Slot] = {}
    others = 0
    for row in dict.fromkeys(rows):
        if row in fixed:
            slots[row] = fixed[row]
        elif row_key(row) in REFERENCES:
            slots[row] = "muted"
        else:
            slots[row] = len(fixed) + others % (PALETTE - len(fixed))
            others += 1
    return slots


def shown_rows(rows: Sequence[str], few: Sequence[str]) -> tuple[str, ...]:
    """Those of the few rows that there are, else the first three; the reader switches on the others."""
    return tuple(row for row in rows if row in few) or tuple(rows[:3])


def ladder(summary: Summary, players: Cast) -> Figure | None:
    """MPJPE of every row as bars, PA-MPJPE as marks, with lines at source-only and the oracle."""
    rows = [row for row in summary.rows if MPJPE in row.cells]
    if not rows:
        return None
    names = [row.name for row in rows]
    slots = [0 if row.name == players.chosen else "faint" if row.is_reference else "soft" for row in rows]
    cells = [row.cells[MPJPE] for row in rows]
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": "MPJPE",
            "y": names,
            "x": [round(cell.mean, 2) for cell in cells],
            "text": [f"{cell.mean:.1f}" for cell in cells],
            "textposition": "inside",
            "insidetextanchor": "start",
            "slots": slots,
            "hovertemplate": "%{y}: %{x:.1f} mm<extra>MPJPE</extra>",
        }
    ]
    if any(cell.deviation is not None for cell in cells):
        spread = [round(cell.deviation or 0.0, 2) for cell in cells]
        data[0]["error_x"] = {"type": "data", "array": spread, "thickness": 1.2, "width": 4}
    aligned = [row for row in rows if PA_MPJPE in row.cells]
    if aligned:
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "PA-MPJPE",
                "y": [row.name for row in aligned],
                "x": [round(row.cells[PA_MPJPE].mean, 2) for row in aligned],
                "slot": "ink",
                "marker": {"symbol": "diamond", "size": 8},
                "hovertemplate": "%{y}: %{x:.1f} mm<extra>PA-MPJPE</extra>",
            }
        )
    marks = [row.cells[MPJPE].mean for row in rows if row.name in (players.source, players.oracle)]
    lines = [{"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "slot": "muted"} for x in marks]
    layout = {
        "xaxis": {"title": {"text": "error in mm"}, "rangemode": "tozero"},
        "yaxis": {"autorange": "reversed", "categoryorder": "array", "categoryarray": names, "kind": "names"},
        "shapes": lines,
        "showlegend": bool(aligned),
        "bargap": 0.28,
    }
    label = "Errors of every row in mm; dashed lines mark source-only and the oracle"
    return _figure("ladder", data, layout, 96 + 30 * len(rows), label)


def joint_bars(
    rows: Mapping[str, Mapping[str, Sequence[Any]]], slots: Mapping[str, Slot], few: Sequence[str]
) -> Figure:
    """Per-joint errors, one bar a row; of many rows only a few are shown at first."""
    shown = shown_rows(list(rows), few)
    data = [
        {
            "type": "bar",
            "name": row,
            "x": [joint.replace("_", " ") for joint in entry["joints"]],
            "y": [round(float(error), 2) for error in entry["mpjpe_mm"]],
            "slot": slots[row],
            "visible": True if row in shown else "legendonly",
            "hovertemplate": "%{x}: %{y:.1f} mm<extra>%{fullData.name}</extra>",
        }
        for row, entry in rows.items()
    ]
    layout = {
        "barmode": "group",
        "bargap": 0.25,
        "yaxis": {"title": {"text": "error in mm"}, "rangemode": "tozero"},
        "xaxis": {"tickangle": -45},
        "showlegend": True,
    }
    return _figure("joints", data, layout, 420, "Error of every joint in mm, one bar a row")


def distance_bars(relations: Sequence[Mapping[str, Any]]) -> Figure:
    """Latent distances relative to that of a random pair, sorted, pose and motion relations in their own colours."""
    names = {"z": "relations of poses (z)", "v": "relations of motions (v)"}
    ordered = sorted(relations, key=lambda entry: entry["relative"])
    labels = [_relation_label(entry, ordered) for entry in ordered]
    data = []
    for slot, space in enumerate(dict.fromkeys(sorted((e["space"] for e in ordered), reverse=True))):
        here = [(label, entry) for label, entry in zip(labels, ordered, strict=True) if entry["space"] == space]
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": names.get(space, f"relations of {space}"),
                "y": [label for label, _ in here],
                "x": [round(entry["relative"], 4) for _, entry in here],
                "text": [f"{entry['relative']:.2f}" for _, entry in here],
                "textposition": "outside",
                "cliponaxis": False,
                "slot": 3 if slot else 0,
                "customdata": [entry["distance"] for _, entry in here],
                "hovertemplate": "%{y}: %{x:.2f} of a random pair, distance %{customdata:.3f}<extra></extra>",
            }
        )
    line = {"type": "line", "x0": RANDOM_PAIR, "x1": RANDOM_PAIR, "yref": "paper", "y0": 0, "y1": 1, "slot": "muted"}
    layout = {
        "xaxis": {"title": {"text": "latent distance, random pair = 1"}, "rangemode": "tozero"},
        "yaxis": {"categoryorder": "array", "categoryarray": labels, "kind": "names"},
        "shapes": [line],
        "showlegend": True,
        "bargap": 0.3,
    }
    return _figure("distances", data, layout, 110 + 26 * len(labels), "Latent distance of every relation")


def curve_series(
    stages: Mapping[str, Mapping[str, tuple[Sequence[int], Sequence[float]]]], points: int
) -> dict[str, list[dict[str, Any]]]:
    """By stage: its scalars as thinned lines, losses first; the speed is left out."""
    return {
        stage: [
            {"name": name, "x": x, "y": y}
            for name in sorted(scalars, key=lambda n: ("loss" not in n, list(scalars).index(n)))
            if name not in SPEEDS
            for x, y in [thin(*scalars[name], points)]
        ]
        for stage, scalars in stages.items()
    }


def thin(steps: Sequence[int], values: Sequence[float], points: int) -> tuple[list[int], list[float]]:
    """At most `points` points: means of equal runs of neighbours, each at its run's last step."""
    if len(steps) <= points:
        return list(steps), [_short(value) for value in values]
    edges = [round(i * len(steps) / points) for i in range(points + 1)]
    runs = list(zip(edges, edges[1:], strict=False))
    return [steps[b - 1] for _, b in runs], [_short(sum(values[a:b]) / (b - a)) for a, b in runs]


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _relation_label(entry: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> str:
    """The relation's name, with its space where the same name stands in both."""
    twice = sum(other["relation"] == entry["relation"] for other in entries) > 1
    return f"{entry['relation']} ({entry['space']})" if twice else str(entry["relation"])


def _figure(name: str, data: list[dict[str, Any]], layout: dict[str, Any], height: int, label: str) -> Figure:
    return {"id": name, "data": data, "layout": layout, "height": height, "label": label}
