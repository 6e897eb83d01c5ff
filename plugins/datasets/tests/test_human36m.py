"""Human3.6M: cameras against a plain reference, projection, crops, motion, spellings, and files that are wrong."""

from __future__ import annotations

import math
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError
from sa3dhp_core.evaluation import evaluate, load_protocol
from sa3dhp_core.host import Host
from sa3dhp_datasets import human36m_example as example
from sa3dhp_datasets import reading_process
from sa3dhp_datasets.config import RecordingsConfig, ShotImagesConfig, ShotKeypointsConfig, ShotMotionConfig
from sa3dhp_datasets.human36m import human36m_images, human36m_keypoints, human36m_motion, shots
from sa3dhp_datasets.human36m_cameras import MOST_BYTES, read_rig
from sa3dhp_datasets.human36m_example import CAMERAS, FRAMES, WRITTEN, write_cdf, write_subjects
from sa3dhp_datasets.shots import Shot, projected

KEPT = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
"""The columns that the literature keeps of the 32, in VideoPose3D's order, which is the house's."""

BODY = skeleton()


@pytest.fixture(scope="module")
def poses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All subjects without videos; nobody writes into it."""
    kinds = ("D3_Positions", "D3_Positions_mono", "D2_Positions")
    folder = tmp_path_factory.mktemp("sets") / "human36m"
    folder.mkdir()
    return write_subjects(folder, kinds=kinds)


@pytest.fixture
def copy(poses: Path, tmp_path: Path) -> Path:
    """The same, to be spoilt."""
    return Path(shutil.copytree(poses, tmp_path / "set"))


def read(folder: Path, **keys: Any) -> list[Shot]:
    return list(shots(RecordingsConfig(path=str(folder), **keys)))


def joints_of(shot: Shot) -> np.ndarray:
    (person,) = shot.people
    assert person.joints is not None
    return person.joints


def plain_camera(numbers: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and place as the home page's H36MCamera.m has them, written out."""
    (x, y, z), place = numbers[:3], np.array(numbers[3:])
    about_x = np.array([[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]])
    about_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    about_z = np.array([[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]])
    return (about_x @ about_y @ about_z).T, place


def test_cameras_are_read_as_the_home_page_means_them(poses: Path) -> None:
    rig = read_rig(poses / "metadata.xml")
    assert rig.ids == CAMERAS
    for index, name in enumerate(CAMERAS):
        for subject in (1, 11):
            camera = rig.camera(name, subject)
            turn, place = plain_camera(example.outer(index, subject))
            np.testing.assert_allclose(camera.turn, turn, atol=1e-8)
            np.testing.assert_allclose(camera.place, place / 1000, atol=1e-8)
            points = np.random.default_rng(0).uniform(-0.3, 0.3, (20, 3)) * [1, 1, 0] + [0, 0, 1]
            np.testing.assert_allclose(camera.lens.pixels(points[:, :2]), example.seen_px(points, index), atol=1e-9)


def test_every_recording_is_told_in_order_with_its_split(poses: Path) -> None:
    found = read(poses)
    titles = ["S1/Directions 1", "S1/Photo", "S5/Walking", "S9/WalkDog"]
    assert [shot.title for shot in found] == [f"{title}/{camera}" for title in titles for camera in WRITTEN]
    assert [shot.split for shot in found] == ["train"] * 6 + ["test"] * 2
    assert [shot.family for shot in found[::2]] == ["Directions", "Photo", "Walking", "WalkDog"]
    assert all(shot.fps == 50 and shot.pictures is None for shot in found)


def test_joints_project_onto_keypoints(poses: Path) -> None:
    for shot in read(poses):
        (person,) = shot.people
        assert person.keypoints is not None and person.told
        assert np.abs(projected(joints_of(shot), shot.lens) - person.keypoints).max() < 1e-3


def test_columns_are_those_that_the_literature_keeps(poses: Path) -> None:
    shot = read(poses)[1]
    mono = example.mono_mm(example.world_mm(0), CAMERAS.index(shot.camera), 1)
    np.testing.assert_allclose(joints_of(shot), mono[:, KEPT] / 1000, atol=1e-6)
    left = mono[:, 19] / 1000
    np.testing.assert_allclose(joints_of(shot)[:, BODY.index("left_wrist")], left, atol=1e-6)


def test_poses_of_the_world_serve_where_there_are_no_others(poses: Path, copy: Path) -> None:
    for part in ("D3_Positions_mono", "D2_Positions"):
        for folder in copy.glob(f"*/MyPoseFeatures/{part}"):
            shutil.rmtree(folder)
    found = {shot.title: shot for shot in read(copy)}
    assert len(found) == 4 * len(CAMERAS)
    for shot in read(poses):
        same = found[shot.title]
        np.testing.assert_allclose(joints_of(same), joints_of(shot), atol=1e-5)
        assert not same.people[0].told and same.people[0].keypoints is not None
        np.testing.assert_allclose(same.people[0].keypoints, shot.people[0].keypoints, atol=1e-2)


