"""From a run directory to one HTML page that opens offline. Reads the run's files, writes ``report.html``, no more."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from sa3dhp_core.atomic import write_text
from sa3dhp_core.errors import RunError
from sa3dhp_core.tables import (
    Row,
    Summary,
    caption,
    cells_of,
    header,
    is_latent,
    summarise,
)
from sa3dhp_report import figures, inputs
from sa3dhp_report.config import ReportConfig
from sa3dhp_report.headline import cast, headline
from sa3dhp_report.scenes import pictures, scenes

REPORT = "report.html"


def build_report(run: Path, config: ReportConfig | None = None) -> Path:
    """Write ``report.html`` into a run directory, from what the directory holds.

    A file that is missing or damaged costs its section alone, which then says so.

    Args:
        run: the run directory.
        config: how much to show.

    Returns:
        The report's path.

    Raises:
        RunError: there is no such directory, or it holds none of a run's files.
    """
    if not run.is_dir():
        raise RunError("there is no such run directory", where=str(run), hint="sa3dhp run RECIPE --out FOLDER")
    if not any((run / name).is_file() for name in inputs.FILES):
        raise RunError(
            "this is no run directory",
            where=str(run),
            expected=f"at least one of {', '.join(inputs.FILES)}",
            hint="name the folder that was given to `sa3dhp run … --out`",
        )
    path = run / REPORT
    write_text(path, render(run, config or ReportConfig()))
    return path


def render(run: Path, config: ReportConfig) -> str:
    """The page as text."""
    results, recipe = inputs.results(run), inputs.recipe(run)
    records: list[dict[str, Any]] = results.value["records"] if results.value else []
    summary = summarise([record for record in records if not is_latent(record["split"])])
    players = cast(summary, records, recipe.value[1] if recipe.value else {})
    joints, distances, samples = inputs.per_joint(run), inputs.latent_distances(run), inputs.samples(run)
    named = [*(row.name for row in summary.rows), *(joints.value or {}), *(samples.value or _none()).predictions]
    slots = figures.row_slots(named, players)
    curves = inputs.curves(run)
    drawn_first = [row for row in (players.source, players.chosen) if row is not None]
    drawn = [
        figures.ladder(summary, players),
        figures.joint_bars(joints.value, slots, players.few) if joints.value else None,
        figures.distance_bars(distances.value) if distances.value else None,
    ]
    series = figures.curve_series(curves.value or {}, config.curve_points)
    plots = {figure["id"]: figure for figure in drawn if figure is not None}
    content = {
        "title": _title(results.value, recipe.value, run),
        "facts": _identity(results.value),
        "headline": headline(summary, players),
        "results": results,
        "table_content": _table(summary, players.chosen) if summary.rows else None,
        "others": _other_tables(records, summary),
        "plots": plots,
        "curves": curves,
        "stages": [stage for stage, scalars in series.items() if scalars],
        "joints": joints,
        "distances": distances,
        "samples": samples,
        "crops": pictures(samples.value, config.samples) if samples.value else [],
        "recipe": recipe,
        "recipe_html": _coloured(recipe.value[0]) if recipe.value else None,
        "environment": inputs.environment(run),
        "flat": _flat,
        "plotly": Markup(_plotly()) if plots or series else None,
        "style": Markup(_asset("report.css")),
        "script": Markup(_asset("report.js")),
        "data": _embedded(
            {
                "plots": plots,
                "curves": series,
                "scenes": scenes(samples.value, slots, drawn_first, config.samples) if samples.value else None,
            }
        ),
    }
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("report.html.j2")).render(content)


def _none() -> inputs.Samples:
    import numpy as np

    return inputs.Samples(np.zeros(0), np.zeros(0), {}, (), ())


def _asset(name: str) -> str:
    return (files("sa3dhp_report") / "page" / name).read_text(encoding="utf-8")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("</script", "<\\/script")


def _embedded(value: object) -> Markup:
    """JSON that may stand in a script element: no character in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _title(results: Mapping[str, Any] | None, recipe: tuple[str, dict[str, Any]] | None, run: Path) -> str:
    named = (results or {}).get("recipe") or (recipe[1].get("id") if recipe else None)
    return str(named or run.resolve().name)


def _identity(results: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    return [(key, str((results or {})[key])) for key in ("seed", "digest") if key in (results or {})]


def _table(summary: Summary, chosen: str | None) -> dict[str, Any]:
    rows = [
        {"cells": cells_of(row, summary), "kind": "chosen" if row.name == chosen else _kind(row)}
        for row in summary.rows
    ]
    return {"header": header(summary), "rows": rows, "caption": caption(summary)}


def _kind(row: Row) -> str:
    return "reference" if row.is_reference else ""


def _other_tables(records: list[dict[str, Any]], summary: Summary) -> list[dict[str, Any]]:
    """Tables of the splits that the main one does not show; the latent stages first."""
    splits = sorted({r["split"] for r in records} - {summary.split}, key=lambda split: (not is_latent(split), split))
    return [
        {
            "title": _split_title(split),
            "open": is_latent(split),
            **_table(summarise(records, split), None),
        }
        for split in splits
    ]


def _split_title(split: str) -> str:
    """``target-test:inside`` as ``Target test, inside``; ``latent:test`` as ``Latent stages, test``."""
    name, _, part = split.partition(":")
    title = "Latent stages" if is_latent(split) else name.replace("-", " ").capitalize()
    return f"{title}, {part}" if part else title


def _coloured(toml: str) -> Markup:
    """TOML with its headers, keys and comments marked."""
    lines = []
    for line in toml.splitlines():
        if re.match(r"\s*\[", line):
            lines.append(Markup('<span class="t">{}</span>').format(line))
        elif re.match(r"\s*#", line):
            lines.append(Markup('<span class="c">{}</span>').format(line))
        elif match := re.match(r"(\s*[\w.\"'-]+)(\s*=.*)", line):
            lines.append(Markup('<span class="k">{}</span>{}').format(*match.groups()))
        else:
            lines.append(escape(line))
    return Markup("\n").join(lines)


def _flat(value: object, prefix: str = "") -> list[tuple[str, str]]:
    """Nested plain data as (dotted key, text) pairs."""
    if isinstance(value, Mapping):
        return [pair for k, v in value.items() for pair in _flat(v, f"{prefix}.{k}" if prefix else str(k))]
    if isinstance(value, list) and all(not isinstance(item, (dict, list)) for item in value):
        return [(prefix, ", ".join(map(str, value)))]
    if isinstance(value, list):
        return [pair for i, v in enumerate(value) for pair in _flat(v, f"{prefix}.{i}")]
    return [(prefix, "–" if value is None else str(value))]
