"""The paper's settings read their data sets: each on small sets in the publishers' files, through source training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from sa3dhp_core import runner
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import data_noun, load_recipe
from tests.recipes.shrinking import shrunk

SETTINGS = {
    "sa3dhp-s2h": "human36m",
    "sa3dhp-s2h-semi": "human36m",
    "sa3dhp-h2m": "mpi-inf-3dhp-test",
    "sa3dhp-s2w": "3dpw",
    "sa3dhp-sh2w": "3dpw",
}
"""Recipe, and whose truth its target is scored with."""

ROWS = [
    {"name": "constant pose", "kind": "constant"},
    {"name": "source-only", "kind": "source"},
]
SMALL = {"size": 32, "min_frames": 1}
SHORT = {"rows": ROWS, "settings": {"frames": 3}}


@pytest.fixture(scope="session")
def written(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], dict[str, Any]]:
    """The table of a small set in a component's own files, written once."""
    known: dict[tuple[str, str], dict[str, Any]] = {}

    def table(noun: str, use: str) -> dict[str, Any]:
        if (noun, use) not in known:
            known[noun, use] = host.find(noun, use).load_example()(tmp_path_factory.mktemp(use))
        return known[noun, use]

    return table


def on_small_sets(table: dict[str, Any], noun: str, written: Callable[[str, str], dict[str, Any]]) -> dict[str, Any]:
    """A recipe's data table with small sets in the place of its folders; its other keys stay."""
    if "parts" in table:
        return {**table, "parts": [on_small_sets(dict(part), noun, written) for part in table["parts"]]}
    small = written(noun, table["use"])
    lowered = {key: value for key, value in SMALL.items() if key in table}
    return {**table, **{key: value for key, value in small.items() if key not in ("fps", "size")}, **lowered}


def parts_of(table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The tables of data sets in a table."""
    for part in table.get("parts", [table]):
        yield dict(part)


@pytest.mark.parametrize("recipe", SETTINGS)
def test_a_setting_wants_nothing_but_folders(recipe: str) -> None:
    data = load_recipe(recipe).data
    for table in data.values():
        assert all(str(part["path"]).startswith("data/") for part in parts_of(dict(table)))
    assert load_recipe(recipe).evaluation.protocols


@pytest.mark.slow
@pytest.mark.parametrize("recipe", SETTINGS)
def test_a_setting_trains_on_its_source_and_is_scored_by_its_protocols(
    recipe: str, host: Host, store: Path, written: Callable[[str, str], dict[str, Any]], tmp_path: Path
) -> None:
    given = load_recipe(recipe)
    data = {role: on_small_sets(dict(table), data_noun(role), written) for role, table in given.data.items()}
    derived = tmp_path / "derived.toml"
    derived.write_text(tomlkit.dumps({"id": "derived", "extends": recipe, "data": data, **SHORT}))
    results = runner.run(shrunk(str(derived), host), host, tmp_path / "run", store=store)
    scored = {record["protocol"] for record in results["records"] if record["split"] == "target-test"}
    assert scored == set(given.evaluation.protocols)
    assert all(math.isfinite(record["value"]) for record in results["records"])
    assert {record["row"] for record in results["records"]} >= {row["name"] for row in ROWS}
