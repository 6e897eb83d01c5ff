"""SURREAL: the authors' own worked example, the mirroring undone, clips of one frame, crops, bad and spoilt files."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat

from sa3dhp_core.cards import read_card, skeleton
from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.config import ShotImagesConfig, ShotKeypointsConfig, ShotMotionConfig
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.shots import Shot, projected
from sa3dhp_datasets.smpl_example import COLOURS
from sa3dhp_datasets.smpl_joints import SMPL_24
from sa3dhp_datasets.surreal import (
    LENS,
    into_camera,
    shot_of,
    shots,
    surreal_images,
    surreal_keypoints,
    surreal_motion,
)
from sa3dhp_datasets.surreal_example import CLIPS, clip, surreal


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, written once."""
    made = tmp_path_factory.mktemp("surreal")
    surreal(made)
    return made


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Shot]:
    return {shot.name: shot for shot in shots(ShotMotionConfig(str(folder)))}


def house(name: str) -> int:
    return skeleton().index(name)


def handedness(joints: Array) -> Array:
    """Positive for people, negative for mirrored ones: from right to left hip x upwards . to where the knees bend."""
    left, right, up = (joints[:, house(name)] for name in ("left_hip", "right_hip", "thorax"))
    knees, ankles = (joints[:, [house(f"left_{part}"), house(f"right_{part}")]].mean(1) for part in ("knee", "ankle"))
    hips = (left + right) / 2
    return (np.cross(left - right, up - hips) * (knees - (hips + ankles) / 2)).sum(axis=-1)


def test_the_example_that_the_authors_print_is_reproduced() -> None:
    """github.com/gulvarol/surreal, datageneration/misc/3Dto2D/main.m: camera, joint and pixel of 01_01_c0001."""
    joint, place = np.array([-0.8645, -1.0915, -1.0260]), np.array([6.7456, -0.9839, -1.9293])
    assert np.round(projected(into_camera(joint, place), LENS)).tolist() == [89.0, 112.0]
    np.testing.assert_allclose(into_camera(np.zeros(3), place), [-1.9293, 0.9839, 6.7456])


def test_the_check_finds_nothing_wrong(folder: Path) -> None:
    assert surreal_motion(ShotMotionConfig(str(folder))).check().problems == ()


def test_splits_subjects_and_frames_arrive(found: dict[str, Shot]) -> None:
    told = {name: (shot.split, shot.subject, len(shot.people[0].frames)) for name, shot in found.items()}
    assert told == {
        "run0/01_01_c0001": ("train", "01", 6),
        "run1/ung_104_05_c0002": ("train", "ung_104", 1),
        "run0/02_03_c0001": ("validation", "02", 4),
        "run2/02_04_c0001": ("test", "02", 4),
    }


def test_every_joint_projects_onto_the_set_own_keypoints(found: dict[str, Shot]) -> None:
    """Half a pixel is what rounding in the files leaves; means of two joints lie a little off their projection."""
    for shot in found.values():
        (person,) = shot.people
        assert person.joints is not None and person.keypoints is not None
        apart = np.abs(projected(person.joints, shot.lens) - person.keypoints)
        assert apart[:, 1:].max() <= 0.5 + 1e-3 and apart[:, 0].max() <= 0.55


def test_people_are_no_mirror_images_and_raise_the_arm_that_the_picture_shows(found: dict[str, Shot]) -> None:
    """SMPL's right arm is raised; the camera mirrors, so the picture shows a raised left one."""
    for title, (frames, phase) in CLIPS.items():
        run, _, name = title.split("/")[1:]
        (person,) = found[f"{run}/{name}"].people
        assert person.joints is not None and person.keypoints is not None
        assert (handedness(person.joints) > 0).all()
        left, right = person.joints[:, house("left_wrist")], person.joints[:, house("right_wrist")]
        assert (left[:, 1] < right[:, 1] - 0.5).all(), "y is down"
        flat = clip(frames, phase)[1]
        np.testing.assert_allclose(
            person.keypoints[:, house("left_wrist")], flat[:, SMPL_24.index("R_Wrist")], atol=0.501
        )
        hips = person.keypoints[:, [house("left_hip"), house("right_hip")], 0]
        assert (hips[:, 0] > hips[:, 1]).all(), "who looks at us has the left side on the picture's right"


def test_the_card_exchanges_every_pair() -> None:
    joints = read_card("datasets", "surreal")["joints"]
    for name, columns in joints.items():
        if name.startswith(("left_", "right_")):
            side, part = name.split("_")
            assert columns == [f"{'R' if side == 'left' else 'L'}_{part.capitalize()}"]


def test_motion_stands_upright(folder: Path, tmp_path: Path) -> None:
    data = surreal_motion(ShotMotionConfig(str(folder)))
    data.prepare(tmp_path)
    for split in data.splits:
        motion = torch.cat(list(data.sequences(tmp_path, split).sequences())).numpy()
        assert (motion[:, house("head"), 2] > 0.5).all() and (motion[:, house("left_ankle"), 2] < -0.5).all()
        assert (handedness(motion) > 0).all()


