"""Batches that do not divide among the processes are refused when the recipe is read, with the key to change."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_core.errors import RecipeError
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import load_recipe
from sa3dhp_self_adaptation.sharing import batches

HOST = Host.load()


def build(*changes: str) -> Any:
    recipe = load_recipe("quickstart", changes)
    return HOST.build("method", {"use": "sa3dhp", **recipe.settings}, "settings", recipe=recipe, host=HOST)


def test_every_batch_that_rows_share_out_is_asked() -> None:
    assert dict(batches(build())) == {
        "settings.source.batch": 64,
        "settings.adaptation.clips": 16,
        "settings.adaptation.source": 64,
        "settings.adaptation.labelled": 112,
        "rows.5.adaptation.clips": 3,
        "rows.5.adaptation.source": 32,
        "settings.tracks.images": 80,
    }


@settings(max_examples=10)
@given(devices=st.integers(2, 9), nodes=st.integers(1, 4))
def test_what_the_hints_say_makes_every_batch_divide(devices: int, nodes: int) -> None:
    changes = [f"engine.devices={devices}", f"engine.nodes={nodes}"]
    for _ in range(len(dict(batches(build()))) + 1):
        try:
            found = build(*changes)
            break
        except RecipeError as error:
            assert "the batch does not divide among the processes" in str(error)
            changes += re.findall(r"try: (\S+)", str(error))
    sizes = dict(batches(found))
    assert len(sizes) == 7
    assert all(size % (devices * nodes) == 0 for size in sizes.values())
    before = dict(batches(build()))
    assert all(size < before[key] + devices * nodes for key, size in sizes.items())


def test_more_processes_than_items_are_refused() -> None:
    with pytest.raises(RecipeError, match="64 among 128"):
        build("engine.devices=8", "engine.nodes=16")
