"""Drawing: lines are where their ends are and nowhere else, and everyone in a picture is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sa3dhp_core.cards import skeleton
from sa3dhp_core.overlay import COLOURS, line, painter, side_of
from sa3dhp_core.protocols.prediction import Filmed
from tests.broken.image_data import Flipbook
from tests.core.test_predictions import clip

BODY = skeleton()
places = st.tuples(st.floats(-30, 60), st.floats(-30, 60))


@given(places, places, st.floats(1.0, 9.0))
def test_a_line_covers_what_is_near_it_and_nothing_else(
    start: tuple[float, float], end: tuple[float, float], width: float
) -> None:
    picture = np.zeros((24, 32, 3), dtype=np.uint8)
    line(picture, np.array(start), np.array(end), (255, 0, 100), width)
    for row in range(24):
        for column in range(32):
            at = np.array([column + 0.5, row + 0.5])
            steps = np.linspace(np.array(start), np.array(end), 400)
            away = np.linalg.norm(steps - at, axis=1).min()
            if away < width / 2 - 0.6:
                assert picture[row, column].tolist() == [255, 0, 100]
            if away > width / 2 + 0.7:
                assert picture[row, column].tolist() == [0, 0, 0]


def test_a_line_from_nowhere_is_not_drawn() -> None:
    picture = np.zeros((4, 4, 3), dtype=np.uint8)
    line(picture, np.array([np.nan, 1.0]), np.array([3.0, 3.0]), (255, 255, 255), 2.0)
    assert not picture.any()


def test_sides_are_the_skeletons() -> None:
    found = {name: side_of(BODY, number) for number, name in enumerate(BODY.joints)}
    assert {name for name, side in found.items() if side == "left"} == {left for left, _ in BODY.pairs}
    assert found[BODY.root] == "middle" and set(COLOURS) == set(found.values())


@pytest.mark.parametrize(("number", "drawn"), [(1, 0), (2, 1), (3, 1), (4, 2), (6, 2), (7, 0)])
def test_between_two_moments_the_earlier_pose_is_drawn(number: int, drawn: int) -> None:
    film, roots = Flipbook(), torch.tensor([[-9.0, 0, 4], [0, 0, 4], [9, 0, 4]])  # the first is left of the picture
    moving = clip("a", "", "", frames=3, filmed=Filmed(film, torch.tensor([2, 4, 6]), roots))
    resting = clip("b", "", "", frames=3, filmed=Filmed(film, torch.tensor([2, 4, 6]), roots[1].expand(3, 3)))
    picture = np.zeros((film.height, film.width, 3), dtype=np.uint8)
    painter([moving])(number, picture)
    assert picture.any() == (number in (4, 5))
    painter([resting])(number, picture)
    assert picture.any() == (drawn > 0)
