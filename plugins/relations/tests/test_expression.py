"""Expressions: group laws of products, canonical names, and errors that say where."""

from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_core.errors import RecipeError
from sa3dhp_relations.expression import Product, number_text, parse, write

degrees = st.integers(-360, 360).map(str) | st.sampled_from(["0.5", "-12.25", "7/3", "180", "-180"])
ranges = st.tuples(st.integers(-200, 200), st.integers(0, 300)).map(lambda r: f"{r[0]}..{r[0] + r[1]}")
turns = st.builds("{}({})".format, st.sampled_from(["rotate", "tilt", "pan"]), degrees | ranges)
times = st.sampled_from(
    ["backward", "slow(2)", "slow(3/2)", "fast(3)", "subsample(2)", "shift(5)", "shift(-2)", "shift(1/2)"]
)
single_factors = st.sampled_from(["flip", "identity"]) | times
factors = single_factors | st.just("flip?") | turns
products = st.lists(factors, min_size=1, max_size=5).map(" @ ".join).map(parse)
axes = st.sampled_from(["rotate", "tilt", "pan"])
singles = st.lists(single_factors | st.builds("{}({})".format, axes, degrees), min_size=1, max_size=5)
eighths = st.sampled_from(["45", "90", "135", "180", "-45", "-90", "30"])
"""Angles whose products coincide often."""
coinciding = st.lists(st.just("flip") | st.builds("{}({})".format, axes, eighths), min_size=1, max_size=4)
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


def rotation(axis: str, degrees: float) -> np.ndarray:
    """Right-handed about x (tilt), y (pan) or z (rotate)."""
    first, second = {"tilt": (1, 2), "pan": (2, 0), "rotate": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[[first, second], [first, second]] = math.cos(math.radians(degrees))
    matrix[second, first] = math.sin(math.radians(degrees))
    matrix[first, second] = -matrix[second, first]
    return matrix


def matrix_of(words: list[str]) -> np.ndarray:
    """The slow and obvious product; what acts on time alone is left out."""
    result = np.eye(3)
    for word in words:
        name, _, argument = word.rstrip(")").partition("(")
        if name == "flip":
            result = result @ np.diag([-1.0, 1.0, 1.0])
        elif name in ("rotate", "tilt", "pan"):
            result = result @ rotation(name, float(Fraction(argument)))
    return result


@settings(max_examples=300, deadline=None)
@given(coinciding | singles, coinciding | singles)
def test_products_are_equal_exactly_where_their_matrices_are(first: list[str], second: list[str]) -> None:
    one, two = (parse(" @ ".join(words)) for words in (first, second))
    alike = np.abs(matrix_of(first) - matrix_of(second)).max() < 1e-9
    assert (one.spatial == two.spatial) == alike
    assert (write(one) == write(two)) == (one == two) == (alike and one.time == two.time)


@settings(max_examples=200, deadline=None)
@given(coinciding)
def test_the_name_of_a_product_has_its_matrix(words: list[str]) -> None:
    name = write(parse(" @ ".join(words)))
    np.testing.assert_allclose(matrix_of(name.split(" @ ")), matrix_of(words), atol=1e-9)


def test_every_rotation_of_the_cube_has_one_name() -> None:
    words = [f"{axis}({angle})" for axis in ("rotate", "tilt", "pan") for angle in (90, 180, -90)]
    names = {write(parse(f"{a} @ {b} @ {c}")) for a in words for b in words for c in words}
    assert len(names) == 24
    assert max(name.count("@") for name in names) == 1


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
        ("subsample(3)", "fast(3)"),
        ("flip? @ flip?", "flip?"),
        ("flip @ flip?", "flip?"),
        ("flip @ rotate(10) @ flip?", "rotate(-10) @ flip?"),
        ("flip? @ rotate(-10) @ flip?", "flip? @ rotate(10) @ flip?"),
        ("tilt(5) @ rotate(50)", "tilt(5) @ rotate(50)"),
        ("rotate(50) @ tilt(5)", "rotate(50) @ tilt(5)"),
        ("tilt(-5..5) @ flip @ rotate(50) @ pan(3)", "flip @ tilt(-5..5) @ rotate(50) @ pan(3)"),
        ("rotate(90) @ tilt(10) @ rotate(-90)", "pan(10)"),
        ("rotate(90) @ tilt(0..20) @ rotate(-90)", "pan(0..20)"),
        ("rotate(180) @ tilt(10)", "tilt(-10) @ rotate(180)"),
        ("tilt(180) @ pan(180)", "rotate(180)"),
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
        ("flip @ rotate(5", ["not closed", "position 14"]),
        ("rotate((5))", ["holds no number", "position 7"]),
        ("(flip @ rotate(5)) @ backward", ["no factor", "position 1"]),
        ("rotate(fifty)", ["'fifty' is no number", "position 8"]),
        ("rotate(5..x)", ["'x' is no number", "position 11"]),
        ("rotate(9..-9)", ["rotate(-9..9)"]),
        ("flip(3)", ["takes no argument"]),
        ("flip rotate(3)", ["unexpected 'r'", "position 6", "'@'"]),
        ("slow(0)", ["positive"]),
        ("slow(-2)", ["positive"]),
        ("subsample(3/2)", ["whole number", "fast(3/2)", "position 11"]),
        ("subsample(0)", ["positive"]),
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
