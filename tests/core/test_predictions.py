"""Folders of predicted poses: every form holds the same, names are fit for files, nothing is overwritten."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from sa3dhp_core import pose_spool
from sa3dhp_core.atomic import read_json
from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import forward_kinematics, one_euro, standard_lengths
from sa3dhp_core.predictions import INDEX, smoothed, write_predictions
from sa3dhp_core.protocols.prediction import Filmed, Part, PosedClip
from sa3dhp_core.types import ClipName

BODY = skeleton()


def clip(*name: str, frames: int = 3, **changes: Any) -> PosedClip:
    """Limbs any which way; the head of the first frame was not seen."""
    directions = torch.randn(frames, len(BODY), 3, generator=torch.Generator().manual_seed(frames))
    directions = torch.nn.functional.normalize(directions, dim=-1)
    seen = torch.ones(frames, len(BODY), dtype=torch.bool)
    seen[0, BODY.index("head")] = False
    poses = forward_kinematics(directions, standard_lengths(BODY), BODY)
    return attrs.evolve(PosedClip(ClipName(*name), 25.0, BODY, poses, seen, "own work"), **changes)


def parts_of(clips: Sequence[PosedClip], length: int) -> Iterator[PosedClip]:
    """Clips a few poses at a time, in turn."""
    for first in range(0, max(len(one.poses) for one in clips), length):
        for number, one in enumerate(clips):
            some = slice(first, first + length)
            filmed = one.filmed and Filmed(one.filmed.film, one.filmed.frames[some], one.filmed.roots[some])
            if len(one.poses[some]):
                part = Part(number, first)
                yield attrs.evolve(one, poses=one.poses[some], seen=one.seen[some], filmed=filmed, part=part)


def test_npz_and_json_hold_poses_times_and_what_they_are(tmp_path: Path) -> None:
    given = clip("S1", "walk", "0")
    index = write_predictions(tmp_path / "out", [given], {"run": "runs/a"})
    assert index == read_json(tmp_path / "out" / INDEX) and index["run"] == "runs/a"
    (told,) = index["clips"]
    assert (told["subject"], told["frames"], told["fps"], told["unseen_joints"]) == ("S1", 3, 25.0, 1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([INDEX, *told["files"].values()])
    plain = json.loads((tmp_path / "out" / told["files"]["json"]).read_text(encoding="utf-8"))
    with np.load(tmp_path / "out" / told["files"]["npz"], allow_pickle=False) as file:
        arrays = dict(file)
    assert set(arrays) == set(plain)
    assert np.array_equal(arrays["poses"], given.poses.numpy()) and np.array_equal(arrays["seen"], given.seen.numpy())
    assert arrays["time_s"].tolist() == pytest.approx([0.0, 0.04, 0.08])
    assert np.abs(np.array(plain["poses"]) - arrays["poses"]).max() < 1e-6
    assert plain["seen"] == given.seen.tolist() and plain["time_s"] == [0.0, 0.04, 0.08]
    for found in (plain, {key: value.tolist() for key, value in arrays.items()}):
        assert tuple(found["joints"]) == BODY.joints and tuple(found["parents"]) == BODY.parent_indices
        facts = [found[key] for key in ("clip", "camera", "skeleton", "unit", "frame", "licence")]
        assert facts == ["walk", "0", BODY.id, "m", "camera", "own work"]


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        ([("S1", "Walking 1", "54138969")], ["S1_Walking_1_54138969"]),
        ([("../..", "/etc/x", "")], ["etc_x"]),
        ([("", "", ""), ("", "?", "")], ["clip", "clip-2"]),
        ([("a", "b", ""), ("A", "b", ""), ("a b", "", "")], ["a_b", "A_b-2", "a_b-3"]),
        ([("index", "", "")], ["index-2"]),
        ([("x" * 300, "", "")], ["x" * 50]),
    ],
)
def test_names_are_fit_for_files_and_differ(names: list[tuple[str, ...]], stems: list[str], tmp_path: Path) -> None:
    index = write_predictions(tmp_path / "out", [clip(*name) for name in names], {})
    assert [told["files"]["npz"] for told in index["clips"]] == [f"{stem}.npz" for stem in stems]
    assert [(told["subject"], told["clip"], told["camera"]) for told in index["clips"]] == names
    assert len(list((tmp_path / "out").iterdir())) == 3 * len(names) + 1


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(DataError, match=r"another --out"):
            write_predictions(place, [clip("a", "", "")], {})
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_no_clip_and_no_pose_are_named_and_no_index_is_left(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no clip to predict"):
        write_predictions(tmp_path / "none", [], {})
    good = clip("S1", "walk", "0")
    bad = clip("S1", "sit", "0", poses=good.poses.clone().index_fill(0, torch.tensor([1]), torch.nan))
    with pytest.raises(DataError, match="S1/sit/0, frame 1, joint 0: a position is not a finite number"):
        write_predictions(tmp_path / "bad", [good, bad], {})
    assert sorted(path.name for path in (tmp_path / "bad").iterdir()) == [
        f"S1_walk_0.{k}" for k in ("bvh", "json", "npz")
    ]


@pytest.mark.parametrize("block", [2, 1024])
def test_clips_in_parts_are_the_clips_at_once(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes in every file, smoothed or not, however poses come and are read back."""
    clips = [clip("b", "film", "", frames=7), clip("a", "film", "", frames=5, start_s=0.2)]
    for name, given in (("plain", clips), ("smooth", list(smoothed(clips, 1.5)))):
        write_predictions(tmp_path / name, given, {})
    monkeypatch.setattr(pose_spool, "BLOCK", block)
    write_predictions(tmp_path / "plain parts", parts_of(clips, 3), {})
    write_predictions(tmp_path / "smooth parts", smoothed(parts_of(clips, 2), 1.5), {})
    for name in ("plain", "smooth"):
        for path in (tmp_path / name).iterdir():
            again = tmp_path / f"{name} parts" / path.name
            if path.suffix == ".npz":
                with np.load(path) as one, np.load(again) as other:
                    assert list(one) == list(other) and all(np.array_equal(one[key], other[key]) for key in one)
            else:
                assert path.read_bytes() == again.read_bytes()
    with np.load(tmp_path / "smooth" / "b_film.npz") as file:
        assert np.array_equal(file["poses"], one_euro(clips[0].poses, 25.0, 1.5).numpy())


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError("the film is torn")])
def test_what_ends_early_leaves_whole_files_or_no_folder(error: Any, tmp_path: Path) -> None:
    def torn(first: PosedClip) -> Iterator[PosedClip]:
        yield first
        raise error

    with pytest.raises(BaseException, match=None if error is KeyboardInterrupt else "torn"):  # noqa: PT011
        write_predictions(tmp_path / "new" / "parts", torn(clip("a", "", "", part=Part(0, 0))), {})
    assert not (tmp_path / "new").exists()
    with pytest.raises(BaseException):  # noqa: B017, PT011
        write_predictions(tmp_path / "whole", torn(clip("a", "", "")), {})
    assert sorted(path.name for path in (tmp_path / "whole").iterdir()) == ["a.bvh", "a.json", "a.npz"]
