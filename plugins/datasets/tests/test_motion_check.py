"""What is said of files of motion before they are used: sets without pictures, whatever their format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.data_sets import example_table
from sa3dhp_core.errors import DataError
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.data_files import ChecksFiles
from sa3dhp_datasets.config import VideoFolderConfig
from sa3dhp_datasets.example import video_folder
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.motion_check import FASTEST, checked
from sa3dhp_datasets.video_folder import VideoFolder

HOST = Host.load()
BODY = skeleton()
FRAMES, FPS = 40, 20.0
FORMATS = ("amass", "bvh", "cmu-asf-amc", "mocap-npz")


def standing() -> Array:
    """``(T, J, 3)`` metres, z up: bones of usual length, legs down and all else up."""
    figure = np.zeros((len(BODY), 3))
    for end in BODY.bones:
        joint = BODY.joints[end]
        step = np.array([0.0, 0.0, -1.0 if any(part in joint for part in ("knee", "ankle")) else 1.0])
        if joint.endswith(("hip", "shoulder")):
            step = np.array([1.0 if joint.startswith("left") else -1.0, 0.0, 0.0])
        figure[end] = figure[BODY.parent_indices[end]] + step * BODY.bone_lengths_m[joint]
    return np.tile(figure, (FRAMES, 1, 1))


def test_sound_motion_has_no_problem() -> None:
    found = checked([("walks/a", standing(), FPS), ("walks/b", standing(), 50.0), ("c", standing()[:5], FPS)])
    assert found.problems == ()
    assert found.subjects == (("", 5), ("walks", 2 * FRAMES))
    (every,) = found.cameras
    assert (every.recordings, every.frames, every.fps) == (3, 2 * FRAMES + 5, (FPS, 50.0))
    for bone in found.bones:
        assert bone.median_m == pytest.approx(BODY.bone_lengths_m[bone.joint]) and bone.varies < 1e-6


def test_another_axis_is_noticed_where_most_hang() -> None:
    hanging = standing()[..., [0, 2, 1]] * np.array([1.0, 1.0, -1.0])
    assert checked([("a", standing(), FPS), ("b", -standing(), FPS)]).problems == ()
    (problem,) = checked([("a", -standing(), FPS), ("b", -standing(), FPS), ("c", standing(), FPS)]).problems
    assert problem == "in a, b heads are below hips: is another axis up?"
    assert any("another axis" in problem for problem in checked([("d", hanging, FPS)]).problems)


def test_a_rate_at_which_nobody_moves_is_noticed() -> None:
    swinging, hand = standing(), BODY.index("left_wrist")
    elbow = swinging[:, BODY.parent_indices[hand]]
    angle = np.arange(FRAMES) * 0.5
    length = BODY.bone_lengths_m["left_wrist"]
    swinging[:, hand] = elbow + length * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=-1)
    slow = FASTEST / (2 * length * np.sin(0.25))
    assert checked([("a", swinging, 0.9 * slow)]).problems == ()
    (problem,) = checked([("a", swinging, 1.2 * slow)]).problems
    assert problem == "in a joints move at up to 18 m/s: is the rate right?"
    many = checked([(f"clip{k}", swinging, 1.2 * slow) for k in range(5)]).problems[0]
    assert many.startswith("in clip0, clip1, clip2 and 2 more clips joints")


@pytest.mark.parametrize("id", FORMATS)
def test_files_of_motion_are_checked_as_they_are_read(id: str, tmp_path: Path) -> None:
    component = next(offer.component for offer in HOST.components("pose_data") if offer.component.id == id)
    data = HOST.build("pose_data", example_table(component, tmp_path), id)
    assert isinstance(data, ChecksFiles)
    found = data.check()
    data.prepare(tmp_path / "prepared")
    clips = {split: data.sequences(tmp_path / "prepared", split) for split in data.splits}
    assert dict(found.splits) == {split: len(list(c.sequences())) for split, c in clips.items()}
    assert {bone.joint for bone in found.bones} == set(BODY.joints) - {BODY.root}
    assert found.cameras[0].frames == sum(count for _, count in found.subjects) > 0


def test_what_the_keys_leave_out_is_not_checked(tmp_path: Path) -> None:
    component = next(offer.component for offer in HOST.components("pose_data") if offer.component.id == "mocap-npz")
    table = example_table(component, tmp_path)
    whole = HOST.build("pose_data", table, "x").check()
    assert torch.tensor([count for _, count in whole.splits]).sum() == whole.cameras[0].recordings
    with pytest.raises(DataError, match="no clip is left"):
        HOST.build("pose_data", {**table, "contents": ["no-such-content"]}, "x").check()


def test_too_few_files_for_all_splits_are_looked_at_all_the_same(tmp_path: Path) -> None:
    video_folder(tmp_path)
    for name in ("set_walk_2", "set_walk_3"):
        (tmp_path / f"{name}.mp4").unlink()
    data = VideoFolder(VideoFolderConfig(path=str(tmp_path), fps=10.0))
    found = data.check()
    assert found.splits == (("test", 1),) and found.bones and len(found.cameras) == 1
    assert [problem for problem in found.problems if "no clip" in problem] == [
        "the split 'train' has no clip: validation = 0.0 and test = 0.0",
        "the split 'validation' has no clip: validation = 0.0 for no such split",
    ]
    data.write_sheet(tmp_path / "sheet.png", 0)
    with pytest.raises(DataError, match="the split 'train' has no clip"):
        data.prepare(tmp_path / "prepared")
