"""Cards of plugins: what a distribution offers and claims, as data that one can read without installing it.

The schema is `PluginCard`; the registry holds one card for every first-party distribution, and anybody can write one.
All but what a component cannot do is taken from the distribution itself. Loads no component.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import Distribution, PackageMetadata
from pathlib import Path
from typing import Any

import attrs
from attrs import validators
from packaging.requirements import Requirement

from sa3dhp_core.cards import read_card
from sa3dhp_core.components import CAPABILITIES, FIGURES, NOUNS, Component
from sa3dhp_core.errors import nearest
from sa3dhp_core.source_folder import GROUP
from sa3dhp_core.structuring import structure

KIND = "plugins"
"""The registry's folder of these cards."""


def _key(meaning: str, **more: Any) -> Any:
    return attrs.field(metadata={"help": meaning}, **more)


@attrs.frozen
class ComponentCard:
    """One component of a card."""

    id: str = _key("what a recipe's `use` says")
    noun: str = _key("which promise it keeps", validator=validators.in_(NOUNS))
    summary: str = _key("one sentence")
    capabilities: tuple[str, ...] = _key("claims by name, which the conformance kit checks", default=())
    figures: Mapping[str, float] = _key("claims in numbers, which the kit measures", factory=dict)
    expected_failures: Mapping[str, str] = _key("checks of the kit that it is known to fail, and why", factory=dict)
    known_gaps: tuple[str, ...] = _key("what it cannot do, in sentences; written by hand", default=())

    def __attrs_post_init__(self) -> None:
        for kind, known, names in (
            ("capability", CAPABILITIES.get(self.noun, {}), self.capabilities),
            ("figure", FIGURES.get(self.noun, {}), tuple(self.figures)),
        ):
            for name in sorted(set(names) - set(known)):
                hint = nearest(name, known) or "it can claim none"
                raise ValueError(f"{self.id}: a {self.noun} has no {kind} {name!r}; {hint}")


@attrs.frozen
class PluginCard:
    """What a distribution offers."""

    id: str = _key("name of the distribution")
    summary: str = _key("one sentence")
    home: str = _key("where its source is: an address, or a folder of this repository")
    licence: str = _key("SPDX expression")
    host: str = _key("versions of sa3dhp that it works with")
    nouns: tuple[str, ...] = _key("nouns of its components, sorted")
    known_gaps: tuple[str, ...] = _key("what none of its components can do, in sentences; written by hand", default=())
    components: tuple[ComponentCard, ...] = _key("sorted by noun and id", default=())

    def __attrs_post_init__(self) -> None:
        keys = [(component.noun, component.id) for component in self.components]
        if keys != sorted(set(keys)):
            raise ValueError("components are not sorted by noun and id, or one stands twice")
        if self.nouns != tuple(sorted({noun for noun, _ in keys})):
            raise ValueError(f"nouns {list(self.nouns)} are not those of the components")


def load_plugin_card(card_id: str) -> PluginCard:
    """A card of the registry; raises `RecipeError` naming what is wrong with it, or the nearest id."""
    return plugin_card_from(read_card(KIND, card_id), f"registry/{KIND}/{card_id}.toml")


def plugin_card_from(data: Mapping[str, Any], source: str) -> PluginCard:
    """A card of plain data; raises `RecipeError` with the path of what is wrong with it."""
    return structure(PluginCard, data, "", source)


def card_of(
    distribution: Distribution,
    components: Iterable[Component],
    home: str = "",
    written: Mapping[str, Any] | None = None,
) -> PluginCard:
    """The card that a distribution's metadata and offers make.

    Args:
        distribution: installed, or a source folder.
        components: that it offers.
        home: where its source is; the first address of its metadata if empty.
        written: an earlier card as plain data, from which the gaps that were written by hand are kept, and the home
            where nothing else tells it.
    """
    written = written or {}
    metadata = distribution.metadata
    offered = sorted(components, key=lambda component: (component.noun, component.id))
    addresses = [line.partition(",")[2].strip() for line in metadata.get_all("Project-URL") or ()]
    return PluginCard(
        id=str(metadata["Name"]),
        summary=_said(metadata, "Summary"),
        home=home or (addresses or [str(written.get("home", ""))])[0],
        licence=_said(metadata, "License-Expression") or _said(metadata, "License"),
        host=_host_range(distribution.requires or ()),
        nouns=tuple(sorted({component.noun for component in offered})),
        known_gaps=tuple(written.get("known_gaps", ())),
        components=tuple(_component_card(component, written) for component in offered),
    )


def card_text(card: PluginCard) -> str:
    """The card as a TOML file, empty keys left out."""
    import tomlkit

    return tomlkit.dumps(_plain(card))


def _component_card(component: Component, written: Mapping[str, Any]) -> ComponentCard:
    earlier = [each for each in written.get("components", ()) if each.get("id") == component.id]
    gaps = [each.get("known_gaps", ()) for each in earlier if each.get("noun") == component.noun]
    return ComponentCard(
        id=component.id,
        noun=component.noun,
        summary=component.summary,
        capabilities=tuple(sorted(component.capabilities)),
        figures=dict(component.figures),
        expected_failures=dict(component.expected_failures),
        known_gaps=tuple(gaps[0]) if gaps else (),
    )


def _said(metadata: PackageMetadata, field: str) -> str:
    return str(metadata[field]) if field in metadata else ""


def _host_range(requirements: Sequence[str]) -> str:
    ranges = [str(wanted.specifier) for line in requirements if (wanted := Requirement(line)).name == GROUP]
    return next((found for found in ranges if found), "any")


def _plain(value: Any) -> Any:
    if attrs.has(type(value)):
        return dict(_filled(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _filled(value: Any) -> Iterator[tuple[str, Any]]:
    for field in attrs.fields(type(value)):
        content = getattr(value, field.name)
        if content or field.default is attrs.NOTHING:
            yield field.name, _plain(content)


def card_file(registry: Path, card_id: str) -> Path:
    """Where the card of a distribution stands."""
    return registry / KIND / f"{card_id}.toml"
