"""Drawing: lines are where their ends are and nowhere else, in the colour that was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sa3dhp_core.canvas import Canvas, line, ycbcr

places = st.tuples(st.floats(-30, 60), st.floats(-30, 60))


def blank(height: int = 48, width: int = 64, **keys: object) -> Canvas:
    """A grey picture."""
    half = (height // 2, width // 2)
    luma, blue, red = (np.full(size, 128, dtype=np.uint8) for size in ((height, width), half, half))
    return Canvas(luma, blue, red, **keys)  # type: ignore[arg-type]


def rgb(canvas: Canvas, row: int, column: int) -> np.ndarray:
    """A pixel's colour, by the inverse matrix of the standard."""
    to_ycbcr = np.array([np.subtract(ycbcr(unit, canvas.standard, canvas.full), ycbcr((0, 0, 0), canvas.standard,
                         canvas.full)) for unit in np.eye(3, dtype=int).tolist()]).T  # fmt: skip
    black = ycbcr((0, 0, 0), canvas.standard, canvas.full)
    seen = [canvas.luma[row, column], canvas.blue[row // 2, column // 2], canvas.red[row // 2, column // 2]]
    return np.linalg.solve(to_ycbcr, np.subtract(seen, black))


@given(places, places, st.floats(1.0, 9.0))
def test_a_line_covers_what_is_near_it_and_nothing_else(
    start: tuple[float, float], end: tuple[float, float], width: float
) -> None:
    planes = [np.zeros((24, 32), dtype=np.uint8) for _ in range(2)]
    line(planes, np.array(start), np.array(end), (255, 100), width)
    for row in range(24):
        for column in range(32):
            at = np.array([column + 0.5, row + 0.5])
            steps = np.linspace(np.array(start), np.array(end), 400)
            away = np.linalg.norm(steps - at, axis=1).min()
            found = [int(plane[row, column]) for plane in planes]
            if away < width / 2 - 0.6:
                assert found == [255, 100]
            if away > width / 2 + 0.7:
                assert found == [0, 0]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("standard", [601, 709])
def test_a_canvas_shows_the_colour_and_a_black_rim(standard: int, full: bool) -> None:
    canvas = blank(standard=standard, full=full)
    canvas.line(np.array([10.0, 24.0]), np.array([54.0, 24.0]), (200, 90, 40), 12.0, 4.0)
    assert np.abs(rgb(canvas, 24, 32) - (200, 90, 40)).max() < 3
    assert np.abs(rgb(canvas, 16, 32)).max() < 3 and np.abs(rgb(canvas, 31, 32)).max() < 3, "a rim on both sides"
    left = blank(standard=standard, full=full)
    assert (canvas.luma[:12] == left.luma[:12]).all() and (canvas.blue[18:] == left.blue[18:]).all()


def test_known_colours_have_their_known_values() -> None:
    """White, black and red of BT.601 in the range of television, and red of BT.709."""
    assert np.round(ycbcr((255, 255, 255), 601, False)).tolist() == [235, 128, 128]
    assert np.round(ycbcr((0, 0, 0), 601, False)).tolist() == [16, 128, 128]
    assert np.round(ycbcr((255, 0, 0), 601, False)).tolist() == [81, 90, 240]
    assert np.round(ycbcr((255, 0, 0), 709, False)).tolist() == [63, 102, 240]
    assert np.round(ycbcr((255, 255, 255), 709, True)).tolist() == [255, 128, 128]


def test_a_line_from_nowhere_is_not_drawn() -> None:
    canvas = blank()
    canvas.line(np.array([np.nan, 1.0]), np.array([3.0, 3.0]), (255, 255, 255), 2.0)
    canvas.line(np.array([900.0, 1.0]), np.array([901.0, 3.0]), (255, 255, 255), 2.0)
    assert (canvas.luma == 128).all() and (canvas.red == 128).all()
