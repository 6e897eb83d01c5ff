"""Pickles of arrays: every protocol and Python 2's are read, nothing in them runs, endless ones are refused."""

from __future__ import annotations

import io
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sa3dhp_core.conformance.mutations import mutated, outcomes
from sa3dhp_core.errors import DataError
from sa3dhp_datasets import reading_process
from sa3dhp_datasets.pickle_file import read_pickle
from sa3dhp_datasets.plain_pickle import load_plain

ACTORS = 2
SEQUENCE: dict[str, Any] = {
    "sequence": "courtyard_arguing_00",
    "poses": [np.random.default_rng(actor).normal(size=(7, 72)) for actor in range(ACTORS)],
    "genders": ["m", "f"],
    "campose_valid": [np.ones(7, dtype=bool)] * ACTORS,
    "poses2d": [np.zeros((7, 3, 18), np.float32, order="F")] * ACTORS,
    "cam_poses": np.tile(np.eye(4), (7, 1, 1))[:, :, ::-1],
    "img_frame_ids": np.arange(7),
    "texture_maps": [],
    "objects": np.array([[None, "a"], [1, np.float64(0.5)]], dtype=object),
    "others": (b"\x00\xff", "é", np.array(["ab", "c"]), np.array(2.0), np.arange(3, dtype=">i4"), True),
}
"""A sequence of 3DPW with a little of everything."""


def same(left: Any, right: Any) -> bool:
    """Whether two values are of one type and content."""
    if isinstance(right, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and bool((left == right).all())
    if isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in right)
    if isinstance(right, list | tuple):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return type(left) is type(right) and bool(left == right)


def write(path: Path, content: bytes) -> Path:
    """A file of bytes."""
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_is_read(protocol: int, tmp_path: Path) -> None:
    assert same(read_pickle(write(tmp_path / "a.pkl", pickle.dumps(SEQUENCE, protocol))), SEQUENCE)


PYTHON_2 = (
    b"(dp0\nS'poses'\np1\n(lp2\ncnumpy.core.multiarray\n_reconstruct\np3\n(cnumpy\nndarray\np4\n(I0\ntp5\nS'b'\np6\n"
    b"tp7\nRp8\n(I1\n(I1\nI2\ntp9\ncnumpy\ndtype\np10\n(S'f8'\np11\nI0\nI1\ntp12\nRp13\n(I3\nS'<'\np14\nNNNI-1\nI-1\n"
    b"I0\ntp15\nbI00\nS'\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?\\x00\\x00\\x00\\x00\\x00\\x00\\xe0?'\np16\ntp17\nba"
    b"sS'gender'\np18\nS'\\xe4'\np19\nsS'scale'\np20\ncnumpy.core.multiarray\nscalar\np21\n(g13\n"
    b"S'\\x00\\x00\\x00\\x00\\x00\\x00\\xe0?'\np22\ntp23\nRp24\ns."
)
"""As Python 2 with numpy 1 writes ``{'poses': [array([[1.0, 0.5]])], 'gender': '\\xe4', 'scale': float64(0.5)}``."""


def test_python_2_is_read(tmp_path: Path) -> None:
    content = {"poses": [np.array([[1.0, 0.5]])], "gender": "ä", "scale": np.float64(0.5)}
    assert same(pickle.loads(PYTHON_2, encoding="latin1"), content), "the example is what Python 2 writes"
    assert same(read_pickle(write(tmp_path / "a.pkl", PYTHON_2)), content)


def test_what_stands_twice_is_one(tmp_path: Path) -> None:
    found = read_pickle(write(tmp_path / "a.pkl", pickle.dumps(SEQUENCE)))
    assert found["campose_valid"][0] is found["campose_valid"][1]
    tree: list[Any] = []
    for _ in range(300):
        tree = [tree, tree]
    assert len(load_plain(io.BytesIO(pickle.dumps(tree)), "a")) == 2


