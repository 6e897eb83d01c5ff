"""A folder of videos, checked and packed as shots: the same crops as prepared ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sa3dhp_core.errors import DataError
from sa3dhp_core.protocols.data_files import ChecksFiles, DrawsSheet, PacksShards
from sa3dhp_datasets.config import ShardsConfig, VideoFolderConfig
from sa3dhp_datasets.example import FPS, FRAMES, SPLITS, video_folder
from sa3dhp_datasets.shards import Shards
from sa3dhp_datasets.video_folder import VideoFolder


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return video_folder(tmp_path_factory.mktemp("videos"))


def folder_of(table: dict[str, Any], **keys: Any) -> VideoFolder:
    return VideoFolder(VideoFolderConfig(**{**table, "fps": float(FPS), **keys}))


def test_videos_are_checked(table: dict[str, Any], tmp_path: Path) -> None:
    data = folder_of(table)
    assert isinstance(data, ChecksFiles) and isinstance(data, DrawsSheet) and isinstance(data, PacksShards)
    found = data.check()
    assert found.subjects == tuple((name, FRAMES) for name in SPLITS) and found.problems == ()
    assert found.splits == (("test", 1), ("train", 1), ("validation", 1))
    assert found.cameras[0].fps == (float(FPS),) and found.bones
    titles = data.write_sheet(tmp_path / "sheet.png", 0)
    assert len(titles) == 24 and all(title.split(":")[0] in data.splits for title in titles)


def test_packed_crops_are_the_prepared_ones(table: dict[str, Any], tmp_path: Path) -> None:
    data = folder_of(table)
    data.prepare(tmp_path / "prepared")
    data.pack(tmp_path / "shards", workers=1, frames=100, quality=95, progress=lambda done, every: None)
    shards = Shards(ShardsConfig(path=str(tmp_path / "shards")))
    shards.prepare(tmp_path / "opened")
    assert shards.splits == data.splits
    for split in data.splits:
        ours, theirs = shards.labelled(tmp_path / "opened", split), data.labelled(tmp_path / "prepared", split)
        mine, other = next(ours.batches(99)), next(theirs.batches(99))
        assert torch.allclose(mine.poses, other.poses, atol=1e-6)
        assert torch.allclose(mine.intrinsics, other.intrinsics, atol=1e-3)
        assert (mine.images - other.images).abs().mean() < 0.02 and ours.licence == theirs.licence


def test_what_cannot_be_read_is_named(table: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match="bad.mp4"):
        VideoFolder(VideoFolderConfig(path=str(tmp_path), validation=0.0, test=0.0)).check()
    with pytest.raises(DataError, match="the path is a file"):
        VideoFolder(VideoFolderConfig(path=str(tmp_path / "bad.mp4"))).check()
