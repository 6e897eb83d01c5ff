"""Skeletool calibrations: read as written, by hand from a published camera, and refused where they are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.mpi_inf_3dhp_example import calibration
from sa3dhp_datasets.skeletool_file import HEADER, parse_skeletool, read_skeletool

PUBLISHED = f"""{HEADER}
name          0
  sensor      10 10
  size        2048 2048
  animated    0
  intrinsic   1497.693 0 1024.704 0 0 1497.103 1051.394 0 0 0 1 0 0 0 0 1
  extrinsic   0.9650164 0.00488022 0.262144 -562.8666 -0.004488356 -0.9993728 0.0351275 1398.138 0.262151 -0.03507521 \
-0.9643893 3852.623 0 0 0 1
  radial      0
"""
"""Camera 0 of S1/Seq1, as an issue of a public repository quotes it."""


def test_a_published_camera_by_hand() -> None:
    camera = parse_skeletool(PUBLISHED, "camera.calibration")["0"]
    seen = camera.lens.pixels(np.array([-18.0923, 102.071]) / 3726.17)
    np.testing.assert_allclose(seen, [1017.43, 1092.4], atol=0.05)
    assert (camera.width, camera.height) == (2048, 2048)
    assert camera.turn @ [0, 1, 0] == pytest.approx([0, -1, 0], abs=0.04), "the world's y is up in the picture"
    assert camera.place.tolist() == [-562.8666, 1398.138, 3852.623]


def test_all_cameras_are_read_in_the_files_order() -> None:
    found = parse_skeletool(calibration(), "x")
    assert list(found) == [str(number) for number in range(14)]
    assert len({tuple(camera.place) for camera in found.values()}) == 14


BROKEN: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda text: "", "an empty file"),
    "another file": (lambda text: "OPENCV 1\n" + text, "not a camera calibration"),
    "header alone": (lambda text: HEADER, "no camera"),
    "cut": (lambda text: text[: text.index("  radial")], "a camera without `radial`"),
    "numbers lost": (lambda text: text.replace("-0.9643893", ""), "another number of values"),
    "word": (lambda text: text.replace("1497.693", "1497,693"), "line 6: not a number"),
    "NaN": (lambda text: text.replace("1497.693", "nan"), "not a finite number"),
    "unknown word": (lambda text: text.replace("radial ", "radail "), "an unknown word"),
    "no name": (lambda text: text.replace("name          0\n", ""), "before the first camera"),
    "name twice": (lambda text: text + text.partition("\n")[2], "two cameras have one name"),
    "line twice": (lambda text: text + "  radial 0\n", "radial stands twice"),
    "bent": (lambda text: text.replace("radial      0", "radial      0.1"), "moves or bends"),
    "animated": (lambda text: text.replace("animated    0", "animated    1"), "moves or bends"),
    "skewed": (lambda text: text.replace("1497.693 0 1024", "1497.693 2 1024"), "no pinhole camera"),
    "turned over": (lambda text: text.replace("1497.693", "-1497.693"), "no pinhole camera"),
    "mirrored": (lambda text: text.replace("-0.9643893", "0.9643893"), "no rotation"),
    "scaled": (lambda text: text.replace("0.9650164", "1.9650164"), "no rotation"),
    "size": (lambda text: text.replace("2048 2048", "2048.5 2048"), "no size of a picture"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_named(case: str, tmp_path: Path) -> None:
    spoil, message = BROKEN[case]
    path = tmp_path / "camera.calibration"
    path.write_text(spoil(PUBLISHED))
    with pytest.raises(DataError, match=message) as caught:
        read_skeletool(path)
    assert str(path) in str(caught.value)


def test_what_is_no_text_or_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xfe\x00")
    for name, message in (("a", "not a text file"), ("b", "cannot be read")):
        with pytest.raises(DataError, match=message):
            read_skeletool(tmp_path / name)
