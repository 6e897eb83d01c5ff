"""Makes any recipe small enough for a test: overrides of the keys that cost time, found in the recipe itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from sa3dhp_core.host import Host
from sa3dhp_core.recipe import COMPONENT_LISTS, COMPONENTS, Recipe, data_noun, load_recipe

SMALL: dict[str, Any] = {
    "steps": 2,
    "batch": 12,
    "clips": 2,
    "source": 6,
    "prior": 12,
    "queue": 20,
    "size": 32,
    "train_clips": 2,
    "validation_clips": 2,
    "test_clips": 2,
    "train_sequences": 4,
    "validation_sequences": 2,
    "test_sequences": 2,
    "body_count": 3,
    "samples": 2,
    "warm_up": 1,
    "projections": 8,
    "units": 8,
    "pool": 12,
}
"""Key to the largest value that a test can afford; it is lowered wherever a component or the method has such a key."""

TINY_MODEL = "{depths = [1, 1, 1, 1], hidden_sizes = [8, 16, 32, 64]}"
"""Options of a transformers backbone of any size."""


def shrunk(recipe: str, host: Host, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe after `overrides`, with everything costly lowered by further ``--set``s."""
    return load_recipe(recipe, [*overrides, *lowering(recipe, host, overrides)])


def lowering(recipe: str, host: Host, overrides: Sequence[str] = ()) -> list[str]:
    """The further ``--set``s that `shrunk` gives."""
    return [*_lowering(load_recipe(recipe, overrides), host)]


def _lowering(recipe: Recipe, host: Host) -> Iterator[str]:
    for role, table in recipe.data.items():
        yield from _lowered(host, f"data.{role}", host.config(data_noun(role), table, role))
    for key, noun in COMPONENTS.items():
        if (table := getattr(recipe, key)) is not None:
            yield from _lowered(host, key, host.config(noun, table, key))
    for key, noun in COMPONENT_LISTS.items():
        for number, table in enumerate(getattr(recipe, key)):
            yield from _lowered(host, f"{key}.{number}", host.config(noun, table, key))
    settings = host.config("method", {"use": recipe.method, **recipe.settings}, "settings")
    yield from _lowered(host, "settings", settings)
    if recipe.method == "sa3dhp":
        yield from _of_adaptation(recipe, settings)
    if recipe.method == "ites":
        yield "engine.threads=1"
    for number, row in enumerate(recipe.rows):
        if "adaptation" in row:
            yield f"rows.{number}.adaptation.steps={max(2, len(row.get('losses', ())))}"
            yield f"rows.{number}.adaptation.clips=2"
    if recipe.encoder is not None:
        if recipe.encoder["backbone"]["use"] == "transformers":
            yield f"encoder.backbone.options={TINY_MODEL}"
        yield "engine.threads=1"


def _of_adaptation(recipe: Recipe, settings: Any) -> Iterator[str]:
    """Overrides of the method `sa3dhp`."""
    if settings.adaptation.schedule == "alternating":  # each loss its turn
        yield f"settings.adaptation.steps={max(2, len(recipe.losses))}"
    if settings.synthesis is not None:
        yield "settings.synthesis.images=12"


def _lowered(host: Host, path: str, config: Any) -> Iterator[str]:
    """Overrides for one attrs value and those inside it, tables of components among them."""
    for field in attrs.fields(type(config)):
        value, inner = getattr(config, field.name), f"{path}.{field.name}"
        if value is None:
            continue
        if noun := field.metadata.get("component"):
            several = [(f"{inner}.{k}", item) for k, item in enumerate(value)] if isinstance(value, tuple) else []
            for place, table in several or [(inner, value)]:
                yield from _lowered(host, place, host.config(noun, table, place))
        elif attrs.has(type(value)):
            yield from _lowered(host, inner, value)
        elif field.name in SMALL and isinstance(value, (int, float)) and value > SMALL[field.name]:
            yield f"{inner}={SMALL[field.name]}"


def by_name(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Rows of a recipe by their names."""
    return {row["name"]: row for row in rows}
