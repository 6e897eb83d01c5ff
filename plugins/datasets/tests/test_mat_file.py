"""MATLAB files of every version: what scipy and h5py write is read, nothing outside a file is, damage is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import eye

from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.mat_file import is_mat73, read_mat, read_mat73, read_matlab

NUMBERS = np.arange(24.0).reshape(2, 3, 4)
KEYS = ("joints", "views", "people", "sequence", "names", "nothing", "gender", "info")


def cells(rows: list[list[Any]]) -> Any:
    """A cell array of MATLAB."""
    found = np.empty((len(rows), len(rows[0])), dtype=object)
    for index, row in enumerate(rows):
        for column, value in enumerate(row):
            found[index, column] = value
    return found


def write_mat(path: Path, **keys: Any) -> Path:
    """3DHP's cells of arrays, MuPoTS-3D's cells of structs, SURREAL's arrays and text."""
    content = {
        "joints": NUMBERS,
        "views": cells([[np.ones((5, 56))], [np.zeros((6, 56))]]),
        "people": cells([[{"annot2": np.ones((2, 17)), "isValidFrame": 1}, {"annot2": np.zeros((2, 17))}]]),
        "sequence": "ung_104_01",
        "names": cells([["a.jpg", "b.jpg"]]),
        "nothing": "",
        "gender": np.array([[1], [0]], dtype=np.uint8),
        "info": {"scale": 2.5, "camera": {"name": "c1"}},
    }
    savemat(path, content | keys, do_compression=path.name.startswith("packed"))
    return path


