"""Results: records of (row, protocol, split, value, unit, seed, recipe digest), the source of every table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from sa3dhp_core.atomic import read_json, write_json

RESULTS = "results.json"


@attrs.frozen
class Record:
    """One number and what it is.

    Attributes:
        row: row of the table.
        protocol: id of the evaluation protocol's card, or of a diagnostic.
        split: which data it was measured on (``target-test``).
        value: the number.
        unit: ``mm``, ``%`` or empty.
        seed: of the run.
        recipe_digest: of the resolved recipe.
    """

    row: str
    protocol: str
    split: str
    value: float
    unit: str
    seed: int
    recipe_digest: str


def write_results(run: Path, recipe_id: str, digest: str, seed: int, records: Iterable[Record]) -> dict[str, Any]:
    """Write `results.json` and return its content."""
    content = as_results(recipe_id, digest, seed, records)
    write_json(run / RESULTS, content)
    return content


def as_results(recipe_id: str, digest: str, seed: int, records: Iterable[Record]) -> dict[str, Any]:
    """The content of a `results.json`."""
    return {
        "recipe": recipe_id,
        "digest": digest,
        "seed": seed,
        "records": [attrs.asdict(record) for record in records],
    }


def read_results(run: Path) -> dict[str, Any]:
    """Read a run's `results.json`."""
    content: dict[str, Any] = read_json(run / RESULTS)
    return content
