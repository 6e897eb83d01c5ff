"""The process that reads: what is read comes back whole, and its crash, loop or hunger is a `DataError` here."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sa3dhp_core.errors import DataError
from sa3dhp_datasets import reading_process
from sa3dhp_datasets.reading_process import read_apart

LOADERS = """
import os, sys, warnings
import numpy as np
from sa3dhp_core.errors import DataError

def number(path, *keys):
    return {"process": os.getpid(), "keys": list(keys), "text": open(path, encoding="utf-8").read()}

def arrays(path):
    numbers = np.arange(24.0).reshape(2, 3, 4)
    shapes = [numbers, numbers.T, numbers[:, ::2], numbers[..., 0], np.zeros((0, 3)), np.array(2.0), np.float32(3)]
    kinds = [np.ones(3, dtype=kind) for kind in (">f8", "u1", "?", "c16")]
    return shapes + kinds + [np.array(["a", "bc"]), None, True, "é", b"x", 1.5, (1, [2, {"a": 3}])]

def noisy(path):
    print("to standard output", flush=True)
    os.write(1, b"and past Python")
    warnings.warn("to standard error")
    return "quiet"

def refuses(path):
    raise DataError("refused", where=path, found=3, hint="another")

def fails(path):
    raise ZeroDivisionError("a library's error")

def crashes(path):
    os.abort()

def spoils(path):
    global spoilt
    spoilt = True
    return "spoilt"

def crashes_if_spoilt(path):
    os.abort() if "spoilt" in globals() else None
    return "read"

def loops(path):
    while True:
        pass

def hungers(path):
    return np.ones(1 << 40)

def answers_with_code(path):
    return os.system
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "loaders_of_this_test.py").write_text(LOADERS)
    (tmp_path / "a b.txt").write_text("ä", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    reading_process.end_all()
    yield tmp_path / "a b.txt"
    reading_process.end_all()


def read(name: str, path: Path, *keys: str) -> object:
    return read_apart(f"loaders_of_this_test:{name}", path, *keys, kind="a test file")


def test_files_are_read_in_one_other_process(file: Path) -> None:
    first, second = (read("number", file, *keys) for keys in ((), ("x", "ü")))
    assert isinstance(first, dict) and isinstance(second, dict)
    assert first["process"] == second["process"] != os.getpid()
    assert second["keys"] == ["x", "ü"] and second["text"] == "ä"


def test_values_come_back_whole(file: Path) -> None:
    found = read("arrays", file)
    namespace: dict[str, object] = {}
    exec(LOADERS, namespace)
    wanted = namespace["arrays"](str(file))  # type: ignore[operator]
    assert isinstance(found, list)
    for here, there in zip(found[:12], wanted[:12], strict=True):
        np.testing.assert_array_equal(here, there)
        assert here.dtype == there.dtype and here.shape == there.shape
    assert found[12:] == wanted[12:]


def test_what_a_library_prints_is_not_the_answer(file: Path) -> None:
    assert read("noisy", file) == "quiet"
    assert read("noisy", file) == "quiet"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("refuses", "refused\n  found: 3\n  try: another"),
        ("fails", "cannot be read as a test file: a library's error"),
        ("crashes", "crashes its reader \\(SIGABRT\\)"),
        ("hungers", "wants more memory than its size allows"),
        ("answers_with_code", "crashes its reader"),
    ],
)
def test_every_failure_is_a_data_error_and_the_next_file_is_read(name: str, message: str, file: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(name, file)
    assert str(file) in str(caught.value)
    assert read("noisy", file) == "quiet"


def test_endless_reading_ends(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_process, "SECONDS", 0)
    with pytest.raises(DataError, match="busy without end"):
        read("loops", file)
    assert read("noisy", file) == "quiet"


def test_time_is_counted_for_each_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five files of 0.6 s each are not one file of three."""
    monkeypatch.setattr(reading_process, "SECONDS", 0)
    (file.parent / "loaders_of_this_test.py").write_text(
        "from time import process_time as now\n"
        "def works(path):\n    start = now()\n    while now() < start + 0.6:\n        pass\n"
    )
    for _ in range(5):
        assert read("works", file) is None


def test_a_file_is_not_blamed_for_what_another_spoilt(file: Path) -> None:
    assert read("spoils", file) == "spoilt"
    assert read("crashes_if_spoilt", file) == "read"


def test_a_killed_process_is_replaced(file: Path) -> None:
    first = read("number", file)
    assert isinstance(first, dict)
    os.kill(first["process"], signal.SIGKILL)
    assert read("noisy", file) == "quiet"


def test_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "annot.mat").write_bytes(b"")
    for path, message in ((tmp_path / "anot.mat", "did you mean 'annot.mat'"), (tmp_path, "no such file")):
        with pytest.raises(DataError, match=message):
            read("number", path)
