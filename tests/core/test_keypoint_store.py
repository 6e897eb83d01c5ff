"""Stored keypoints: what is written is read, draws repeat and are shared out, and what does not fit is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_core.keypoint_store import ArrayKeypoints, read_truth, write_keypoints
from sa3dhp_core.protocols.data import TellsFrames, facts_of
from sa3dhp_core.protocols.keypoints import Keypoints
from sa3dhp_core.store import split_file
from sa3dhp_core.types import Shard

BODY = skeleton()
STARTS = torch.tensor([0, 4, 5, 12])


def write(folder: Path, **changes: Any) -> None:
    """Twelve frames that can be told by their number; the head of frame 2 was not seen."""
    points = torch.arange(12.0)[:, None, None] * torch.ones(len(BODY), 2)
    points[2, BODY.index("head")] = torch.nan
    facts: dict[str, Any] = {"points": points, "starts": STARTS, "fps": 25.0, "licence": "own work"}
    write_keypoints(folder, "train", **{**facts, "groups": ("a", "b", "a"), **changes})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    poses = torch.randn(12, len(BODY), 3, generator=torch.Generator().manual_seed(0))
    write(tmp_path, poses=poses)
    found = ArrayKeypoints(tmp_path, "train")
    assert isinstance(found, Keypoints) and len(found) == 12 and found.groups() == ("a", "b", "a")
    assert (found.fps, found.licence, found.skeleton) == (25.0, "own work", BODY)
    assert found.clip_index().tolist() == [0] * 4 + [1] + [2] * 7
    points = torch.cat(list(found.batches(5)))
    assert points[2, BODY.index("head")].isnan().all() and int(points.isnan().sum()) == 2
    assert points[:, 0, 0].tolist() == list(range(12))
    truth = read_truth(tmp_path, "train")
    assert truth is not None and torch.allclose(truth, poses - poses[:, [BODY.index(BODY.root)]])


def test_frames_tell_what_was_written_of_their_clips(tmp_path: Path) -> None:
    write(tmp_path, cameras=("left", "right", "right"), stride=2)
    found = ArrayKeypoints(tmp_path, "train")
    facts = facts_of(found)
    assert isinstance(found, TellsFrames) and facts is not None and facts.numbers is not None
    assert facts.numbers.tolist() == [0, 2, 4, 6, 0, 0, 2, 4, 6, 8, 10, 12]
    assert facts.subjects == ["a"] * 4 + ["b"] + ["a"] * 7 and facts.cameras == ["left"] * 4 + ["right"] * 8
    some = facts.of(facts.numbers == 2)
    assert (some.subjects, some.cameras) == (["a", "a"], ["left", "right"])
    write(tmp_path, groups=())
    facts = ArrayKeypoints(tmp_path, "train").frame_facts()
    assert (facts.subjects, facts.cameras, facts.numbers) == (None, None, None)
    assert facts_of(object()) is None


def test_clips_have_names_where_they_were_written(tmp_path: Path) -> None:
    write(tmp_path)
    unnamed = ArrayKeypoints(tmp_path, "train").clip_names()
    assert unnamed == (("a", "", ""), ("b", "", ""), ("a", "", ""))
    write(tmp_path, names=("walk", "sit", "run"), cameras=("left", "right", "right"))
    second = ArrayKeypoints(tmp_path, "train").clip_names()[1]
    assert (second.subject, second.clip, second.camera) == ("b", "sit", "right")


def test_windows_stay_inside_clips_and_are_shared_out(tmp_path: Path) -> None:
    write(tmp_path)
    found = ArrayKeypoints(tmp_path, "train")
    whole = found.draw(30, 3, torch.Generator().manual_seed(1))[..., 0, 0]
    assert torch.equal(whole, whole[:, :1] + torch.arange(3.0)) and not bool((whole[:, 0] == 3).any())
    shard = found.draw(30, 3, torch.Generator().manual_seed(1), Shard(1, 2))[..., 0, 0]
    assert torch.equal(shard, whole[1::2])
    with pytest.raises(DataError, match="no clip is long enough"):
        found.draw(1, 8, torch.Generator())


def test_a_split_without_truth_says_so(tmp_path: Path) -> None:
    write(tmp_path)
    assert read_truth(tmp_path, "train") is None
    with pytest.raises(DataError, match="missing"):
        read_truth(tmp_path, "test")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "starts": ({"starts": torch.tensor([0, 4])}, "starts"),
    "joints": ({"points": torch.zeros(12, 3, 2)}, "skeleton"),
    "infinite": ({"points": torch.full((12, len(BODY), 2), torch.inf)}, "infinite"),
    "half": ({"points": torch.tensor([0.0, torch.nan]).expand(12, len(BODY), 2)}, "half missing"),
    "fewer poses": ({"poses": torch.zeros(11, len(BODY), 3)}, "true poses"),
    "NaN in poses": ({"poses": torch.full((12, len(BODY), 3), torch.nan)}, "true poses"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused(case: str, tmp_path: Path) -> None:
    changes, message = WRONG[case]
    with pytest.raises(DataError, match=message):
        write(tmp_path, **changes)
    assert not split_file(tmp_path, "train").exists()
