"""Results: what is written is what is read, one record a number."""

from __future__ import annotations

from pathlib import Path

import pytest

from sa3dhp_core.errors import DataError
from sa3dhp_core.results import RESULTS, Record, as_results, read_results, write_results

RECORD = Record("adapted", "mpjpe-root", "target-test", 0.1 + 0.2, "mm", 3, "abc")


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = write_results(tmp_path, "quickstart", "abc", 3, [RECORD])
    assert read_results(tmp_path) == written == as_results("quickstart", "abc", 3, [RECORD])
    assert written["records"] == [
        {
            "row": "adapted",
            "protocol": "mpjpe-root",
            "split": "target-test",
            "value": 0.1 + 0.2,
            "unit": "mm",
            "seed": 3,
            "recipe_digest": "abc",
        }
    ]


def test_a_number_that_is_none_damages_nothing(tmp_path: Path) -> None:
    write_results(tmp_path, "quickstart", "abc", 3, [RECORD])
    before = (tmp_path / RESULTS).read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_results(tmp_path, "quickstart", "abc", 3, [Record("a", "b", "c", float("nan"), "mm", 3, "abc")])
    assert (tmp_path / RESULTS).read_bytes() == before


def test_a_run_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=RESULTS):
        read_results(tmp_path)
