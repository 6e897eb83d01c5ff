"""JSON of others: read as it is, or refused with the file's name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.json_file import read_list, read_object

CONTENT = {"images": [{"id": 1, "file_name": "ä.jpg"}], "annotations": [{"keypoints": [0.5, 2, 2], "image_id": 1}]}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("\ufeff" + json.dumps(CONTENT, ensure_ascii=False), encoding="utf-8")
    (tmp_path / "b.json").write_text(json.dumps([CONTENT]))
    assert read_object(tmp_path / "a.json") == CONTENT
    assert read_list(tmp_path / "b.json") == [CONTENT]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "Expecting value"),
        (b'{"a": 1', "delimiter"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "'c' stands twice"),
        (b'{"a": "\xff"}', "utf-8"),
        (b"[1]", "found: list"),
        (b"3", "found: int"),
        (b"[" * 200_000, "recursion"),
        (b'{"a": ' * 200_000, "recursion"),
        (b"9" * 5000, "digits"),
    ],
)
def test_other_content_is_named(text: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(DataError, match=message) as caught:
        read_object(tmp_path / "a.json")
    assert str(tmp_path / "a.json") in str(caught.value)


def test_missing_files_and_lists_are_named(tmp_path: Path) -> None:
    (tmp_path / "keypoints.json").write_text("{}")
    with pytest.raises(DataError, match=r"no such file(.*\n)*.*did you mean 'keypoints.json'"):
        read_object(tmp_path / "keypoint.json")
    with pytest.raises(DataError, match="expected: an array"):
        read_list(tmp_path / "keypoints.json")
    with pytest.raises(DataError, match="no such file"):
        read_object(tmp_path)


def test_spoilt_files_are_read_or_refused(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "a.json").write_text(json.dumps(CONTENT))
    found = outcomes(lambda folder: read_object(folder / "a.json"), tmp_path / "whole", tmp_path / "spoilt", range(400))
    assert found["refused"] > 200
