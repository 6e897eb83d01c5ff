"""`extends` and `--set` on plain data."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_core.errors import RecipeError
from sa3dhp_core.overrides import merge, override

KNOWN = ("seed", "losses", "encoder", "engine")
DATA: dict[str, Any] = {
    "seed": 1,
    "losses": [{"use": "a", "weight": 1}, {"use": "b"}],
    "encoder": {"use": "e", "latent": 3, "backbone": {"use": "cnn", "widths": [1]}},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ('"3"', "3"),
        ("cuda", "cuda"),
        ("flip @ rotate(50)", "flip @ rotate(50)"),
        ("{a = 1}", {"a": 1}),
        ("a=b", "a=b"),
        ("1\nb = 2", "1\nb = 2"),
    ],
)
def test_values_are_toml_and_bare_words_are_strings(text: str, value: object) -> None:
    assert override(DATA, f"encoder.latent={text}", KNOWN)["encoder"]["latent"] == value


def test_paths_go_through_lists_and_make_new_keys() -> None:
    assert override(DATA, "losses.1.weight=2", KNOWN)["losses"][1] == {"use": "b", "weight": 2}
    assert override(DATA, "losses[1].weight=2", KNOWN)["losses"][1] == {"use": "b", "weight": 2}
    assert override(DATA, "engine.device=cuda", KNOWN)["engine"] == {"device": "cuda"}


def test_the_data_itself_stays_as_it_is() -> None:
    before = repr(DATA)
    override(DATA, "encoder.backbone.widths=[9]", KNOWN)
    merge(DATA, {"encoder": {"latent": 9}})
    assert repr(DATA) == before


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("seed", "needs a path and a value"),
        ("=3", "needs a path and a value"),
        ("sed=3", "did you mean 'seed'"),
        ("losses.2.weight=1", "0 to 1"),
        ("losses.first.weight=1", "no item 'first'"),
        ("encoder.bakbone.widths=[1]", "did you mean 'backbone'"),
        ("seed.x=1", "lies below a value"),
        ("encoder.3.x=1", "no list has an item 3"),
    ],
)
def test_a_path_that_leads_nowhere_is_one_clear_error(assignment: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        override(DATA, assignment, KNOWN)
    assert str(caught.value.where) == f"--set {assignment}"


def test_another_component_drops_the_old_ones_keys_but_keeps_nested_components() -> None:
    for changed in (override(DATA, "encoder.use=f", KNOWN), merge(DATA, {"encoder": {"use": "f"}})):
        assert changed["encoder"] == {"use": "f", "backbone": {"use": "cnn", "widths": [1]}}
    assert override(DATA, "encoder.use=e", KNOWN) == DATA


tables = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
table = st.dictionaries(st.sampled_from("abc"), tables, max_size=3)


@settings(max_examples=60, deadline=None)
@given(table, table)
def test_merging_keeps_what_only_one_has_and_takes_values_of_the_later(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert merge(a, {}) == a == merge({}, a) == merge(a, a)
    merged = merge(a, b)
    assert set(merged) == set(a) | set(b)
    for key, value in merged.items():
        if key not in b:
            assert value == a[key]
        elif isinstance(b[key], dict) and isinstance(a.get(key), dict):
            assert value == merge(a[key], b[key])
        else:
            assert value == b[key]
