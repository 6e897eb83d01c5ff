"""The data components, the videos and the commands."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import av
import numpy as np
import pytest
import torch

from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_core.geometry import project
from sa3dhp_core.store import split_file
from sa3dhp_core.types import Shard
from sa3dhp_world import data as module
from sa3dhp_world.commands import parse_size
from sa3dhp_world.config import WorldConfig, WorldMotionConfig
from sa3dhp_world.data import SPLITS, WorldImages, WorldMotion, look_of
from sa3dhp_world.footage import write_clip
from sa3dhp_world.looks import look
from sa3dhp_world.recorded import Recording, recorded_people
from sa3dhp_world.sheet import write_sheet

SMALL = WorldConfig(
    look="mild",
    train_clips=3,
    validation_clips=1,
    test_clips=1,
    frames=4,
    size=24,
    shard_clips=2,
    clutter=0.1,
    limbs=0.0,
)


def test_prepared_splits_can_be_read(tmp_path):
    world = WorldImages(SMALL)
    world.prepare(tmp_path)
    labelled = world.labelled(tmp_path, "train")
    batch = labelled.draw(5, torch.Generator().manual_seed(0))
    assert batch.images.shape == (5, 3, 24, 24) and batch.poses.shape == (5, 17, 3)
    assert (
        labelled.families() == look_of(SMALL).families[:3]
        and labelled.clip_index().tolist() == [0] * 4 + [1] * 4 + [2] * 4
    )
    clips = world.clips(tmp_path, "train").draw(4, 3, torch.Generator().manual_seed(0), Shard(1, 2))
    assert clips.images.shape == (2, 3, 3, 24, 24)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(split_file(tmp_path, s).name for s in SPLITS)
    with pytest.raises(DataError, match="did you mean 'train'"):
        world.clips(tmp_path, "trian")


def test_an_interrupted_preparation_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    WorldImages(SMALL).prepare(whole)
    original, calls = module.render_clips, []

    def stop_at_second(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(module, "render_clips", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        WorldImages(SMALL).prepare(broken)
    assert not split_file(broken, "train").exists()
    WorldImages(SMALL).prepare(broken)
    for split in SPLITS:
        assert split_file(whole, split).read_bytes() == split_file(broken, split).read_bytes()


def test_a_set_does_not_depend_on_the_number_of_threads(tmp_path, monkeypatch):
    for cores in (1, 3):
        monkeypatch.setattr(module, "_cores", lambda cores=cores: cores)
        WorldImages(SMALL).prepare(tmp_path / str(cores))
    for split in SPLITS:
        assert split_file(tmp_path / "1", split).read_bytes() == split_file(tmp_path / "3", split).read_bytes()


def test_source_and_target_share_no_clip(tmp_path):
    images = []
    for role in ("source", "target"):
        world = WorldImages(attrs.evolve(SMALL, role=role, train_clips=1))
        world.prepare(tmp_path / role)
        images.append(next(world.labelled(tmp_path / role, "train").batches(4)).poses)
    assert not torch.allclose(images[0], images[1], atol=1e-2)


def test_overrides_reach_the_look_and_bad_ones_are_refused():
    assert look_of(SMALL).clutter == 0.1 and look_of(SMALL).noise == look("mild").noise
    assert look_of(attrs.evolve(SMALL, families=("kick",))).families == ("kick",)
    with pytest.raises(RecipeError, match="did you mean 'street'"):
        WorldImages(attrs.evolve(SMALL, look="strete"))
    with pytest.raises(RecipeError, match="did you mean 'clutter'"):
        look("mild", cluter=0.5)
    with pytest.raises(ValueError, match="clutter"):
        attrs.evolve(SMALL, clutter=1.5)


def test_motion_component(tmp_path):
    motion = WorldMotion(WorldMotionConfig(train_sequences=4, validation_sequences=1, test_sequences=1, frames=12))
    motion.prepare(tmp_path)
    poses = motion.sequences(tmp_path, "train")
    assert poses.draw(3, 10, torch.Generator().manual_seed(0)).shape == (3, 10, 17, 3)
    assert len(poses.families()) == 4 and float(next(poses.sequences())[:, 0].abs().max()) == 0


def test_recorded_motion_is_rendered(tmp_path):
    path = tmp_path / "motion.npz"
    positions = np.random.default_rng(0).normal(size=(60, 17, 3)).astype(np.float32) * 0.3
    starts, names = np.arange(0, 61, 6), np.array([f"dataset-1_walk_normal_{i:03d}" for i in range(10)])
    np.savez(path, positions=positions, clip_start=starts, clip_names=names)
    world = WorldImages(attrs.evolve(SMALL, motion=str(path)))
    world.prepare(tmp_path)
    assert set(world.labelled(tmp_path, "test").families()) == {"walk"}
    np.savez(path, positions=positions)
    with pytest.raises(DataError, match="clip_start, clip_names"):
        WorldImages(attrs.evolve(SMALL, motion=str(path)))
    path.write_bytes(b"PK\x03\x04 truncated")
    with pytest.raises(DataError, match="not a readable"):
        WorldImages(attrs.evolve(SMALL, motion=str(path)))
    with pytest.raises(DataError, match="no such motion file"):
        WorldImages(attrs.evolve(SMALL, motion=str(tmp_path / "none.npz")))


def test_videos_boxes_and_truth_belong_together(tmp_path: Path):
    chosen = look("plain")
    write_clip(tmp_path, "clip_000", chosen, 0.2, (160, 96), 2, "test", 0)
    with av.open(str(tmp_path / "clip_000.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 6 and frames[0].shape == (96, 160, 3)
    rows = [json.loads(line) for line in (tmp_path / "clip_000.boxes.jsonl").read_text().splitlines()]
    assert {(row["frame"], row["track"]) for row in rows} == {(f, t) for f in range(6) for t in (1, 2)}
    truth = np.load(tmp_path / "clip_000.truth.npz", allow_pickle=False)
    joints, pixels = torch.from_numpy(truth["joints_camera_m"]), torch.from_numpy(truth["keypoints_px"])
    assert joints.shape == (2, 6, 17, 3) and float(joints[..., 2].min()) > 0.5
    assert torch.allclose(project(joints, torch.from_numpy(truth["intrinsics"]).float()), pixels, atol=1e-2)
    for row in rows:
        inside = pixels[row["track"] - 1, row["frame"]] - torch.tensor(row["box"][:2])
        assert float(inside.min()) > -0.01 and float((inside - torch.tensor(row["box"][2:])).max()) < 0.01
    assert float(pixels.min()) > 0 and float(pixels[..., 0].max()) < 160 and float(pixels[..., 1].max()) < 96
    with pytest.raises(DataError, match="even sides"):
        write_clip(tmp_path, "odd", chosen, 0.2, (161, 96), 1, "test", 0)


def test_recorded_people_differ_until_all_have_been_shown():
    names, starts = tuple("abcde"), (0, 6, 12, 15, 21, 27)
    positions = torch.arange(27.0)[:, None, None].expand(27, 17, 3)
    recording = Recording(positions, starts, names)
    shown = [recorded_people(recording, number, 2, 5, "look", 0) for number in range(4)]
    heights = torch.cat(shown)[:, 0, 0, 2].tolist()
    assert sorted(heights[:4]) == [0.0, 6.0, 15.0, 21.0], "each long clip once, from its beginning"
    assert heights[4:] == heights[:4]
    assert (
        torch.cat(shown).shape == (8, 5, 17, 3) and float(torch.cat(shown)[..., :2].mean(dim=(1, 2)).abs().max()) < 1e-5
    )
    with pytest.raises(DataError, match="no recorded clip has 7 frames"):
        recorded_people(recording, 0, 1, 7, "look", 0)


def test_videos_show_recorded_motion(tmp_path: Path):
    count = 8
    motion = 0.3 * torch.randn(count, 17, 3, generator=torch.Generator().manual_seed(0))
    motion = motion - motion[:, :1]
    recording = Recording(motion, (0, count), ("a",))
    write_clip(tmp_path, "clip_000", look("plain"), 0.2, (64, 48), 1, "plain", 0, 0, recording=recording)
    seen = torch.from_numpy(np.load(tmp_path / "clip_000.truth.npz")["joints_camera_m"])[0]
    assert torch.allclose(torch.cdist(seen, seen), torch.cdist(motion[:6], motion[:6]), atol=1e-4), "a rigid motion"


def test_a_contact_sheet_is_a_png_of_the_right_size(tmp_path):
    write_sheet(tmp_path / "sheet.png", "plain", 2, 3, 16, 0)
    with av.open(str(tmp_path / "sheet.png")) as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height) == (48, 32)


def test_sizes_are_parsed_or_refused():
    assert parse_size("1280x720") == (1280, 720)
    with pytest.raises(RecipeError, match="WIDTHxHEIGHT"):
        parse_size("1280")