SPELLINGS = {
    "documents": {
        "D2_Positions": "MyPoseFeatures/D2Positions",
        "D3_Positions_mono": "MyPoseFeatures/D3_Positions_Mono",
    },
    "h36m-fetch": {"D2_Positions": "Poses_D2_Positions", "D3_Positions_mono": "Poses_D3_Positions_mono"},
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_folders_may_be_spelt_otherwise(spelling: str, poses: Path, copy: Path) -> None:
    for subject in copy.glob("S*"):
        for old, new in SPELLINGS[spelling].items():
            shutil.move(subject / "MyPoseFeatures" / old, subject / new)
    shutil.move(copy / "metadata.xml", copy.parent / "metadata.xml")
    for one, other in zip(read(copy), read(poses), strict=True):
        assert one.title == other.title
        np.testing.assert_array_equal(joints_of(one), joints_of(other))
        np.testing.assert_array_equal(one.people[0].keypoints, other.people[0].keypoints)


def test_crops_show_the_figure_where_keypoints_say(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    table = {**example.human36m(tmp_path / "in"), "size": 128, "validation": ()}
    data = human36m_images(ShotImagesConfig(**table))
    data.prepare(tmp_path / "out")
    assert data.splits == ("train", "test")
    images = data.labelled(tmp_path / "out", "train")
    (batch,) = images.batches(100)
    assert len(batch.images) == 2 * FRAMES and batch.keypoints is not None
    own = torch.tensor([(60 + 11 * joint, 250 - 12 * joint, 200) for joint in range(len(BODY))]) / 255
    seen = torch.nn.functional.grid_sample(batch.images, (batch.keypoints / 64 - 1)[:, :, None], align_corners=False)
    apart = (seen[..., 0].transpose(1, 2) - own).abs().amax(-1)
    assert float((apart < 0.06).float().mean()) > 0.7
    exchanged = own[list(BODY.mirror)]
    assert float(((seen[..., 0].transpose(1, 2) - exchanged).abs().amax(-1) < 0.06).float().mean()) < 0.4


def test_motion_stands_upright_and_is_that_of_the_world(poses: Path, tmp_path: Path) -> None:
    data = human36m_motion(ShotMotionConfig(path=str(poses)))
    data.prepare(tmp_path)
    (clip,) = data.sequences(tmp_path, "test").sequences()
    world = torch.from_numpy(example.world_mm(3)[:, KEPT] / 1000).float()
    assert torch.allclose(clip, world - world[:, :1], atol=1e-4)
    assert bool((clip[:, BODY.index("head"), 2] > clip[:, BODY.index("left_ankle"), 2] + 1).all())


def test_frames_tell_what_protocols_select(poses: Path, tmp_path: Path) -> None:
    data = human36m_keypoints(ShotKeypointsConfig(path=str(poses)), host=Host(()))
    data.prepare(tmp_path)
    truth, facts = data.truth(tmp_path, "test"), data.keypoints(tmp_path, "test").frame_facts()
    assert truth is not None
    counts = {"h36m-videopose3d-1": 2 * FRAMES, "h36m-hmr-p1-mpjpe-14": 4, "h36m-hmr-p2-mpjpe-14": 2}
    for name, count in counts.items():
        assert evaluate(load_protocol(name), truth, truth, BODY, facts).count == count


def test_keypoints_beyond_the_poses_are_cut(poses: Path, copy: Path) -> None:
    path = copy / "S1/MyPoseFeatures/D2_Positions/TakingPhoto.54138969.cdf"
    flat = example.seen_px(example.mono_mm(example.world_mm(1), 0, 1), 0)
    write_cdf(path, np.concatenate([flat, flat[:3]]))
    one, other = read(copy)[2], read(poses)[2]
    assert one.title == "S1/Photo/54138969" == other.title
    np.testing.assert_array_equal(one.people[0].keypoints, other.people[0].keypoints)


PART = "S1/MyPoseFeatures"
FIRST, TAKEN = "Directions 1.54138969.cdf", "TakingPhoto.54138969.cdf"


def _spoil(path: str, change: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda folder: change(folder / path)


def _solid(path: Path) -> np.ndarray:
    return example.mono_mm(example.world_mm(0), 0, 1)


def _with_nan(path: Path) -> None:
    pose = _solid(path)
    pose[3, 5] = np.nan
    write_cdf(path, pose)


def _text(old: str, new: str) -> Callable[[Path], object]:
    return _spoil("metadata.xml", lambda path: path.write_text(path.read_text().replace(old, new)))


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "no cameras": (_spoil("metadata.xml", Path.unlink), "file of cameras is missing"),
    "a view without joints": (
        _spoil(f"{PART}/D3_Positions_mono/{FIRST}", Path.unlink),
        "Directions 1.54138969.cdf is m",
    ),
    "a view without keypoints": (_spoil(f"{PART}/D2_Positions/{FIRST}", Path.unlink), "Directions 1.54138969.cdf is m"),
    "no poses": (_spoil(PART, shutil.rmtree), "S1 has no poses"),
    "the standard body alone": (
        lambda folder: [
            (folder / PART / "D3_Positions_mono").rename(folder / PART / "D3_Positions_mono_universal"),
            shutil.rmtree(folder / PART / "D3_Positions"),
        ],
        "universal is of a standard body",
    ),
    "cut in half": (
        _spoil(f"{PART}/D2_Positions/{FIRST}", lambda path: path.write_bytes(path.read_bytes()[:900])),
        "D2_Positions/Directions 1.54138969.cdf",
    ),
    "17 joints": (
        _spoil(f"{PART}/D3_Positions_mono/{FIRST}", lambda path: write_cdf(path, _solid(path)[:, KEPT])),
        r"wrong shape or type[\s\S]*\(1, 10, 51\)",
    ),
    "NaN": (_spoil(f"{PART}/D3_Positions_mono/{FIRST}", _with_nan), r"Directions 1.54138969.cdf[\s\S]*not finite"),
    "metres": (
        _spoil(f"{PART}/D3_Positions_mono/{FIRST}", lambda path: write_cdf(path, _solid(path) / 1000)),
        "looks like metres; expected millimetres",
    ),
    "keypoints too short": (
        _spoil(
            f"{PART}/D2_Positions/{FIRST}",
            lambda path: write_cdf(path, example.seen_px(_solid(path), 0)[:-1]),
        ),
        "9 frames of keypoints, 10 of joints",
    ),
    "two names of one recording": (
        _spoil(f"{PART}/D2_Positions", lambda path: shutil.copy(path / TAKEN, path / TAKEN.replace("Taking", ""))),
        "two files of one recording",
    ),
    "a camera that metadata.xml lacks": (_text("<item>54138969", "<item>54138960"), "no such camera"),
    "cameras in metres": (_text("1851.1 4965.3 1573.4", "1.85 4.97 1.57"), r"not in millimetres[\s\S]*metres\?"),
    "a bomb": (
        _text("<metadata>", '<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><metadata>&b;'),
        "a document type is refused",
    ),
    "no XML": (_text("</metadata>", ""), "not readable as XML"),
    "no numbers": (_text("<w0>[", "<w0>[five "), "more than numbers"),
    "NaN in cameras": (_text("<w0>[", "<w0>[nan "), "not all finite"),
    "too few numbers": (_text(" -0.0018133]", "]"), "299 numbers"),
    "no camera names": (_text("index2id", "id2index"), "no cameras are named"),
    "too large": (_text("<metadata>", "<metadata>" + " " * MOST_BYTES), "too large"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_named(case: str, copy: Path) -> None:
    change, message = WRONG[case]
    change(copy)
    with pytest.raises(DataError, match=message) as caught:
        read(copy)
    assert str(copy) in str(caught.value)


def test_wrong_paths_are_named(poses: Path, tmp_path: Path) -> None:
    other, packed, empty = tmp_path / "mpi", tmp_path / "human36m.zip", tmp_path / "empty"
    (other / "S1" / "Seq1").mkdir(parents=True)
    (other / "S1" / "Seq1" / "annot.mat").touch()
    empty.mkdir()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("S1/x.cdf", "")
    (tmp_path / "packed").mkdir()
    shutil.copy(packed, tmp_path / "packed")
    for path, message in (
        ("", "no input path"),
        (str(tmp_path / "human36"), "no such folder"),
        (str(packed), r"an archive[\s\S]*unpack it first"),
        (str(tmp_path / "packed"), "unpack human36m.zip"),
        (str(empty), "an empty folder"),
        (str(other), "looks like MPI-INF-3DHP, training set"),
        (str(poses / "S1"), f"path = '{poses}'"),
        (str(poses.parent), f"path = '{poses}'"),
        (str(poses / "metadata.xml"), "a file where a folder is due"),
    ):
        with pytest.raises(DataError, match=message):
            list(shots(RecordingsConfig(path=path)))


def _shorter(path: Path) -> None:
    example.write_video(path, [np.zeros((64, 64, 3), np.uint8)] * (FRAMES - 1))


VIDEOS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "the file Photo.54138969.mp4 is missing"),
    "no video": (lambda path: path.write_bytes(b"no video" * 99), "unreadable or truncated video"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "video"),
    "shorter than the poses": (_shorter, "more pictures than there are"),
}


def test_videos_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    table, path = example.human36m(tmp_path / "in"), tmp_path / "in/S1/Videos/TakingPhoto.54138969.mp4"
    whole = path.read_bytes()
    for case, (change, message) in VIDEOS.items():
        path.write_bytes(whole)
        change(path)
        with pytest.raises(DataError, match=message) as caught:
            human36m_images(ShotImagesConfig(**table)).prepare(tmp_path / case)
        assert str(tmp_path / "in") in str(caught.value)


def test_spoilt_files_are_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_process, "SECONDS", 1)
    (tmp_path / "whole").mkdir()
    kinds = ("D3_Positions_mono", "D2_Positions")
    write_subjects(tmp_path / "whole", {"S9": ("Walking",)}, WRITTEN[:1], kinds)
    found = outcomes(read, tmp_path / "whole", tmp_path / "spoilt", range(220))
    assert found["refused"] > 100 and found["read"] > 5
