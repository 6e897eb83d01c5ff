"""npz motion: joints by name, splits, resampling, and every way in which a file can be wrong."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_datasets.config import MocapNpzConfig
from sa3dhp_datasets.inputs import assign, content_of
from sa3dhp_datasets.mocap_npz import npz_motion, read_clips
from sa3dhp_datasets.motion import resample

SHARES = {"validation": 0.1, "test": 0.1}


def test_real_set_is_read(mocap: Path, tmp_path: Path) -> None:
    config = MocapNpzConfig(
        path=str(mocap / "bandai_namco_1.npz"),
        fps=10.0,
        validation_contents=("walk-*",),
        test_contents=("dash", "kick"),
    )
    data = npz_motion(config)
    data.prepare(tmp_path)
    families = {split: set(data.sequences(tmp_path, split).families()) for split in data.splits}
    assert families["validation"] == {"walk-back", "walk-left", "walk-right"}
    assert families["test"] == {"dash", "kick"}
    assert len(families["train"]) == 11 and not families["train"] & (families["validation"] | families["test"])
    batch = data.sequences(tmp_path, "train").draw(5, 8, torch.Generator().manual_seed(0))
    assert batch.shape == (5, 8, 17, 3) and torch.isfinite(batch).all()
    up = batch[..., skeleton().index("head"), 2] - batch[..., skeleton().index("left_ankle"), 2]
    assert 0.5 < up.median() < 1.8


def test_joints_are_mapped_by_name(npz_file: Callable[..., Path]) -> None:
    whole = np.load(npz_file())
    shuffled = np.random.default_rng(1).permutation(17)
    path = npz_file("b.npz", positions=whole["positions"][:, shuffled], joints=whole["joints"][shuffled])
    first, second = next(read_clips(npz_file("c.npz"), {})), next(read_clips(path, {}))
    np.testing.assert_array_equal(first.positions, second.positions)
    np.testing.assert_array_equal(first.positions, whole["positions"][:20].astype(np.float64))
    renamed = np.where(whole["joints"] == "LFoot", "Shoe", whole["joints"])
    with pytest.raises(DataError, match=r"left_ankle\n.*Shoe"):
        next(read_clips(npz_file("d.npz", joints=renamed), {}))
    assert next(read_clips(npz_file("d.npz", joints=renamed), {"left_ankle": "Shoe"})).name == "set_walk_000"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "key": ({"clip_start": None}, "'clip_start' is missing"),
    "near key": ({"clip_start": None, "clip_starts": np.arange(3)}, "did you mean 'clip_starts'"),
    "objects": ({"clip_names": np.array(["a"] * 12, dtype=object)}, "objects is refused"),
    "shape": ({"positions": np.zeros((240, 51), np.float32)}, r"\(N, J, 3\)"),
    "type": ({"positions": np.zeros((240, 17, 3), np.int32)}, "int32"),
    "too few joints": ({"positions": np.zeros((240, 16, 3), np.float32)}, "'joints'"),
    "starts": ({"clip_start": np.array([0, 50, 40, 240])}, "'clip_names'"),
    "falling": ({"clip_start": np.array([*range(0, 220, 20), 100, 240])}, "does not rise"),
    "short": ({"clip_start": np.arange(12 + 1) * 20 - 1}, "does not rise"),
    "names": ({"clip_names": np.array(["a", "b"])}, "'clip_names'"),
    "fps": ({"fps": np.array(0.0)}, "impossible frame rate"),
    "fps NaN": ({"fps": np.array(np.nan)}, "impossible frame rate"),
    "same name": ({"clip_names": np.array(["set_walk_001"] * 12)}, "one name"),
    "NaN": (
        {"positions": np.where(np.arange(240)[:, None, None] == 25, np.nan, np.zeros((240, 17, 3)))},
        "set_walk_001, frame 5",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_named(case: str, npz_file: Callable[..., Path], tmp_path: Path) -> None:
    replaced, message = WRONG[case]
    path = npz_file(**replaced)
    with pytest.raises(DataError, match=message) as caught:
        npz_motion(MocapNpzConfig(path=str(path))).prepare(tmp_path / "out")
    assert "motion.npz" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not an npz"), (b"PK\x03\x04 but no more", "not an npz"), (b"hello", "not an npz")],
)
def test_what_is_no_npz_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(read_clips(path, {}))


def test_cut_and_flipped_archives_are_refused(npz_file: Callable[..., Path]) -> None:
    path = npz_file()
    whole = path.read_bytes()
    for spoilt in (whole[: len(whole) // 2], whole[:2000] + bytes(100) + whole[2100:]):
        path.write_bytes(spoilt)
        with pytest.raises(DataError, match="motion.npz"):
            list(read_clips(path, {}))
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match="not an npz"):
        list(read_clips(path, {}))


def test_wrong_paths_are_named(npz_file: Callable[..., Path], tmp_path: Path) -> None:
    npz_file()
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("x")
    for path, message in (
        ("", "no input path"),
        (str(tmp_path / "motoin.npz"), "did you mean 'motion.npz'"),
        (str(tmp_path / "no" / "such.npz"), "does not exist"),
        (str(tmp_path / "empty"), "no .npz file"),
        (str(tmp_path / "a.txt"), "another type"),
    ):
        with pytest.raises(DataError, match=message):
            npz_motion(MocapNpzConfig(path=path)).prepare(tmp_path / "out")


def test_contents_that_nothing_fits(npz_file: Callable[..., Path], tmp_path: Path) -> None:
    path = str(npz_file())
    with pytest.raises(DataError, match="did you mean 'walk'"):
        npz_motion(MocapNpzConfig(path=path, contents=("wlak",))).prepare(tmp_path / "out")
    with pytest.raises(DataError, match="did you mean 'jump'"):
        npz_motion(MocapNpzConfig(path=path, test_contents=("jmup",))).prepare(tmp_path / "out")
    with pytest.raises(DataError, match="min_frames"):
        npz_motion(MocapNpzConfig(path=path, min_frames=21)).prepare(tmp_path / "out")
    with pytest.raises(RecipeError, match="content"):
        npz_motion(MocapNpzConfig(path=path, content_pattern="(a")).prepare(tmp_path / "out")


def test_window_longer_than_every_clip(npz_file: Callable[..., Path], tmp_path: Path) -> None:
    data = npz_motion(MocapNpzConfig(path=str(npz_file())))
    data.prepare(tmp_path / "out")
    with pytest.raises(DataError, match="20 frames"):
        data.sequences(tmp_path / "out", "train").draw(1, 21, torch.Generator())


def test_files_of_different_rates_need_fps(npz_file: Callable[..., Path], tmp_path: Path) -> None:
    first = npz_file("a.npz")
    second = npz_file("b.npz", fps=np.array(60.0), clip_names=np.array([f"other_sit_{i}" for i in range(12)]))
    with pytest.raises(DataError, match="fps = 30"):
        npz_motion(MocapNpzConfig(path=str(first), paths=(str(second),))).prepare(tmp_path / "out")
    data = npz_motion(MocapNpzConfig(path=str(first), paths=(str(second),), fps=15.0))
    data.prepare(tmp_path / "out")
    lengths = {len(motion) for split in data.splits for motion in data.sequences(tmp_path / "out", split).sequences()}
    assert lengths == {10, 5}


@given(st.integers(2, 40), st.sampled_from([12.5, 24.0, 25.0, 45.0, 60.0]))
def test_resampling_keeps_limbs_and_time(frames: int, target: float) -> None:
    """A body that turns evenly: lengths stay exact, and every frame is where the motion is at its time, nearly."""
    rest = np.random.default_rng(0).normal(size=(17, 3))

    def turned(time: np.ndarray) -> np.ndarray:
        c, s, o = np.cos(2 * time), np.sin(2 * time), np.zeros_like(time)
        turn = np.stack([np.stack([c, -s, o], -1), np.stack([s, c, o], -1), np.stack([o, o, o + 1], -1)], -2)
        return np.einsum("tij,kj->tki", turn, rest - rest[:1])

    found = resample(turned(np.arange(frames) / 30.0), 30.0, target)
    time = np.arange(len(found)) / target
    assert time[-1] <= (frames - 1) / 30 + 1e-6 < time[-1] + 1 / target
    parents = list(skeleton().parent_indices)
    bones = np.linalg.norm(found - found[:, parents], axis=-1)
    np.testing.assert_allclose(
        bones, np.broadcast_to(np.linalg.norm(rest - rest[parents], axis=-1), bones.shape), atol=1e-9
    )
    np.testing.assert_allclose(found, turned(time), atol=2e-3)


@given(st.sets(st.text("abcdef", min_size=1, max_size=6), min_size=30, max_size=60), st.data())
def test_a_clip_keeps_its_split_when_others_come(names: set[str], data: st.DataObject) -> None:
    every = sorted(names)
    fewer = sorted(data.draw(st.sets(st.sampled_from(every), min_size=20)))
    split = dict(zip(every, assign([(n, n) for n in every], SHARES, {}, "x"), strict=True))
    again = dict(zip(fewer, assign([(n, n) for n in fewer], SHARES, {}, "x"), strict=True))
    assert set(split.values()) == {"train", "validation", "test"}
    assert sum(split[name] != again[name] for name in fewer) <= 4  # only those that fill an empty split


def test_too_few_clips_for_the_splits() -> None:
    with pytest.raises(DataError, match="= 0.0 for no such split"):
        assign([("a", "a"), ("b", "b")], SHARES, {}, "x")
    assert sorted(assign([("a", "a"), ("b", "b"), ("c", "c")], SHARES, {}, "x")) == ["test", "train", "validation"]
    with pytest.raises(RecipeError, match="nothing to train on"):
        assign([("a", "a")], {"validation": 0.5, "test": 0.5}, {}, "x")


def test_content_of_a_name() -> None:
    pattern = MocapNpzConfig().content_pattern
    assert content_of("dataset-1_walk-back_sad_001", pattern) == "walk-back"
    assert content_of("jumping_07", pattern) == "jumping"
    assert content_of("42", pattern) == "42"


SHAPES = st.lists(st.sampled_from([0, 1, 2, 12, 13, 17, 3, 240]), max_size=3).map(tuple)
KINDS = st.sampled_from(["f8", "f4", "i8", "u1", "?", "c16", "U3", "S3", "O"])
EDITS = st.tuples(st.integers(0, 10**9), st.integers(0, 2), st.integers(0, 255))


@settings(max_examples=220, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["positions", "clip_start", "clip_names", "fps", "joints"]),
        st.none() | st.tuples(SHAPES, KINDS, st.sampled_from([0, 1, -1, 1e300, np.nan, np.inf])),
        max_size=2,
    ),
    st.lists(EDITS, max_size=3),
)
def test_mutated_files_raise_data_errors_only(
    npz_file: Callable[..., Path], replaced: dict[str, Any], edits: list[tuple[int, int, int]]
) -> None:
    """Arrays exchanged for any others, then perhaps bytes changed."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arrays = {key: drawn and np.full(drawn[0], drawn[2]).astype(drawn[1]) for key, drawn in replaced.items()}
    path = npz_file("mutated.npz", **arrays)
    content = bytearray(path.read_bytes())
    for place, kind, value in edits:
        index = place % len(content)
        content[index : index + (0 if kind == 2 else 1 + value * (kind == 1))] = b"" if kind == 1 else bytes([value])
    path.write_bytes(bytes(content))
    try:
        clips = list(read_clips(path, {}))
    except DataError as error:
        assert "mutated.npz" in str(error)
    else:
        assert all(clip.positions.shape[1:] == (17, 3) for clip in clips)