def write_mat73(path: Path, start: bytes = b"MATLAB 7.3 MAT-file", **keys: Any) -> Path:
    """A file as MATLAB writes it: axes reversed, letters as numbers, cells as references."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file["annot3"] = NUMBERS.T
        file.create_dataset("packed", data=np.arange(4000).reshape(1000, 4), chunks=True, compression="gzip")
        for name, letters in (("text", "ung_104"), ("more", "x")):
            file[name] = np.array([[ord(letter)] for letter in letters], dtype=np.uint16)
            file[name].attrs["MATLAB_class"] = np.bytes_("char")
        file["nothing"] = np.array([0, 3], dtype=np.uint64)
        file["nothing"].attrs["MATLAB_empty"] = np.uint8(1)
        file["#refs#/a"], file["#refs#/b"] = np.zeros((2, 3)), np.ones((4, 5))
        targets = [[file["#refs#/a"].ref, file["#refs#/b"].ref, file["text"].ref]]
        file.create_dataset("Masks", data=np.array(targets, dtype=h5py.ref_dtype), dtype=h5py.ref_dtype)
        file["info/scale"] = np.array([[2.5]])
        for name, value in keys.items():
            file[name] = value
    with path.open("r+b") as raw:
        raw.write(start.ljust(124) + b"\x00\x02IM")
    return path


@pytest.mark.parametrize("name", ["plain.mat", "packed.mat"])
def test_what_scipy_writes_is_read(name: str, tmp_path: Path) -> None:
    for found in (read_mat(write_mat(tmp_path / name), *KEYS), read_matlab(tmp_path / name, *KEYS)):
        np.testing.assert_array_equal(found["joints"], NUMBERS)
        assert [[view.shape for view in row] for row in found["views"]] == [[(5, 56)], [(6, 56)]]
        first, second = found["people"][0]
        assert first["annot2"].shape == (2, 17) and first["isValidFrame"].tolist() == [[1]]
        assert list(second) == ["annot2"]
        assert (found["sequence"], found["names"], found["nothing"]) == ("ung_104_01", [["a.jpg", "b.jpg"]], "")
        assert found["gender"].tolist() == [[1], [0]]
        assert found["info"]["scale"].tolist() == [[2.5]] and found["info"]["camera"] == {"name": "c1"}


def test_several_rows_of_text_and_several_structs(tmp_path: Path) -> None:
    structs = np.array([[(1.0,), (2.0,)]], dtype=[("a", object)])
    found = read_mat(write_mat(tmp_path / "a.mat", rows=np.array(["ab", "cd"]), structs=structs), "rows", "structs")
    assert found["rows"] == ["ab", "cd"]
    assert [[each["a"].item() for each in row] for row in found["structs"]] == [[1.0, 2.0]]


def test_what_matlab_writes_in_hdf5_is_read(tmp_path: Path) -> None:
    path = write_mat73(tmp_path / "a.mat")
    assert is_mat73(path) and not is_mat73(write_mat(tmp_path / "b.mat")) and not is_mat73(tmp_path / "none.mat")
    found = read_mat73(path, "annot3", "packed", "text", "more", "nothing", "Masks", "info", "info/scale")
    np.testing.assert_array_equal(found["annot3"], NUMBERS.T)
    assert found["packed"][-1].tolist() == [3996, 3997, 3998, 3999]
    assert (found["text"], found["more"], found["nothing"].shape) == ("ung_104", "x", (3, 0))
    assert [getattr(cell, "shape", cell) for cell in found["Masks"][0]] == [(2, 3), (4, 5), "ung_104"]
    assert found["info"]["scale"].tolist() == found["info/scale"].tolist() == [[2.5]]


def test_axes_are_matlabs_whatever_the_version(tmp_path: Path) -> None:
    found = read_matlab(write_mat73(tmp_path / "a.mat"), "annot3", "Masks", "nothing", "text")
    np.testing.assert_array_equal(found["annot3"], NUMBERS)
    assert [getattr(row[0], "shape", row[0]) for row in found["Masks"]] == [(3, 2), (5, 4), "ung_104"]
    assert found["nothing"].shape == (0, 3) and found["text"] == "ung_104"


def test_plain_hdf5_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "annot.h5", "w") as file:
        file["pose/3d"], file["one"] = np.ones((4, 32, 3), np.float32), 3
    found = read_mat73(tmp_path / "annot.h5", "pose/3d", "one")
    assert found["pose/3d"].shape == (4, 32, 3) and found["one"] == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"hello", "another format"),
        (b"PK\x03\x04" + bytes(200), "another format"),
        (bytes(200), "another format"),
        (b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM", "is missing"),
    ],
)
def test_other_formats_are_named(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_mat(tmp_path / "a.mat", "joints")
    with pytest.raises(DataError, match="empty file|another format"):
        read_mat73(tmp_path / "a.mat", "joints")


def test_wrong_versions_and_variables_are_named(tmp_path: Path) -> None:
    old, new = write_mat(tmp_path / "old.mat", matrix=eye(3).tocsc()), write_mat73(tmp_path / "new.mat")
    with pytest.raises(DataError, match="version 7.3, which is HDF5"):
        read_mat(new, "annot3")
    with pytest.raises(DataError, match=r"'joint' is missing\n.*sequence.*\n.*did you mean 'joints'"):
        read_mat(old, "joint")
    with pytest.raises(DataError, match="old.mat: matrix: a value of another kind"):
        read_mat(old, "matrix")
    with pytest.raises(DataError, match=r"'anot3' is missing\n.*Masks.*\n.*did you mean 'annot3'"):
        read_mat73(new, "anot3")
    with pytest.raises(DataError, match="info: the variable 'scales' is missing"):
        read_mat73(new, "info/scales")
    with pytest.raises(DataError, match="'scale' is missing"):
        read_mat73(new, "annot3/scale")
    with pytest.raises(DataError, match="did you mean 'old.mat'"):
        read_matlab(tmp_path / "olt.mat", "joints")


def test_nothing_outside_a_file_is_read(tmp_path: Path) -> None:
    other, raw = tmp_path / "other.h5", tmp_path / "raw.bin"
    with h5py.File(other, "w") as file:
        file["secret"] = np.ones(3)
    raw.write_bytes(bytes(24))
    layout = h5py.VirtualLayout((3,), float)
    layout[:] = h5py.VirtualSource(other, "secret", (3,))
    links = {"linked": h5py.ExternalLink(str(other), "/secret"), "soft": h5py.SoftLink("/annot3")}
    path = write_mat73(tmp_path / "a.mat", **links)
    with h5py.File(path, "r+") as file:
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("external", (3,), float, external=[(str(raw), 0, 24)])
        file["group/deep"] = h5py.ExternalLink(str(other), "/")
        file["cells"] = np.array([file["virtual"].ref], dtype=h5py.ref_dtype)
        file["circle"] = np.empty((1,), dtype=h5py.ref_dtype)
        file["circle"][0] = file["circle"].ref
        file["words"] = ["a", "b"]
    for key, message in (
        ("linked", "linked: a link that leads elsewhere is not followed"),
        ("soft", "SoftLink"),
        ("group/deep/secret", "ExternalLink"),
        ("group", "ExternalLink"),
        ("virtual", "virtual"),
        ("external", "external"),
        ("cells", "cells{}: data that lies elsewhere"),
        ("circle", "nested too deep"),
        ("words", "data of another kind"),
    ):
        with pytest.raises(DataError, match=message):
            read_mat73(path, key)


@pytest.mark.parametrize("name", ["plain.mat", "packed.mat"])
def test_spoilt_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    write_mat(tmp_path / "whole" / name)
    found = outcomes(lambda folder: read_matlab(folder / name, *KEYS), tmp_path / "whole", tmp_path / "spoilt")
    assert found["refused"] > 100 and found["read"] > 2


def test_spoilt_files_of_version_7_3_are_read_or_refused(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    keys = ("annot3", "packed", "text", "nothing", "Masks", "info")
    write_mat73(tmp_path / "whole" / "a.mat")
    found = outcomes(lambda folder: read_mat73(folder / "a.mat", *keys), tmp_path / "whole", tmp_path / "spoilt")
    assert found["refused"] > 50 and found["read"] > 20