def test_crops_show_each_joint_where_its_keypoint_says(folder: Path, tmp_path: Path) -> None:
    data = surreal_images(ShotImagesConfig(path=str(folder), size=160))
    data.prepare(tmp_path)
    images = data.labelled(tmp_path, "test")
    (batch,) = images.batches(100)
    assert batch.keypoints is not None and len(batch.images) == 4
    for frame in range(4):
        for joint, column in {"left_elbow": "R_Elbow", "left_knee": "R_Knee", "right_knee": "L_Knee"}.items():
            x, y = batch.keypoints[frame, house(joint)].tolist()
            colour = 255 * batch.images[frame, :, int(y), int(x)].numpy()
            assert np.abs(colour - COLOURS[SMPL_24.index(column)]).max() < 70, joint
    assert images.frame_facts().subjects == ["02"] * 4


def test_keypoints_come_with_truth_and_groups(folder: Path, tmp_path: Path) -> None:
    data = surreal_keypoints(ShotKeypointsConfig(str(folder)), host=None)  # type: ignore[arg-type]
    data.prepare(tmp_path)
    assert set(data.keypoints(tmp_path, "train").groups()) == {"01", "ung_104"}
    truth = data.truth(tmp_path, "train")
    assert truth is not None and len(truth) == 7


def written(folder: Path, change: Callable[[dict[str, Any]], object], frames: int = 4, sequence: str = "01_01") -> Path:
    """A clip whose variables are changed; its path."""
    content, _ = clip(frames, 0.5)
    change(content)
    path = folder / "train" / "run0" / sequence / f"{sequence}_c0001_info.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, content)
    return path


def put(key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.update({key: value})


def scaled(factor: float) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.update({key: factor * content[key] for key in ("joints3D", "camLoc")})


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no joints": (lambda content: content.pop("joints3D"), "'joints3D' is missing"),
    "no camera": (lambda content: content.pop("camLoc"), "'camLoc' is missing"),
    "a camera's matrix": (put("camLoc", np.eye(4)), "camLoc"),
    "text": (put("joints3D", "none"), "joints3D"),
    "17 joints": (put("joints3D", np.zeros((3, 17, 4))), r"\(3, 24, any\)"),
    "turned": (put("joints3D", np.zeros((4, 24, 3))), r"\(3, 24, any\)"),
    "cells": (put("joints3D", np.array([["a", "b"]], dtype=object)), "joints3D"),
    "lengths": (put("joints2D", np.zeros((2, 24, 5))), "frames of joints2D: 5"),
    "NaN": (put("joints3D", np.full((3, 24, 4), np.nan)), "not finite"),
    "infinite": (put("joints2D", np.full((2, 24, 4), np.inf)), "not finite"),
    "millimetres": (scaled(1000.0), "looks like millimetres"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_named(case: str, tmp_path: Path) -> None:
    change, message = BROKEN[case]
    path = written(tmp_path, change)
    with pytest.raises(DataError, match=message) as caught:
        list(shots(ShotMotionConfig(str(tmp_path))))
    assert str(path) in str(caught.value)


def test_frames_that_do_not_show_the_person_are_left_out(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["joints2D"][0, :, 1] += 410
        content["joints3D"][2, :, 1] -= 5
        content["joints3D"][0, :, 2] += 20

    assert shot_of(written(tmp_path, change)).people[0].frames.tolist() == [0, 3]

    def away(content: dict[str, Any]) -> None:
        content["joints2D"][0] += 410
        content["joints3D"][2] -= 5

    assert shot_of(written(tmp_path, away)).people == ()


def test_monsters_are_excluded_as_the_card_says(tmp_path: Path) -> None:
    for sequence in ("18_01", "01_18", "143_21", "ung_143_21"):
        written(tmp_path, lambda content: None, sequence=sequence)
    assert [shot.name for shot in shots(ShotMotionConfig(str(tmp_path)))] == ["run0/01_18_c0001"]


def test_a_file_elsewhere_and_videos_that_do_not_fit_are_named(folder: Path, tmp_path: Path) -> None:
    lost = written(tmp_path, lambda content: None).rename(tmp_path / "01_01_c0001_info.mat")
    with pytest.raises(DataError, match="not where SURREAL has its clips"):
        shot_of(lost)
    lost.unlink()
    path = written(tmp_path, lambda content: None, frames=7)
    data = surreal_images(ShotImagesConfig(path=str(tmp_path), size=16))
    with pytest.raises(DataError, match="there are no pictures"):
        data.prepare(tmp_path / "out")
    video = path.with_name("01_01_c0001.mp4")
    whole = (folder / "cmu" / "train" / "run0" / "01_01" / "01_01_c0001.mp4").read_bytes()
    video.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"01_01_c0001\.mp4"):
        data.prepare(tmp_path / "out")
    video.write_bytes(whole)
    with pytest.raises(DataError, match="more pictures than there are"):
        data.prepare(tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_wrong_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "bvh").mkdir()
    (tmp_path / "bvh" / "a.bvh").write_text("HIERARCHY")
    with zipfile.ZipFile(tmp_path / "SURREAL.zip", "w") as archive:
        archive.writestr("cmu/train/run0/01_01/01_01_c0001_info.mat", b"")
    for path, message in (("bvh", "looks like BVH"), ("SURREAL.zip", "unpack it first"), ("cmuu", "no such folder")):
        with pytest.raises(DataError, match=message):
            list(shots(ShotMotionConfig(str(tmp_path / path))))


@pytest.mark.slow
def test_spoilt_copies_are_read_or_refused(tmp_path: Path) -> None:
    written(tmp_path / "whole", lambda content: None)

    def attempt(copy: Path) -> None:
        list(shots(ShotMotionConfig(str(copy))))

    assert outcomes(attempt, tmp_path / "whole", tmp_path / "copy", range(220))["refused"] > 20
