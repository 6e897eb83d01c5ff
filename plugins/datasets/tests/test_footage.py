"""What a video holds is what decoding it shows, whatever its container says or leaves out."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from sa3dhp_core.errors import DataError
from sa3dhp_datasets import footage
from sa3dhp_datasets.footage import frames, probe

WIDTH, HEIGHT, COUNT = 322, 242, 21
"""Codecs round both sides up, and say how much of it is shown."""


def film(path: Path, codec: str = "libx264") -> Path:
    """A pattern that moves; x264's quality has B frames."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(COUNT):
            wave = 128 + 90 * np.sin((x + 7 * number) / 9) * np.cos(y / 13)
            picture = np.repeat(wave.astype(np.uint8)[..., None], 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("ending", "codec"),
    [
        ("mp4", "libx264"),
        ("mp4", "mpeg4"),
        ("mov", "libx265"),
        ("mkv", "libx264"),
        ("mkv", "ffv1"),
        ("webm", "libvpx-vp9"),
        ("avi", "mpeg4"),
        ("ts", "libx264"),
    ],
)
def test_a_video_holds_what_decoding_it_shows(tmp_path: Path, ending: str, codec: str) -> None:
    found = probe(film(tmp_path / f"a.{ending}", codec))
    with av.open(str(found.path)) as container:
        shown = [(frame.width, frame.height, frame.time) for frame in container.decode(video=0)]
    assert {(found.width, found.height)} == {shape[:2] for shape in shown} == {(WIDTH, HEIGHT)}
    times = np.array([time for _, _, time in shown], dtype=np.float64)
    assert len(found) == COUNT and found.times_s == pytest.approx(times - times[0], abs=1e-6)
    assert sum(1 for _ in frames(found, range(COUNT))) == COUNT


def test_a_film_of_b_frames_is_opened_once_and_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened = film(tmp_path / "a.mp4"), []

    def watched(*words: Any, **options: Any) -> Any:
        opened.append(options)
        return av.container.open(*words, **options)

    monkeypatch.setattr(footage.av, "open", watched)
    assert len(probe(path)) == COUNT
    assert opened == [{"options": {"skip_frame": "all"}}]


def stated(path: Path, place: int, content: bytes) -> None:
    """Write over what an mp4 file says of its pictures, so many bytes after the name of their codec."""
    held = bytearray(path.read_bytes())
    start = held.index(b"avc1", held.index(b"stsd")) + place
    held[start : start + len(content)] = content
    path.write_bytes(held)


def test_a_size_is_the_pictures_not_the_containers(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    stated(path, 28, struct.pack(">HH", 64, 48))
    found = probe(path)
    assert (found.width, found.height) == (WIDTH, HEIGHT)
    ((_, picture),) = frames(found, {3})
    assert picture.shape == (HEIGHT, WIDTH, 3)


def test_a_codec_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    stated(path, 0, b"none")
    with pytest.raises(DataError, match=r"a\.mp4: no decoder(.|\n)*ffmpeg -i a\.mp4"):
        probe(path)
