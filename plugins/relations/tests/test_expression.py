"""Expressions: group laws of products, canonical names, and errors that say where."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_core.errors import RecipeError
from sa3dhp_relations.expression import Product, number_text, parse, write

degrees = st.integers(-360, 360).map(str) | st.sampled_from(["0.5", "-12.25", "7/3", "180", "-180"])
ranges = st.tuples(st.integers(-200, 200), st.integers(0, 300)).map(lambda r: f"{r[0]}..{r[0] + r[1]}")
turns = st.builds("{}({})".format, st.sampled_from(["rotate", "tilt", "pan"]), degrees | ranges)
times = st.sampled_from(["backward", "slow(2)", "slow(3/2)", "fast(3)", "shift(5)", "shift(-2)", "shift(1/2)"])
single_factors = st.sampled_from(["flip", "identity"]) | times
factors = single_factors | st.just("flip?") | turns
products = st.lists(factors, min_size=1, max_size=5).map(" @ ".join).map(parse)
singles = st.lists(
    single_factors | st.builds("{}({})".format, st.sampled_from(["rotate", "tilt", "pan"]), degrees),
    min_size=1,
    max_size=5,
)
quick = settings(max_examples=60, deadline=None)


@quick
@given(products, products, products)
def test_associative(a: Product, b: Product, c: Product) -> None:
    assert (a @ b) @ c == a @ (b @ c)


@quick
@given(products)
def test_identity_is_neutral(a: Product) -> None:
    assert a @ Product() == a == Product() @ a


@quick
@given(singles)
def test_inverse_cancels_single_elements(words: list[str]) -> None:
    a = parse(" @ ".join(words))
    assert a @ a.inverse() == Product() == a.inverse() @ a


@quick
@given(products, products)
def test_inverse_reverses_products(a: Product, b: Product) -> None:
    assert (a @ b).inverse() == b.inverse() @ a.inverse()
    assert a.inverse().inverse() == a


@quick
@given(products)
def test_names_parse_back(a: Product) -> None:
    assert parse(write(a)) == a
    assert write(parse(write(a))) == write(a)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("rotate(10) @ flip", "flip @ rotate(-10)"),
        ("tilt(10) @ flip", "flip @ tilt(10)"),
        ("pan(10..20) @ flip", "flip @ pan(-20..-10)"),
        ("flip @ flip", "identity"),
        ("rotate(200) @ rotate(10)", "rotate(-150)"),
        ("rotate(-63..63) @ rotate(10)", "rotate(-53..73)"),
        ("rotate(5..5)", "rotate(5)"),
        ("backward @ flip @ rotate(50)", "flip @ rotate(50) @ backward"),
        ("backward@slow(2)", "slow(2) @ backward"),
        ("slow(2) @ fast(2)", "identity"),
        ("slow(0.5)", "fast(2)"),
        ("flip? @ flip?", "flip?"),
    ],
)
def test_canonical_names(text: str, name: str) -> None:
    assert write(parse(text)) == name


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["position 1", "missing"]),
        ("flip @ ", ["missing"]),
        ("flip @ rotat(50)", ["'rotat'", "position 8", "did you mean 'rotate'"]),
        ("rotate", ["needs a number", "position 7"]),
        ("rotate(fifty)", ["'fifty' is no number", "position 8"]),
        ("rotate(5..x)", ["'x' is no number", "position 11"]),
        ("rotate(9..-9)", ["rotate(-9..9)"]),
        ("flip(3)", ["takes no argument"]),
        ("flip rotate(3)", ["unexpected 'r'", "position 6", "'@'"]),
        ("slow(0)", ["positive"]),
        ("slow(-2)", ["positive"]),
        ("shift(1/0)", ["no number"]),
        ("rotate(nan)", ["no number"]),
    ],
)
def test_errors_say_where_and_what(text: str, parts: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        parse(text)
    for part in parts:
        assert part in str(caught.value)


@given(st.fractions(max_denominator=400))
@quick
def test_numbers_are_written_exactly(number: Fraction) -> None:
    head, _, tail = number_text(number).partition("/")
    assert Fraction(head) / Fraction(tail or 1) == number


def test_listing_imports_no_torch() -> None:
    code = "import sys, sa3dhp_relations.plugin, sa3dhp_relations.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0
