"""Time maps: the published windows, ranges, and the roles that the inverse exchanges."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_relations.timemap import BACKWARD, TimeMap, slow

scales = st.sampled_from([Fraction(n, d) * s for n in (1, 2, 3) for d in (1, 2, 3) for s in (1, -1)])
offsets = st.integers(-6, 6).map(Fraction) | st.sampled_from([Fraction(1, 2), Fraction(-5, 3)])
maps = st.builds(TimeMap, scales, offsets)
lengths = st.integers(1, 12)
quick = settings(max_examples=80, deadline=None)


def test_published_windows() -> None:
    thirty, middle = tuple(range(30)), tuple(range(15, 45))
    assert BACKWARD.indices(30) == (30, thirty, thirty[::-1])
    assert slow(2).indices(30) == (60, tuple(range(0, 60, 2)), middle)
    assert (slow(2) @ BACKWARD).indices(30) == (60, tuple(range(0, 60, 2)), middle[::-1])
    assert TimeMap(offset=5).indices(30) == (35, thirty, tuple(range(5, 35)))
    assert TimeMap(offset=-5).indices(30) == (35, tuple(range(5, 35)), thirty)


@quick
@given(maps, lengths)
def test_indices_are_in_range_and_of_declared_length(time: TimeMap, frames: int) -> None:
    window, anchor, partner = time.indices(frames)
    assert len(anchor) == len(partner) == frames
    assert min(anchor + partner) >= 0
    assert max(anchor + partner) < window


@quick
@given(maps, lengths)
def test_inverse_exchanges_roles(time: TimeMap, frames: int) -> None:
    if time.scale < 0:  # reversed streams run ahead where forward ones fall behind, so an offset has no exchanged pair
        time = TimeMap(time.scale)
    window, anchor, partner = time.indices(frames)
    inverse_window, inverse_anchor, inverse_partner = time.inverse().indices(frames)
    forward = slice(None) if time.scale > 0 else slice(None, None, -1)
    assert (inverse_window, inverse_anchor, inverse_partner[forward]) == (window, partner[forward], anchor)


@quick
@given(maps, st.integers(2, 12))
def test_partner_plays_the_anchor_at_the_declared_speed(time: TimeMap, frames: int) -> None:
    _, anchor, partner = time.indices(frames)
    assert Fraction(partner[1] - partner[0], anchor[1] - anchor[0]) == time.scale


@quick
@given(maps, maps, st.fractions(max_denominator=7))
def test_composition_is_composition_of_functions(second: TimeMap, first: TimeMap, at: Fraction) -> None:
    def act(time: TimeMap, track):  # noqa: ANN001, ANN202
        return lambda i: track(time.scale * i + time.offset)

    assert act(second @ first, lambda i: i)(at) == act(second, act(first, lambda i: i))(at)


def test_backward_twice_is_the_identity() -> None:
    assert (BACKWARD @ BACKWARD).is_identity
    _, anchor, partner = BACKWARD.indices(9)
    assert tuple(partner[i] for i in partner) == anchor


def test_refusals() -> None:
    with pytest.raises(ValueError, match="zero"):
        TimeMap(0)
    with pytest.raises(ValueError, match="at least one frame"):
        BACKWARD.indices(0)
