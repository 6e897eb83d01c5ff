"""The fuzzer: it repeats itself, spoils what it says and nothing else, and notices each way in which a reader fails."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from sa3dhp_core.conformance import BrokenPromise
from sa3dhp_core.conformance.mutations import mutated, mutated_folder, outcomes
from sa3dhp_core.errors import DataError

DATA = bytes(range(256)) * 8


@pytest.fixture
def fixture(tmp_path: Path) -> Path:
    (tmp_path / "whole" / "deep").mkdir(parents=True)
    (tmp_path / "whole" / "a.bin").write_bytes(DATA)
    (tmp_path / "whole" / "deep" / "b.bin").write_bytes(DATA[::-1])
    return tmp_path / "whole"


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_bytes_are_spoilt_by_their_seed_alone() -> None:
    spoilt = [mutated(DATA, seed) for seed in range(300)]
    assert spoilt == [mutated(DATA, seed) for seed in range(300)]
    assert DATA not in spoilt and len(set(spoilt)) > 290
    lengths = [len(data) - len(DATA) for data in spoilt]
    assert min(lengths) < 0 < max(lengths) and lengths.count(0) > 50
    assert sum(data[:512] != DATA[:512] for data in spoilt) > 100, "headers are spoilt often"
    assert mutated(b"", 3) == b"" and mutated(b"a", 3) != b"a"


def test_one_file_of_a_copied_folder_is_spoilt(fixture: Path, tmp_path: Path) -> None:
    whole, done = digests(fixture), set()
    for seed in range(150):
        said = mutated_folder(fixture, tmp_path / "copy", seed)
        name, what = said.removeprefix(f"seed {seed}: ").rsplit(" ", 1)
        found = digests(tmp_path / "copy")
        assert {each for each in whole if found.get(each) != whole[each]} == {name}
        assert (name in found) is (what != "removed")
        done.add((name, what))
    assert done == {(n, w) for n in whole for w in ("mutated", "removed", "emptied", "exchanged")}
    assert digests(fixture) == whole


def test_only_files_of_the_pattern_are_spoilt(fixture: Path, tmp_path: Path) -> None:
    assert all(" deep/b.bin " in mutated_folder(fixture, tmp_path / "copy", seed, "b.*") for seed in range(20))


def test_a_reader_that_refuses_is_let_through(fixture: Path, tmp_path: Path) -> None:
    whole = digests(fixture)

    def refuses_a(folder: Path) -> None:
        if digests(folder).get("a.bin") != whole["a.bin"]:
            raise DataError("not the file", where=str(folder / "a.bin"))

    found = outcomes(refuses_a, fixture, tmp_path / "copy", range(60))
    assert found["read"] > 10 and found["refused"] > 10 and found.total() == 60


def crashes(folder: Path) -> None:
    raise IndexError("out of range")


def names_nothing(folder: Path) -> None:
    raise DataError("some file is damaged")


def is_busy(folder: Path) -> None:
    sum(range(100_000))


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (crashes, "seed 0: .* IndexError: out of range"),
        (names_nothing, "does not name the file"),
        (is_busy, "it took"),
    ],
)
def test_bad_readers_are_noticed(attempt: Callable[[Path], None], message: str, fixture: Path, tmp_path: Path) -> None:
    with pytest.raises(BrokenPromise, match=message):
        outcomes(attempt, fixture, tmp_path / "copy", range(3), seconds=1e-6)
