"""What is encoded when: every frame once, before the first turn that reads it, kept no longer than its gradient."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sa3dhp_core.engine.passes import ENCODERS, Frames, Orbit, Pass, Sight, merged, peak, planned

SIGHTS = st.builds(
    Sight,
    spatial=st.sampled_from(["", "turn"]),
    photometric=st.sampled_from(["", "weak:0"]),
    per_frame=st.just(False),
    by=st.sampled_from(ENCODERS),
)
FRAMES = st.lists(st.integers(0, 7), min_size=1, max_size=6).map(tuple)
TURNS = st.lists(st.lists(st.tuples(SIGHTS, FRAMES), max_size=4), min_size=1, max_size=4)
NAMES = st.lists(st.sampled_from(["source", "tracks"]), unique=True)
Asked = list[list[tuple[Sight, Frames]]]


def readers(asked: Asked, sight: Sight, frame: int) -> list[int]:
    """Turns that read a frame, found by looking at all of them."""
    return [turn for turn, views in enumerate(asked) if any(s == sight and frame in f for s, f in views)]


def made(passes: tuple[Pass, ...]) -> dict[tuple[Sight, int], Pass]:
    """The pass of each frame; fails where a frame is encoded twice."""
    found = [((orbit.sight, frame), one) for one in passes for orbit in one.orbits for frame in orbit.frames]
    assert len(found) == len({key for key, _ in found}), "a frame is encoded twice"
    assert sum(one.frames for one in passes) == len(found)
    return dict(found)


@given(TURNS)
def test_unshared_each_frame_that_is_read_is_encoded_once_and_no_other(asked: Asked) -> None:
    found = made(planned(asked, [()] * len(asked), shared=False))
    assert set(found) == {(sight, frame) for views in asked for sight, frames in views for frame in frames}
    for (sight, frame), one in found.items():
        turns = readers(asked, sight, frame)
        assert one.by == sight.by and one.first == turns[0]
        assert one.last == (turns[-1] if sight.by == "student" else turns[0])


@given(TURNS)
def test_shared_a_student_s_frame_serves_those_without_gradient(asked: Asked) -> None:
    found = made(planned(asked, [()] * len(asked), shared=True))
    wanted = {(sight, frame) for views in asked for sight, frames in views for frame in frames}
    spared = {(s, f) for s, f in wanted if s.by == "stopped" and (s.learning, f) in wanted}
    assert set(found) == wanted - spared, "the union is as small as it can be"
    for (sight, frame), one in found.items():
        turns = readers(asked, sight, frame)
        served = readers(asked, Sight(sight.spatial, sight.photometric, False, "stopped"), frame)
        if sight.by == "student":
            assert (one.first, one.last) == (min(turns + served), turns[-1]), "kept for the gradient alone"
        else:
            assert one.first == one.last == turns[0]


@given(TURNS, st.lists(NAMES, min_size=4, max_size=4), st.booleans())
def test_labelled_images_are_encoded_once_by_the_student(asked: Asked, names: list[list[str]], shared: bool) -> None:
    names = names[: len(asked)]
    passes = planned(asked, names, shared)
    found = [(name, one) for one in passes for name in one.labelled]
    assert sorted(name for name, _ in found) == sorted({name for turn in names for name in turn})
    for name, one in found:
        turns = [turn for turn, wanted in enumerate(names) if name in wanted]
        assert (one.by, one.first, one.last) == ("student", turns[0], turns[-1])


@given(TURNS, st.booleans())
def test_passes_are_in_the_order_of_turns_and_the_peak_is_what_is_alive(asked: Asked, shared: bool) -> None:
    passes = planned(asked, [()] * len(asked), shared)
    assert [one.first for one in passes] == sorted(one.first for one in passes)
    assert len({(one.by, one.first, one.last) for one in passes}) == len(passes), "one call each"
    alive = [
        sum(one.frames for one in passes if one.by == "student" and one.first <= turn <= one.last)
        for turn in range(len(asked))
    ]
    assert peak(passes) == max(alive)


@given(TURNS, st.lists(NAMES, min_size=4, max_size=4))
def test_merged_passes_are_fewer_and_keep_no_more_at_a_time(asked: Asked, names: list[list[str]]) -> None:
    apart = planned(asked, names[: len(asked)], shared=True)
    joined = merged(apart)
    before, after = made(apart), made(joined)
    assert before.keys() == after.keys() and len(joined) <= len(apart) and peak(joined) == peak(apart)
    assert [one.first for one in joined] == sorted(one.first for one in joined)
    for key, one in after.items():
        assert (one.by, one.first) == (before[key].by, before[key].first) and one.last >= before[key].last
    assert [one for one in apart if one.labelled] == [one for one in joined if one.labelled]


def test_the_paper_s_order_keeps_two_views_at_a_time() -> None:
    def sight(spatial: str, draw: int, by: str = "student") -> Sight:
        return Sight(spatial, f"weak:{draw}", False, by)

    middle, slow = tuple(range(15, 45)), tuple(range(0, 60, 2))
    anchor, other, turned = sight("", 0), sight("", 1), sight("turn", 1)
    asked = [
        [(anchor, middle), (other, middle)],
        [(anchor, middle), (other, middle)],
        [(anchor, middle), (turned, middle)],
        [(anchor, middle), (sight("turn", 1, "stopped"), middle[::-1])],
        [(anchor, slow), (sight("", 1, "stopped"), middle[::-1])],
    ]
    passes = planned(asked, [()] * 5, shared=True)
    assert sum(one.frames for one in passes) == 105 and {one.by for one in passes} == {"student"}
    assert peak(passes) == 60
    spans = [(one.first, one.last, one.frames) for one in passes]
    assert spans == [(0, 1, 30), (0, 3, 15), (0, 4, 15), (2, 2, 30), (4, 4, 15)]
    assert passes[3].orbits == (Orbit(turned, middle),)
    joined = merged(passes)
    assert peak(joined) == 60
    assert [(one.first, one.last, one.frames) for one in joined] == [(0, 1, 30), (0, 4, 30), (2, 2, 30), (4, 4, 15)]
