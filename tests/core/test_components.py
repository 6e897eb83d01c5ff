"""Descriptors of components load what they name, or say what cannot be loaded."""

from __future__ import annotations

import os

import attrs
import pytest

from sa3dhp_core.components import CAPABILITIES, FIGURES, NOUNS, Component
from sa3dhp_core.errors import PluginError


def component(config: str = "os:stat_result", target: str = "os:getcwd") -> Component:
    return Component("sink", "here", "a sink", config, target, ["b", "a"])


def test_config_and_target_are_imported_by_reference() -> None:
    assert component().load_config() is os.stat_result
    assert component().load_target() is os.getcwd
    assert component().capabilities == {"a", "b"}


@pytest.mark.parametrize("reference", ["no_such_module_anywhere:x", "os:no_such_name", "os"])
def test_a_reference_that_leads_nowhere_names_the_component_and_itself(reference: str) -> None:
    for load in (component(config=reference).load_config, component(target=reference).load_target):
        with pytest.raises(PluginError, match="'here'") as caught:
            load()
        assert caught.value.where == reference and caught.value.hint


def test_descriptors_are_values() -> None:
    assert component() == component() and hash(component()) == hash(component())
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        component().id = "other"  # type: ignore[misc]


def test_claims_are_kept_as_sorted_pairs_whatever_their_order() -> None:
    one = attrs.evolve(component(), figures={"b": 2.0, "a": 1.0}, expected_failures={"check": "a reason"})
    two = attrs.evolve(component(), figures=(("a", 1.0), ("b", 2.0)), expected_failures=[("check", "a reason")])
    assert one == two and hash(one) == hash(two) and dict(one.figures) == {"a": 1.0, "b": 2.0}


def test_an_example_and_a_reference_are_loaded_where_there_is_one() -> None:
    assert component().load_example() is None and component().load_reference() is None
    given = attrs.evolve(component(), example="os:getcwd", reference="os:getpid")
    assert given.load_example() is os.getcwd and given.load_reference() is os.getpid


def test_every_claim_belongs_to_a_noun_and_is_explained() -> None:
    for vocabulary in (CAPABILITIES, FIGURES):
        assert set(vocabulary) <= set(NOUNS)
        assert all(len(meaning) > 5 for names in vocabulary.values() for meaning in names.values())


def test_every_noun_is_explained() -> None:
    assert all(len(meaning) > 5 for meaning in NOUNS.values())
