"""Films drawn upon: colours and times are the film's, only what is drawn changes, and only in its picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from sa3dhp_core.canvas import Canvas
from sa3dhp_datasets.drawn_video import canvas_of, write_drawn
from sa3dhp_datasets.footage import probe, shown

GREY, LEVEL = 100, 12
"""The pictures' luma, and how far a coder may be off on flat pictures."""


def film(path: Path, frames: int = 6, width: int = 64, height: int = 48, colorspace: int = 1, full: int = 1) -> Path:
    """Grey pictures, all after the first made of it; BT.709 of television's range unless said otherwise."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = colorspace, full
        for number in range(frames):
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane, value in zip(frame.planes, (GREY, 128, 128), strict=True):
                np.frombuffer(plane, dtype=np.uint8)[:] = value
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def red_line(number: int, canvas: Canvas) -> None:
    """Across the middle of the second picture."""
    if number == 1:
        canvas.line(np.array([8.0, 24.0]), np.array([56.0, 24.0]), (255, 0, 0), 8.0)


@pytest.mark.parametrize(("colorspace", "full", "luma"), [(1, 1, 63), (5, 1, 81), (1, 2, 54)])
def test_only_what_is_drawn_changes(colorspace: int, full: int, luma: int, tmp_path: Path) -> None:
    """Red has another luma in each standard and range; decoders still read the picture that was drawn upon."""
    given = probe(film(tmp_path / "a.mp4", colorspace=colorspace, full=full))
    write_drawn(tmp_path / "b.mp4", given.times_s, shown(given), red_line)
    found = probe(tmp_path / "b.mp4")
    assert found.times_s == pytest.approx(given.times_s, abs=1e-4)
    for number, frame in enumerate(shown(found)):
        assert (frame.colorspace, frame.color_range) == (colorspace, full)
        picture = canvas_of(frame).luma.astype(int)
        assert np.abs(picture[:12] - GREY).max() < LEVEL and np.abs(picture[36:] - GREY).max() < LEVEL
        assert abs(picture[24, 32] - (luma if number == 1 else GREY)) < LEVEL


def test_odd_sides_become_even(tmp_path: Path) -> None:
    def pictures() -> Iterator[av.VideoFrame]:
        for _ in range(2):
            yield av.VideoFrame.from_ndarray(np.full((31, 33, 3), 90, dtype=np.uint8), format="rgb24")

    write_drawn(tmp_path / "b.mp4", np.arange(2) / 25, pictures(), lambda number, canvas: None)
    found = probe(tmp_path / "b.mp4")
    assert (found.width, found.height, len(found)) == (34, 32, 2)
