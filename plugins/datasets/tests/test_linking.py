"""Linking detections: people who pass keep their tracks, gaps are bridged, and nothing depends on the boxes' order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sa3dhp_datasets.linking import SHORTEST, link, overlaps

FRAMES = 24


def walkers(speeds: list[float]) -> np.ndarray:
    """``(T, people, 4)``: each in a lane of its own, at this many pixels a frame."""
    time = np.arange(FRAMES)[:, None]
    x = 500 + time * np.array(speeds)
    y = np.broadcast_to(200.0 * np.arange(len(speeds)), x.shape)
    return np.stack([x, y, np.full_like(x, 60.0), np.full_like(x, 150.0)], axis=-1)


@given(st.lists(st.floats(-25, 25), min_size=1, max_size=4), st.integers(0, 10**6), st.data())
def test_everyone_keeps_a_track_whatever_the_order_and_through_gaps(
    speeds: list[float], seed: int, data: st.DataObject
) -> None:
    people, generator = walkers(speeds), np.random.default_rng(seed)
    hidden = {(data.draw(st.integers(4, FRAMES - 2)), number) for number in range(len(speeds))}
    detections = []
    for frame in range(FRAMES):
        seen = [n for n in generator.permutation(len(speeds)) if (frame, n) not in hidden]
        detections.append((frame, people[frame, seen]))
    tracks = link(detections, max_gap=3)
    assert sorted(tracks) == list(range(1, len(speeds) + 1))
    lanes = set()
    for boxes in tracks.values():
        (lane,) = {round(box[1] / 200) for box in boxes.values()}
        lanes.add(lane)
        missed = {frame for frame, number in hidden if number == lane}
        assert set(boxes) == set(range(FRAMES)) - missed
        assert all(np.array_equal(box, people[frame, lane]) for frame, box in boxes.items())
    assert len(lanes) == len(speeds)


def test_people_who_cross_are_told_apart_by_their_speed() -> None:
    right, left = np.arange(30) * 8.0, 240 - np.arange(30) * 8.0
    boxes = [np.array([[a, 0.0, 60, 150], [b, 5.0, 60, 150]]) for a, b in zip(right, left, strict=True)]
    tracks = link(enumerate(boxes), max_gap=3)
    starts_to_ends = {round(track[0][1]): round(track[29][1]) for track in tracks.values()}
    assert starts_to_ends == {0: 0, 5: 5}


def test_long_gaps_end_a_track_and_rare_boxes_are_mistakes() -> None:
    box = np.array([[10.0, 10, 50, 100]])
    nothing = np.zeros((0, 4))
    seen = [*range(5), *range(12, 20)]
    detections = [(frame, box if frame in seen else nothing) for frame in range(20)]
    assert [sorted(boxes) for boxes in link(detections, max_gap=3).values()] == [list(range(5)), list(range(12, 20))]
    assert [sorted(boxes) for boxes in link(detections, max_gap=9).values()] == [seen]
    few = [(frame, box if frame < SHORTEST - 1 else nothing) for frame in range(9)]
    assert link(few, max_gap=3) == {} and link([], max_gap=3) == {}


def test_overlap_is_that_of_a_count_of_pixels() -> None:
    first, second = np.array([[0.0, 0, 8, 6], [1, 1, 3, 3]]), np.array([[4.0, 2, 8, 6], [20, 20, 2, 2]])
    picture = np.zeros((4, 30, 30), dtype=bool)
    for plane, (x, y, w, h) in zip(picture, [*first, *second], strict=True):
        plane[int(y) : int(y + h), int(x) : int(x + w)] = True
    expected = [[(a & b).sum() / (a | b).sum() for b in picture[2:]] for a in picture[:2]]
    assert overlaps(first, second) == pytest.approx(np.array(expected))
