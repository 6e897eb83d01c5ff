"""Atomic files: whole or absent, whatever fails; and seeds from names."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sa3dhp_core import atomic
from sa3dhp_core.errors import DataError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    atomic.write_json(path, {"a": 1})

    def fails(temporary: Path) -> None:
        temporary.write_text('{"a"')
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        atomic.write_atomic(path, fails)
    assert atomic.read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_the_target_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "text"
    atomic.write_text(path, "old")

    def write(temporary: Path) -> None:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent, "a rename across file systems is no rename"

    atomic.write_atomic(path, write)
    assert path.read_text() == "new"


def test_arrays_come_back_without_pickles(tmp_path: Path) -> None:
    arrays = {"poses": np.arange(6.0, dtype=np.float32).reshape(2, 3), "joints": np.array(("a", "bc"))}
    atomic.write_npz(tmp_path / "deep" / "a.npz", arrays)
    with np.load(tmp_path / "deep" / "a.npz", allow_pickle=False) as file:
        assert set(file) == set(arrays)
        assert all(np.array_equal(file[name], value) for name, value in arrays.items())
        assert [file[name].dtype for name in arrays] == [value.dtype for value in arrays.values()]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.npz"]


def test_numbers_that_json_does_not_know_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        atomic.write_json(tmp_path / "a.json", {"value": math.nan})
    assert list(tmp_path.iterdir()) == []


def test_unfinished_files_of_killed_processes_are_removed(tmp_path: Path) -> None:
    left = tmp_path / "stage" / f".weights.safetensors.77{atomic.PARTIAL}"
    left.parent.mkdir()
    left.write_text("x")
    kept = tmp_path / "stage" / f"named{atomic.PARTIAL}"
    kept.write_text("someone's own file")
    atomic.remove_partial(tmp_path)
    assert not left.exists() and kept.exists()


@pytest.mark.parametrize("read", [atomic.read_tensors, atomic.read_meta, atomic.read_json])
def test_missing_and_damaged_files_are_named(tmp_path: Path, read: object) -> None:
    path = tmp_path / "file"
    with pytest.raises(DataError, match="missing") as caught:
        read(path)  # type: ignore[operator]
    assert str(path) in str(caught.value)
    path.write_bytes(b"\xff\xfe rubbish")
    with pytest.raises(DataError, match="not readable as") as caught:
        read(path)  # type: ignore[operator]
    assert str(path) in str(caught.value)


def test_a_truncated_tensor_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    atomic.write_tensors(path, {"a": torch.arange(100.0)})
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="not readable as safetensors"):
        atomic.read_tensors(path)


@pytest.mark.parametrize("longest", [atomic.LONGEST, 3])
def test_tensors_keep_type_values_and_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longest: int) -> None:
    monkeypatch.setattr(atomic, "LONGEST", longest)
    path = tmp_path / "t.safetensors"
    base = torch.arange(12.0).view(3, 4)
    given_tensors = {
        "strided": base.t(),
        "shared": base[1],
        "bytes": torch.tensor([0, 255], dtype=torch.uint8),
        "half": torch.tensor([0.1], dtype=torch.bfloat16),
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }
    atomic.write_tensors(path, given_tensors, {"fps": 25.0, "families": ["walk", "läuft"]})
    found = atomic.read_tensors(path)
    assert found.keys() == given_tensors.keys()
    for name, value in given_tensors.items():
        assert found[name].dtype == value.dtype and torch.equal(found[name], value)
    assert atomic.read_meta(path) == {"fps": 25.0, "families": ["walk", "läuft"]}


def test_more_facts_than_a_header_holds_are_kept(tmp_path: Path) -> None:
    path, names = tmp_path / "t.safetensors", [[f"S{number:07d}", "x" * 80, ""] for number in range(1_100_000)]
    atomic.write_tensors(path, {"one": torch.ones(1)}, {"names": names})
    assert path.stat().st_size > 100_000_000
    assert atomic.read_tensors(path).keys() == {"one"} and atomic.read_meta(path) == {"names": names}


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.integers(0, 9) | st.text("ab/", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(plain)
def test_states_survive_the_split_through_json(state: object) -> None:
    tensors, shape = atomic.state_tensors({"state": state, "tensor": torch.ones(2)})
    again = atomic.join_state(json.loads(json.dumps(shape)), tensors)
    assert again["state"] == state
    assert torch.equal(again["tensor"], torch.ones(2))


@given(st.lists(st.integers() | st.text(max_size=4), min_size=1, max_size=3))
def test_generators_are_functions_of_their_names(parts: list[object]) -> None:
    first = torch.rand(5, generator=atomic.generator_for(*parts))
    torch.rand(3)
    assert torch.equal(first, torch.rand(5, generator=atomic.generator_for(*parts)))
    assert not torch.equal(first, torch.rand(5, generator=atomic.generator_for(*parts, "more")))


def test_names_do_not_run_into_each_other() -> None:
    first, second = atomic.generator_for(1, 23), atomic.generator_for(12, 3)
    assert first.initial_seed() != second.initial_seed()


def test_seeded_blocks_repeat_and_leave_no_trace() -> None:
    torch.manual_seed(0)
    expected = torch.rand(4)
    torch.manual_seed(0)
    with atomic.seeded(5, "encoder"):
        inside = torch.rand(4)
    assert torch.equal(torch.rand(4), expected)
    with atomic.seeded(5, "encoder"):
        assert torch.equal(torch.rand(4), inside)
    with atomic.seeded(6, "encoder"):
        assert not torch.equal(torch.rand(4), inside)
