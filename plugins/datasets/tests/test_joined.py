"""Several data sets as one: what is drawn is theirs, by their weights, and ranks share a batch exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.data import facts_of
from sa3dhp_core.types import FrameFacts, Shard
from sa3dhp_datasets.example import FPS, video_folder
from sa3dhp_datasets.joined import Joined, JoinedClips, JoinedImages, counts_of
from sa3dhp_datasets.shard_example import shards

HOST = Host.load()


def built(*parts: dict[str, Any], **keys: Any) -> Joined:
    data = HOST.build("image_data", {"use": "joined", "parts": list(parts), **keys}, "data.source")
    assert isinstance(data, Joined)
    return data


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    packed, videos = tmp_path_factory.mktemp("packed"), tmp_path_factory.mktemp("videos")
    return {"use": "shards", **shards(packed)}, {"use": "video-folder", **video_folder(videos), "fps": float(FPS)}


@pytest.fixture(scope="module")
def opened(tables: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[JoinedImages, JoinedClips, Any]:
    data, room = built(*tables), tmp_path_factory.mktemp("room")
    data.prepare(room)
    apart = [HOST.build("image_data", table, "data.source") for table in tables]
    return data.labelled(room, "train"), data.clips(room, "train"), (data, room, apart)


def test_everything_of_the_parts_is_there_once(opened: Any) -> None:
    images, clips, (data, room, apart) = opened
    theirs = [part.labelled(room / str(number), "train") for number, part in enumerate(apart)]
    assert data.splits == ("train", "validation", "test") and len(images) == sum(map(len, theirs))
    every = torch.cat([batch.images for batch in images.batches(5)])
    assert torch.equal(every, torch.cat([batch.images for part in theirs for batch in part.batches(99)]))
    assert images.families() == theirs[0].families() + theirs[1].families() == clips.families()
    assert images.clip_index().diff().ge(0).all() and int(images.clip_index()[-1]) == len(images.families()) - 1
    assert images.licence == f"{theirs[0].licence}; {theirs[1].licence}"
    facts = facts_of(images)
    assert facts is not None and facts.subjects == ["S0"] * len(theirs[0]) + [""] * len(theirs[1])
    assert facts.numbers is None and facts.flags == {}, "footage tells neither"
    assert torch.equal(torch.cat(list(clips.batches(7))), every)
    tracked = clips.tracked(torch.arange(len(images) * 51.0).reshape(-1, 17, 3))
    again = torch.cat([batch.poses for batch in tracked.batches(4)])
    assert torch.equal(again, torch.arange(len(images) * 51.0).reshape(-1, 17, 3))
    with pytest.raises(DataError, match="poses do not fit"):
        clips.tracked(torch.zeros(1, 17, 3))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 9), world=st.integers(1, 4), seed=st.integers(0, 99))
def test_ranks_share_a_batch(opened: Any, count: int, world: int, seed: int) -> None:
    images, clips, _ = opened
    whole = images.draw(count, torch.Generator().manual_seed(seed))
    windows = clips.draw(count, 3, torch.Generator().manual_seed(seed))
    assert len(whole.images) == len(windows.images) == count
    for rank in range(min(world, count)):
        part = images.draw(count, torch.Generator().manual_seed(seed), Shard(rank, world))
        assert torch.equal(part.images, whole.images[rank::world]) and torch.equal(part.poses, whole.poses[rank::world])
        piece = clips.draw(count, 3, torch.Generator().manual_seed(seed), Shard(rank, world))
        assert torch.equal(piece.images, windows.images[rank::world])
        assert torch.equal(piece.clips, windows.clips[rank::world])


def test_a_frame_carries_only_the_flags_of_its_own_set(opened: Any) -> None:
    images, _, (_, room, apart) = opened
    first = apart[0].labelled(room / "0", "train")
    flagged = replace_facts(first, FrameFacts(flags={"valid_frame": torch.arange(len(first)) % 2 == 0}))
    both = JoinedImages([flagged, apart[1].labelled(room / "1", "train")], [])
    told = both.frame_facts().flags["valid_frame"]
    assert torch.equal(told[: len(first)], torch.arange(len(first)) % 2 == 0) and not told[len(first) :].any()
    assert len(told) == len(images)


def replace_facts(images: Any, facts: FrameFacts) -> Any:
    """The same split, telling other facts."""
    images.frame_facts = lambda: facts
    return images


def test_windows_name_the_clip_that_they_are_of(opened: Any) -> None:
    images, clips, _ = opened
    windows = clips.draw(12, 4, torch.Generator().manual_seed(0))
    every, index = torch.cat(list(clips.batches(99))), clips.clip_index()
    for window, clip in zip(windows.images, windows.clips.tolist(), strict=True):
        frames = every[index == clip]
        assert any(torch.equal(frames[k : k + 4], window) for k in range(len(frames) - 3))
    assert len(set(windows.clips.tolist())) == 2


def test_weights_decide_how_often_a_part_is_drawn(tables: Any, tmp_path: Path) -> None:
    drawn = [counts_of(torch.tensor([3.0, 1.0]), 40, torch.Generator().manual_seed(seed)) for seed in range(200)]
    assert all(sum(counts) == 40 for counts in drawn)
    assert sum(counts[0] for counts in drawn) / 8000 == pytest.approx(0.75, abs=0.02)
    data = built(*tables, weights=[1.0, 1e9])
    data.prepare(tmp_path)
    second = built(tables[1])
    second.prepare(tmp_path / "second")
    theirs = torch.cat([batch.images for batch in second.labelled(tmp_path / "second", "train").batches(99)])
    for image in data.labelled(tmp_path, "train").draw(10, torch.Generator().manual_seed(0)).images:
        assert any(torch.equal(image, other) for other in theirs)


def test_parts_that_do_not_fit_are_named(tables: Any, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"weights do not fit(.|\n)*2, one a part"):
        built(*tables, weights=[1.0])
    with pytest.raises(RecipeError, match=r"parts\[1\]"):
        built(tables[0], {"use": "video-folder", "pth": "x"})
    odd = built(tables[0], {**tables[1], "size": 16, "fps": 10.0})
    odd.prepare(tmp_path)
    with pytest.raises(DataError, match=r"several frame rates(.|\n)*10, 20"):
        odd.clips(tmp_path, "train").draw(2, 2, torch.Generator())
    assert len(list(odd.clips(tmp_path, "train").batches(99))) == 2, "frames alone have no rate"
    with pytest.raises(DataError, match=r"crops of several sizes(.|\n)*16, 32"):
        odd.labelled(tmp_path, "train").draw(64, torch.Generator().manual_seed(0))
    with pytest.raises(DataError, match="no split 'tran'"):
        odd.labelled(tmp_path, "tran")