class Calls:
    """What calls something when it is unpickled."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "posix.mkdir": (os.mkdir, ("MARK",)),
    "(builtins|__builtin__).eval": (eval, ("__import__('os').mkdir('MARK')",)),
    "(builtins|__builtin__).getattr": (getattr, (os, "mkdir")),
    "numpy.load|numpy.lib": (np.load, ("MARK",)),
    "numpy.fromfile|numpy.*multiarray.fromfile": (np.fromfile, ("MARK",)),
    "numpy.*memmap": (np.memmap, ("MARK",)),
    "made by numpy.ndarray itself": (np.ndarray, ((1 << 40,),)),
    "arrays of a type": (np.dtype, ([("a", "O")],)),
    "collections.OrderedDict": (OrderedDict, ()),
}


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("name", CALLS)
def test_nothing_in_a_pickle_runs(name: str, protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "was-here"
    function, arguments = CALLS[name]
    given = tuple(each.replace("MARK", str(mark)) if isinstance(each, str) else each for each in arguments)
    try:
        content = pickle.dumps({"poses": [np.ones(3), Calls(function, *given)]}, protocol)
    except TypeError:  # a module among the arguments
        content = pickle.dumps(Calls(function, "", "upper"), protocol)
    with pytest.raises(DataError, match=name) as caught:
        read_pickle(write(tmp_path / "a.pkl", content))
    assert str(tmp_path / "a.pkl") in str(caught.value) and not mark.exists()


def test_chumpy_is_named(tmp_path: Path) -> None:
    content = b"\x80\x02cchumpy.ch\nCh\nq\x00)\x81q\x01}q\x02b."
    with pytest.raises(DataError, match=r"chumpy.ch.Ch\n(.*\n)*.*download the same model as npz"):
        read_pickle(write(tmp_path / "basicModel.pkl", content))


def dtype_state(*state: Any) -> bytes:
    """An array of one number whose dtype has a state of our own."""
    whole = b"(K\x03X\x01\x00\x00\x00<q\x0fNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x10"
    content = pickle.dumps(np.ones(1), 2)
    assert whole in content
    return content.replace(whole, pickle.dumps(state, 2)[2:-1])


def test_states_that_would_reach_past_memory_are_refused(tmp_path: Path) -> None:
    for state in (
        (3, "<", None, ("a",), {"a": (1, 1 << 30)}, 8, 1, 0),
        (3, "<", (1, (1 << 30,)), None, None, 8, 1, 0),
        (3, "?", None, None, None, -1, -1, 0),
        (),
    ):
        with pytest.raises(DataError, match="damaged pickle"):
            read_pickle(write(tmp_path / "a.pkl", dtype_state(*state)))
    harmless = dtype_state(3, "<", *[None] * 3, 99, 7, 63)
    assert same(read_pickle(write(tmp_path / "b.pkl", harmless)), np.ones(1))


def endless() -> bytes:
    """A dict whose key takes 2^60 steps to hash."""
    key: Any = ()
    for _ in range(60):
        key = (key, key)
    return pickle.dumps(key, 2)[:-1].replace(b"\x80\x02", b"\x80\x02}(") + b"K\x01u."


DEEP = b"\x80\x02" + b"]" * 100_001 + b"a" * 100_000 + b"."
CIRCLE = b"\x80\x02]q\x00h\x00a."
HUNGRY = b"\x80\x02Nr\xff\xff\xff\x7f."
LONG = b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x0fabc."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"hello", "damaged pickle"),
        (pickle.dumps(SEQUENCE)[:-9], "damaged pickle"),
        (DEEP, "nested too deep"),
        (CIRCLE, "nested too deep"),
        (HUNGRY, "damaged pickle|memory|crashes its reader"),
        (LONG, "damaged pickle|memory"),
        (b"\x80\x02cnumpy\nndarray\nq\x00.", "a type or function"),
        (b"\x80\x02(cnumpy\nndarray\nK\x01d.", "a type or function"),
        (b"\x80\x02P1\n.", "damaged pickle|persistent id"),
        (endless(), "busy without end"),
    ],
    ids=["empty", "text", "cut", "deep", "circle", "hungry", "long", "type", "key", "persistent", "endless"],
)
def test_what_is_no_value_is_refused(
    content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_process, "SECONDS", 0)
    with pytest.raises(DataError, match=message):
        read_pickle(write(tmp_path / "a.pkl", content))


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_spoilt_files_are_read_or_refused(protocol: int, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    write(tmp_path / "whole" / "a.pkl", pickle.dumps(SEQUENCE, protocol))
    found = outcomes(lambda folder: read_pickle(folder / "a.pkl"), tmp_path / "whole", tmp_path / "spoilt")
    assert found["refused"] > 50 and found["read"] > 0


def test_spoilt_calls_do_not_run(tmp_path: Path) -> None:
    """A pickle that would make a folder, spoilt in 300 ways, never does."""
    mark = tmp_path / "was-here"
    content = pickle.dumps([SEQUENCE["poses"], Calls(os.mkdir, str(mark))], 2)
    for seed in range(300):
        try:
            read_pickle(write(tmp_path / "a.pkl", mutated(content, seed)))
        except DataError:
            pass
        assert not mark.exists()
