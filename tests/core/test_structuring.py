"""Plain data to typed values: strict, and every error names its path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from attrs import validators
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_core.errors import RecipeError
from sa3dhp_core.structuring import expectation, structure


@attrs.frozen
class Inner:
    widths: tuple[int, ...] = (1,)
    kind: Literal["batch", "group"] = "batch"


@attrs.frozen
class Outer:
    weight: float = attrs.field(default=1.0, validator=validators.and_(validators.ge(0), validators.le(10)))
    name: str = "x"
    steps: int | None = None
    flag: bool = False
    either: int | str = 0
    mode: int | Literal["auto"] = "auto"
    inner: Inner = Inner()
    rows: list[Inner] = attrs.field(factory=list)
    table: dict[str, float] = attrs.field(factory=dict)
    pair: tuple[float, int] = (0.0, 0)
    folder: Path | None = None
    component: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Needy:
    temperature: float
    other: int = 0


def fail(data: dict[str, Any], cls: type = Outer) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        structure(cls, data, "losses[2]", "r.toml")
    return caught.value


def test_everything_at_once() -> None:
    value = structure(
        Outer,
        {
            "weight": 2,
            "steps": 3,
            "flag": True,
            "either": "y",
            "mode": 4,
            "inner": {"widths": [1, 2], "kind": "group"},
            "rows": [{"widths": []}, {}],
            "table": {"a": 1},
            "pair": [1, 2],
            "folder": "data/x",
            "component": {"use": "z", "any": [1]},
        },
        "",
        "r.toml",
    )
    assert value == Outer(
        2.0, "x", 3, True, "y", 4, Inner((1, 2), "group"), [Inner(()), Inner()], {"a": 1.0}, (1.0, 2),
        Path("data/x"), {"use": "z", "any": [1]},
    )  # fmt: skip
    assert isinstance(value.weight, float) and isinstance(value.pair, tuple)


@pytest.mark.parametrize(
    ("data", "path", "expected"),
    [
        ({"weight": True}, "weight", "a number"),
        ({"weight": "1"}, "weight", "a number"),
        ({"steps": 1.0}, "steps", "an integer"),
        ({"steps": False}, "steps", "an integer"),
        ({"flag": 1}, "flag", "true or false"),
        ({"name": 1}, "name", "a string"),
        ({"either": 1.5}, "either", "an integer or a string"),
        ({"mode": "outo"}, "mode", "an integer or one of 'auto'"),
        ({"inner": 3}, "inner", "a table of Inner"),
        ({"inner": {"widths": "12"}}, "inner.widths", "a list of (an integer)"),
        ({"inner": {"widths": [1, "2"]}}, "inner.widths[1]", "an integer"),
        ({"rows": [{}, {"kind": "bach"}]}, "rows[1].kind", "one of 'batch', 'group'"),
        ({"rows": {}}, "rows", "a list of (a table of Inner)"),
        ({"table": {"a": "b"}}, "table.a", "a number"),
        ({"pair": [1.0]}, "pair", "a list of 2: a number, an integer"),
        ({"pair": [1.0, 2.5]}, "pair[1]", "an integer"),
        ({"folder": 3}, "folder", "a path"),
        ({"component": []}, "component", "a table"),
    ],
)
def test_a_wrong_type_names_path_found_and_expected(data: dict[str, Any], path: str, expected: str) -> None:
    error = fail(data)
    assert (error.where, error.expected) == (f"r.toml: losses[2].{path}", expected)
    assert error.found is not None


def test_an_unknown_key_names_the_nearest_and_all() -> None:
    error = fail({"wieght": 1})
    assert (error.where, error.found, error.hint) == ("r.toml: losses[2].wieght", "wieght", "did you mean 'weight'?")
    assert "component" in str(error.expected)


def test_a_misspelt_required_key_is_one_problem() -> None:
    assert fail({"temprature": 1}, Needy).where == "r.toml: losses[2].temprature"
    missing = fail({"other": 1}, Needy)
    assert (missing.where, missing.what) == ("r.toml: losses[2].temperature", "missing key")


def test_a_value_out_of_range_names_the_key() -> None:
    error = fail({"weight": -1})
    assert error.where == "r.toml: losses[2].weight"
    assert error.found == "-1" and ">= 0" in str(error.expected)


def test_all_problems_are_told_at_once() -> None:
    text = str(fail({"weight": "a", "inner": {"kid": 1, "widths": [0.5]}}))
    for path in ("losses[2].weight", "losses[2].inner.kid", "losses[2].inner.widths[0]"):
        assert f"r.toml: {path}" in text
    assert text.startswith("3 problems")


def test_a_class_that_refuses_a_combination_speaks_for_itself() -> None:
    @attrs.frozen
    class Window:
        first: int
        last: int

        def __attrs_post_init__(self) -> None:
            if self.last < self.first:
                raise ValueError("the window ends before it begins")

    error = fail({"first": 2, "last": 1}, Window)
    assert error.what == "the window ends before it begins" and error.where == "r.toml: losses[2]"


def test_whole_file_paths_have_no_leading_dot() -> None:
    with pytest.raises(RecipeError) as caught:
        structure(Outer, {"nme": 1}, "", "r.toml")
    assert caught.value.where == "r.toml: nme"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from([field.name for field in attrs.fields(Outer)]) | st.text(max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, values, max_size=4))
def test_any_table_gives_a_value_or_one_error_for_users(data: dict[str, Any]) -> None:
    try:
        value = structure(Outer, data, "t", "r.toml")
    except RecipeError as error:
        assert "r.toml: t" in str(error)
        return
    for field in attrs.fields(Outer):
        if field.name in data and field.name not in ("inner", "rows", "pair", "folder"):
            assert getattr(value, field.name) == data[field.name]


def test_types_in_words() -> None:
    assert expectation(dict[str, int]) == "a table whose values are (an integer)"
    assert expectation(tuple) == "a list"
    assert expectation(Any) == "any value"


def _refused_in_words(_: object, attribute: attrs.Attribute[Any], value: str) -> None:
    raise RecipeError("no such word", where=attribute.name if value == "named" else "a dictionary", found=value)


@attrs.frozen
class Spoken:
    """A table whose validator raises an error of its own."""

    word: str = attrs.field(default="", validator=_refused_in_words)


@pytest.mark.parametrize(("value", "where"), [("named", "r.toml: losses[2].word"), ("else", "r.toml: losses[2]")])
def test_a_validators_own_error_is_placed_at_the_key_that_it_names(value: str, where: str) -> None:
    with pytest.raises(RecipeError, match="no such word") as caught:
        structure(Spoken, {"word": value}, "losses[2]", "r.toml")
    assert (caught.value.where, caught.value.found) == (where, value)
