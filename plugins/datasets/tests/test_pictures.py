"""Numbered image files: their order is their numbers', from 0 or from 1, whatever is missing between."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.pictures import ImageFiles, numbered


def touched(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_numbers_tell_the_order_and_gaps_keep_their_place(tmp_path: Path) -> None:
    folder = touched(tmp_path, "img_3_000001.jpg", "img_3_000004.jpg", "img_13_000002.jpg", "img_3_x.jpg", "a.txt")
    assert [path.name for path in numbered(folder, "img_3_")] == [f"img_3_00000{number}.jpg" for number in (1, 2, 3, 4)]
    assert numbered(folder, "img_4_") == [] and numbered(tmp_path / "none") == []


@given(numbers=st.sets(st.integers(0, 300), min_size=1), digits=st.integers(1, 6))
def test_a_path_stands_at_its_number(tmp_path_factory: pytest.TempPathFactory, numbers: set[int], digits: int) -> None:
    folder = touched(tmp_path_factory.mktemp("frames"), *(f"frame_{number:0{digits}d}.png" for number in numbers))
    first = 0 if 0 in numbers else 1
    found = numbered(folder)
    assert len(found) == max(numbers) + 1 - first or found == []
    assert {place + first for place, path in enumerate(found) if path.is_file()} == numbers


def test_numbers_that_are_no_row_are_refused_and_missing_files_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not numbered in a row(.|\n)*1 up to 20170626"):
        numbered(touched(tmp_path / "dates", "20170626.jpg"))
    with pytest.raises(DataError, match="no such file"):
        ImageFiles.open(numbered(touched(tmp_path / "late", "img_000007.jpg")))
