"""The keys of a table in words, as `sa3dhp plugins show` and the documents print them."""

from __future__ import annotations

from typing import Literal

import attrs
import pytest

from sa3dhp_core.config_keys import as_toml, keys_of


@attrs.frozen
class Inner:
    """A nested table."""

    depth: int = attrs.field(default=2, metadata={"help": "how deep"})
    name: str = attrs.field(metadata={"help": "what it is called"}, kw_only=True)


@attrs.frozen
class Outer:
    """A table with all kinds of keys."""

    needed: float = attrs.field(metadata={"help": "no default"})
    kind: Literal["a", "b"] = "a"
    widths: tuple[int, ...] = (4, 8)
    given: Inner = attrs.field(factory=lambda: Inner(depth=7, name="x"))
    maybe: Inner | None = attrs.field(default=None, metadata={"help": "a table, or nothing"})
    double: float = attrs.Factory(lambda self: 2 * self.needed, takes_self=True)
    above: Outer | None = None
    hidden: int = attrs.field(init=False, default=0)


def test_nested_and_optional_tables_are_followed_by_their_keys() -> None:
    rows = {key.key: key for key in keys_of(Outer)}
    assert list(rows) == [
        "needed", "kind", "widths", "given", "given.depth", "given.name", "maybe", "maybe.depth", "maybe.name",
        "double", "above",
    ]  # fmt: skip
    assert (rows["needed"].default, rows["needed"].help, rows["needed"].type) == ("required", "no default", "a number")
    assert rows["kind"].type == "one of 'a', 'b'" and rows["widths"].default == "[4, 8]"
    assert rows["double"].default == "computed"


def test_a_nested_tables_defaults_are_those_that_hold_there() -> None:
    rows = {key.key: key for key in keys_of(Outer)}
    assert (rows["given"].type, rows["given"].default) == ("a table", "")
    assert (rows["given.depth"].default, rows["given.name"].default) == ("7", '"x"')
    assert (rows["maybe"].type, rows["maybe"].default) == ("a table", "none")
    assert (rows["maybe.depth"].default, rows["maybe.name"].default) == ("2", "required")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "true"),
        ('a "b"', '"a \\"b\\""'),
        ((1, 2.5), "[1, 2.5]"),
        ({"use": "flip"}, '{use = "flip"}'),
        (attrs.NOTHING, "required"),
    ],
)
def test_a_default_is_written_as_in_a_recipe(value: object, text: str) -> None:
    assert as_toml(value) == text
