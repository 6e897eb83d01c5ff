"""CDF files as Human3.6M has them: what cdflib writes is read; other and damaged files are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cdflib.cdfwrite import CDF

from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError
from sa3dhp_datasets import reading_process
from sa3dhp_datasets.cdf_file import read_cdf

FLOAT, DOUBLE, CHAR = 44, 45, 51
POSE = np.random.default_rng(0).normal(0, 800, (1, 9, 96))


def write_cdf(path: Path, **variables: tuple[int, Any]) -> Path:
    """A file of variables by name: type, and values ``(records, ...)``."""
    file = CDF(path, cdf_spec={"Majority": "row_major"})
    for packed, (name, (kind, values)) in enumerate(variables.items()):
        length = len(values[0]) if kind == CHAR else 1
        sizes = [] if kind == CHAR else list(values.shape[1:])
        spec = {"Data_Type": kind, "Num_Elements": length, "Rec_Vary": True, "Dim_Sizes": sizes, "Compress": packed % 2}
        file.write_var({"Variable": name, **spec}, var_data=values)
    file.close()
    return path


def write_poses(path: Path) -> Path:
    """A variable plain, one packed, one of text."""
    text = np.array(["walk", "sits"])
    return write_cdf(path, Pose=(FLOAT, POSE.astype(np.float32)), Exact=(DOUBLE, POSE), Action=(CHAR, text))


def test_what_cdflib_writes_is_read(tmp_path: Path) -> None:
    found = read_cdf(write_poses(tmp_path / "Walking 1.54138969.cdf"), "Pose", "Exact")
    assert found["Pose"].dtype == np.float32 and found["Pose"].shape == (1, 9, 96)
    np.testing.assert_array_equal(found["Pose"], POSE.astype(np.float32))
    np.testing.assert_array_equal(found["Exact"], POSE)


def test_one_frame_keeps_its_axes(tmp_path: Path) -> None:
    path = write_cdf(tmp_path / "a.cdf", Pose=(FLOAT, POSE[:, :1].astype(np.float32)))
    assert read_cdf(path, "Pose")["Pose"].shape == (1, 1, 96)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "an empty file"), (b"\x89HDF\r\n\x1a\n", "another format"), (b"CDF\x01", "another")]
)
def test_other_formats_are_named(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.cdf").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_cdf(tmp_path / "a.cdf", "Pose")


def test_other_variables_are_named(tmp_path: Path) -> None:
    path = write_poses(tmp_path / "a.cdf")
    with pytest.raises(DataError, match=r"'Poses' is missing\n.*Pose, Exact.*\n.*did you mean 'Pose'"):
        read_cdf(path, "Poses")
    with pytest.raises(DataError, match="a.cdf: Action: a variable of another kind"):
        read_cdf(path, "Action")
    with pytest.raises(DataError, match="did you mean 'a.cdf'"):
        read_cdf(tmp_path / "b.cdf", "Pose")


def test_spoilt_files_are_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of them keep cdflib in a loop; they end with their time."""
    monkeypatch.setattr(reading_process, "SECONDS", 0)
    (tmp_path / "whole").mkdir()
    write_poses(tmp_path / "whole" / "a.cdf")
    keys = ("Pose", "Exact")
    found = outcomes(lambda folder: read_cdf(folder / "a.cdf", *keys), tmp_path / "whole", tmp_path / "spoilt")
    assert found["refused"] > 100 and found["read"] > 10
