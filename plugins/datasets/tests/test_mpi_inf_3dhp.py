"""MPI-INF-3DHP's training set: geometry, joints and pictures as written, mended defects, keys, bad input."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from PIL import Image

from sa3dhp_core.cards import read_card, skeleton
from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.data import facts_of
from sa3dhp_datasets.example import picture_of, write_video
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.mpi_inf_3dhp import (
    cameras_of,
    mpi_inf_3dhp_images,
    mpi_inf_3dhp_keypoints,
    mpi_inf_3dhp_motion,
    shots,
)
from sa3dhp_datasets.mpi_inf_3dhp_config import Mpi3dhpImagesConfig, Mpi3dhpKeypointsConfig, Mpi3dhpMotionConfig
from sa3dhp_datasets.mpi_inf_3dhp_example import (
    SIDE,
    UNIVERSAL,
    Annotated,
    annotated,
    calibration,
    columns,
    drawn,
    save_annotations,
    training,
    training_images,
    world_joints,
    write_recording,
    write_sequence,
)
from sa3dhp_datasets.shots import Shot, projected

NAMES: Sequence[str] = read_card("datasets", "mpi-inf-3dhp")["columns"]
HOUSE = skeleton().index


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings without pictures."""
    folder = tmp_path_factory.mktemp("3dhp")
    training(folder)
    return folder


def config(path: Path, **keys: Any) -> Mpi3dhpKeypointsConfig:
    return Mpi3dhpKeypointsConfig(path=str(path), **keys)


def read(path: Path, **keys: Any) -> list[Shot]:
    return list(shots(config(path, **keys)))


def person(shot: Shot) -> tuple[Array, Array]:
    """Joints and keypoints of a shot's one person."""
    (one,) = shot.people
    assert one.joints is not None and one.keypoints is not None
    return one.joints, one.keypoints


def test_every_camera_sees_the_same_motion_upright_in_metres(whole: Path) -> None:
    found = read(whole)
    assert [shot.title for shot in found[:9]] == [*(f"S1/Seq1/{c}" for c in (0, 1, 2, 4, 5, 6, 7, 8)), "S2/Seq2/0"]
    assert len(found) == 24 and {shot.fps for shot in found} == {25.0}
    world = world_joints(3)
    standing = np.stack([world[..., 0], -world[..., 2], world[..., 1]], axis=-1)
    for shot in found[:8]:
        joints, keypoints = person(shot)
        assert shot.upright is not None and shot.people[0].frames.tolist() == list(range(8))
        turned = joints @ shot.upright.T
        np.testing.assert_allclose(turned - turned[:1, :1], standing - standing[:1, :1], atol=1e-5)
        assert np.abs(projected(joints, shot.lens) - keypoints).max() < 1e-6
        np.testing.assert_allclose(shot.people[0].boxes[:, :2], keypoints.min(1), atol=1e-9)


def test_house_joints_are_the_columns_of_their_names(tmp_path: Path) -> None:
    """A person whose every column is somewhere else: none can be taken for another."""
    told = write_recording(tmp_path / "S1" / "Seq1", 3)
    solid = annotated(
        columns(world_joints(3), "mpi-inf-3dhp") + 0.01 * np.random.default_rng(0).normal(size=(8, 28, 3))
    )
    save_annotations(tmp_path / "S1" / "Seq1" / "annot.mat", solid)
    joints, keypoints = person(read(tmp_path)[0])
    for joint, name in {"thorax": "neck", "neck": "head", "head": "head_top", "left_wrist": "left_wrist"}.items():
        np.testing.assert_allclose(joints[:, HOUSE(joint)], solid.joints[0][:, NAMES.index(name)] / 1000)
        np.testing.assert_allclose(keypoints[:, HOUSE(joint)], solid.points[0][:, NAMES.index(name)])
        assert np.abs(told.points[0] - solid.points[0]).max() > 0.01


@pytest.mark.parametrize("joint", ["left_wrist", "right_ankle", "head_top"])
def test_crops_show_the_joint_where_its_keypoint_says(joint: str, tmp_path: Path) -> None:
    told = write_recording(tmp_path / "S1" / "Seq1", 3)
    (tmp_path / "S1" / "Seq1" / "imageSequence").mkdir()
    spots = [picture_of(row[[NAMES.index(joint)]], SIDE, SIDE) for row in told.points[7]]
    write_video(tmp_path / "S1" / "Seq1" / "imageSequence" / "video_7.avi", spots, 25)
    data = mpi_inf_3dhp_images(Mpi3dhpImagesConfig(path=str(tmp_path), cameras=("7",), size=64))
    data.prepare(tmp_path / "out")
    batch = next(data.labelled(tmp_path / "out", "train").batches(99))
    assert batch.keypoints is not None and len(batch.images) == 8
    house = {names[0]: name for name, names in read_card("datasets", "mpi-inf-3dhp")["joints"].items()}[joint]
    y, x = torch.meshgrid(torch.arange(64) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    for image, wanted in zip(batch.images[:, 1], batch.keypoints[:, HOUSE(house)], strict=True):
        weight = (image - 0.5).clamp(min=0)
        assert torch.dist(torch.stack([(weight * x).sum(), (weight * y).sum()]) / weight.sum(), wanted) < 0.7


def recording(folder: Path, name: str, frames: Sequence[int]) -> tuple[Path, Annotated]:
    """A recording whose rows have these numbers."""
    place = folder / name
    told = write_recording(place, 5, len(frames))
    save_annotations(place / "annot.mat", told, frames=np.array(frames, dtype=np.uint16)[:, None])
    return place, told


def test_exchanged_sides_are_mended_where_the_card_says(tmp_path: Path) -> None:
    numbers = [3758, 3759, 5852, 5853]
    place, told = recording(tmp_path, "S4/Seq2", numbers)
    sides = {"left": "right", "right": "left"}
    swap = [NAMES.index("_".join([sides.get(n.split("_")[0], n.split("_")[0]), *n.split("_")[1:]])) for n in NAMES]
    wrong = np.array([False, True, True, False])[:, None, None]
    spoilt = Annotated(
        *(
            [np.where(wrong, each[:, swap], each) for each in cells]
            for cells in (told.points, told.joints, told.universal)
        )
    )
    save_annotations(place / "annot.mat", spoilt, frames=np.array(numbers)[:, None])
    save_annotations(place / "whole.mat", told)
    for truth, cells in (("annot3", told.joints), ("univ_annot3", told.universal)):
        for shot in read(tmp_path, truth=truth):
            joints, keypoints = person(shot)
            for joint in ("left_wrist", "right_hip", "pelvis"):
                column = NAMES.index(joint)
                np.testing.assert_allclose(joints[:, HOUSE(joint)], cells[int(shot.camera)][:, column] / 1000)
                np.testing.assert_allclose(keypoints[:, HOUSE(joint)], told.points[int(shot.camera)][:, column])


def test_annotations_without_pictures_are_left_out(tmp_path: Path) -> None:
    recording(tmp_path, "S3/Seq1", [12486, 12487, 12488])
    recording(tmp_path, "S6/Seq2", [3910, 3911, 6144, 6145])
    kept = {shot.title: shot.people[0].frames.tolist() for shot in read(tmp_path)}
    assert kept["S3/Seq1/0"] == [12486, 12487]
    assert kept["S6/Seq2/2"] == [3910] and kept["S6/Seq2/4"] == [3910, 3911, 6144]


def test_rates_are_the_cards_and_one_table_makes_them_alike(tmp_path: Path) -> None:
    for name in ("S1/Seq1", "S1/Seq2", "S5/Seq1"):
        write_recording(tmp_path / name, 3)
    assert [shot.fps for shot in read(tmp_path)][::8] == [25.0, 50.0, 50.0]
    data = mpi_inf_3dhp_keypoints(config(tmp_path, cameras=("0",)), host=Host(()))
    with pytest.raises(DataError, match=r"several frame rates(.|\n)*fps = 25"):
        data.prepare(tmp_path / "uneven")
    data = mpi_inf_3dhp_keypoints(config(tmp_path, cameras=("0",), fps=25.0), host=Host(()))
    data.prepare(tmp_path / "even")
    facts = facts_of(data.keypoints(tmp_path / "even", "train"))
    assert facts is not None and facts.numbers is not None and facts.subjects is not None
    assert facts.numbers.tolist() == [*range(8), *range(0, 8, 2), *range(0, 8, 2)]
    assert facts.subjects == ["S1"] * 12 + ["S5"] * 4


def test_camera_sets_are_the_publishers(whole: Path) -> None:
    assert [shot.camera for shot in read(whole, camera_set="mm3d_chest")][:5] == ["0", "2", "4", "7", "8"]
    assert [shot.camera for shot in read(whole, camera_set="ceiling")][:3] == ["11", "12", "13"]
    assert len(cameras_of("regular")) == 14 and len(cameras_of("relevant")) == 11
    with pytest.raises(RecipeError, match="did you mean 'vnect'"):
        read(whole, camera_set="vnekt")


def test_the_universal_truth_is_of_its_own_size(whole: Path) -> None:
    for own, universal in zip(read(whole), read(whole, truth="univ_annot3"), strict=True):
        (joints, keypoints), (scaled, same) = person(own), person(universal)
        root = slice(HOUSE("pelvis"), HOUSE("pelvis") + 1)
        np.testing.assert_allclose(scaled - scaled[:, root], UNIVERSAL * (joints - joints[:, root]), atol=1e-9)
        np.testing.assert_array_equal(keypoints, same)


def test_frames_partly_outside_the_picture_are_left_out_of_crops_alone(tmp_path: Path) -> None:
    write_recording(tmp_path / "S1" / "Seq1", 3)
    walking = columns(world_joints(3) + np.linspace(0, 3, 8)[:, None, None] * [1, 0, 0], "mpi-inf-3dhp")
    save_annotations(tmp_path / "S1" / "Seq1" / "annot.mat", annotated(walking))
    kept = {shot.camera: shot.people[0] for shot in shots(Mpi3dhpImagesConfig(path=str(tmp_path))) if shot.people}
    inside = kept["0"]
    assert inside.keypoints is not None and 0 < len(inside.frames) < 8
    assert inside.keypoints.min() >= 0 and inside.keypoints.max() <= SIDE
    assert all(len(shot.people[0].frames) == 8 for shot in read(tmp_path))


def test_motion_is_upright_and_each_recording_once(whole: Path, tmp_path: Path) -> None:
    data = mpi_inf_3dhp_motion(Mpi3dhpMotionConfig(path=str(whole), test=("S8",)))
    data.prepare(tmp_path)
    clips = list(data.sequences(tmp_path, "train").sequences())
    assert data.splits == ("train", "test") and len(clips) == 2
    for clip in clips:
        assert clip.shape == (8, 17, 3)
        assert bool((clip[:, HOUSE("head"), 2] - clip[:, HOUSE("left_ankle"), 2] > 1.0).all())


def test_one_subject_or_a_folder_above_will_do(whole: Path, tmp_path: Path) -> None:
    assert {shot.subject for shot in read(whole / "S2")} == {"S2"}
    (tmp_path / "train").symlink_to(whole)
    assert len(read(tmp_path)) == 24


def as_video(folder: Path, pictures: list[Any]) -> None:
    write_video(folder / "imageSequence" / "video_0.avi", pictures, 25)


def as_images(pattern: str, first: int) -> Callable[[Path, list[Any]], None]:
    def write(folder: Path, pictures: list[Any]) -> None:
        for number, shown in enumerate(pictures, first):
            path = folder / pattern.format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(shown).save(path, quality=95)

    return write


FORMS: dict[str, Callable[[Path, list[Any]], None]] = {
    "video": as_video,
    "publishers' ffmpeg line": as_images("imageSequence/img_0_{:06d}.jpg", 1),
    "from 0": as_images("imageSequence/img_0_{:06d}.jpg", 0),
    "a folder a camera": as_images("imageSequence/video_0/img_{:06d}.jpg", 1),
    "frames of SPIN": as_images("imageFrames/video_0/frame_{:06d}.jpg", 1),
}


@pytest.mark.parametrize("form", FORMS)
def test_pictures_are_found_however_they_lie(form: str, tmp_path: Path) -> None:
    told = write_recording(tmp_path / "S1" / "Seq1", 3)
    (tmp_path / "S1" / "Seq1" / "imageSequence").mkdir()
    FORMS[form](tmp_path / "S1" / "Seq1", drawn(told.points[0]))
    opened = read(tmp_path)[0].pictures
    assert opened is not None
    for number, shown in opened().frames(range(8)):
        wanted = picture_of(told.points[0][number], SIDE, SIDE).astype(float)
        others = [np.abs(shown - picture_of(row, SIDE, SIDE).astype(float)).mean() for row in told.points[0]]
        assert int(np.argmin(others)) == number and np.abs(shown - wanted).mean() < 8


def test_pictures_that_do_not_fit_are_named(tmp_path: Path) -> None:
    told = write_recording(tmp_path / "S1" / "Seq1", 3)
    folder = tmp_path / "S1" / "Seq1" / "imageSequence"
    folder.mkdir()

    def prepare(**keys: Any) -> None:
        data = mpi_inf_3dhp_images(Mpi3dhpImagesConfig(path=str(tmp_path), size=16, cameras=("0",), **keys))
        data.prepare(tmp_path / "out")

    with pytest.raises(DataError, match=r"no pictures of camera 0(.|\n)*video_0.avi"):
        prepare()
    with zipfile.ZipFile(folder / "vnect_cameras.zip", "w") as packed:
        packed.writestr("video_0.avi", b"x")
    with pytest.raises(DataError, match="unpack vnect_cameras.zip"):
        prepare()
    write_video(folder / "video_0.avi", [shown[::2, ::2] for shown in drawn(told.points[0])], 25)
    with pytest.raises(DataError, match=r"another size(.|\n)*48 x 48(.|\n)*96 x 96"):
        prepare()
    write_video(folder / "video_0.avi", drawn(told.points[0])[:5], 25)
    with pytest.raises(DataError, match=r"more pictures than there are(.|\n)*5"):
        prepare()
    (folder / "video_0.avi").write_bytes((folder / "video_0.avi").read_bytes()[:2000])
    with pytest.raises(DataError, match="video_0.avi"):
        prepare()
    shutil.rmtree(folder)
    with pytest.raises(DataError, match="there are no pictures"):
        prepare()


def cells(values: Sequence[Any], width: int = 1) -> Any:
    found = np.empty((len(values), width), dtype=object)
    for number, value in enumerate(values):
        found[number, 0] = value
    return found


def changed(value: Array, place: tuple[int, ...], new: float) -> Array:
    value = value.copy()
    value[place] = new
    return value


TOLD = annotated(columns(world_joints(3), "mpi-inf-3dhp"))
FLAT = [each.reshape(8, -1) for each in TOLD.points]
SOLID = [each.reshape(8, -1) for each in TOLD.joints]
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "a variable is missing": ({"annot3": None}, "'annot3' is missing"),
    "frames are missing": ({"frames": None}, "'frames' is missing"),
    "another joint set": ({"annot2": cells([each[:, :34] for each in FLAT])}, r"annot2\{0\}(.|\n)*\(any, 56\)"),
    "not cells": ({"annot2": np.stack(FLAT)}, "cells of another form"),
    "a camera less": ({"annot3": cells(SOLID[:13])}, r"13 rows of cells(.|\n)*14 x 1"),
    "text for numbers": ({"annot3": cells(["x"] * 14)}, "wrong shape or type"),
    "NaN": ({"annot3": cells([changed(SOLID[0], (2, 5), np.nan), *SOLID[1:]])}, r"annot3\{0\}\[2, 5\]: (.|\n)*finite"),
    "lengths differ": ({"annot3": cells([SOLID[0][:-1], *SOLID[1:]])}, r"lengths that differ(.|\n)*annot3: 7"),
    "frames too few": ({"frames": np.arange(6)[:, None]}, r"lengths that differ(.|\n)*frames: 6"),
    "frames out of order": ({"frames": np.array([[0, 1, 2, 5, 4, 6, 7, 8]]).T}, "not numbered"),
    "frames of fractions": ({"frames": np.arange(8)[:, None] / 2}, "not a whole number"),
    "frames in a table": ({"frames": np.ones((8, 2))}, "neither a row nor a column"),
    "metres": ({"annot3": cells([each / 1000 for each in SOLID])}, "looks like metres; expected millimetres"),
    "centimetres": ({"annot3": cells([each / 10 for each in SOLID])}, "looks like centimetres; expected millimetres"),
    "no person": ({"annot3": cells([each * 0 + 1.0 for each in SOLID])}, "no person's size"),
    "another camera's": ({"annot3": cells([*SOLID[1:], SOLID[0]])}, "annot3 does not project onto annot2"),
    "univ_annot3 in its place": (
        {"annot3": cells([each.reshape(8, -1) for each in TOLD.universal])},
        "does not project",
    ),
    "unknown cameras": ({"cameras": np.arange(20, 34)[None]}, "camera 0 is missing"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_annotations_are_named(case: str, tmp_path: Path) -> None:
    write_recording(tmp_path / "S1" / "Seq1", 3)
    changes, message = BROKEN[case]
    save_annotations(tmp_path / "S1" / "Seq1" / "annot.mat", TOLD, **changes)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path)
    assert str(tmp_path / "S1" / "Seq1" / "annot.mat") in str(caught.value)


def test_missing_and_foreign_files_are_named(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "a")
    place = tmp_path / "a" / "S1" / "Seq1"
    (place / "annot.mat").rename(place / "annotations.mat")
    with pytest.raises(DataError, match=r"annot.mat: no such file(.|\n)*annotations.mat"):
        read(tmp_path / "a")
    (place / "camera.calibration").unlink()
    with pytest.raises(DataError, match=r"camera.calibration: cannot be read"):
        read(tmp_path / "a")
    (place / "camera.calibration").write_text(calibration().partition("name          5")[0])
    shutil.copy(whole / "S1" / "Seq1" / "annot.mat", place)
    with pytest.raises(DataError, match=r"camera 5 is missing"):
        read(tmp_path / "a")
    (place / "camera.calibration").write_text(calibration())
    (place / "annot.mat").write_bytes((place / "annot.mat").read_bytes()[:4000])
    with pytest.raises(DataError, match=r"annot.mat"):
        read(tmp_path / "a")
    shutil.copytree(whole / "S1", tmp_path / "b" / "S9")
    with pytest.raises(DataError, match=r"no recording of this set(.|\n)*S9/Seq1(.|\n)*S8/Seq2"):
        read(tmp_path / "b")


def test_other_folders_are_named(tmp_path: Path) -> None:
    write_sequence(tmp_path / "tests" / "TS1", 20, pictures=False)
    (tmp_path / "h36m" / "S1" / "MyPoseFeatures" / "D3_Positions").mkdir(parents=True)
    (tmp_path / "h36m" / "S1" / "MyPoseFeatures" / "D3_Positions" / "Directions.cdf").touch()
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "mpi.zip", "w") as archive:
        archive.writestr("S1/Seq1/annot.mat", b"x")
    for name, message in (
        ("tests", 'looks like MPI-INF-3DHP, test set; use = "mpi-inf-3dhp-test"'),
        ("h36m", "looks like Human3.6M"),
        ("empty", "an empty folder"),
        ("mpi.zip", "unpack it first"),
        ("mpj.zip", "did you mean 'mpi.zip'"),
    ):
        with pytest.raises(DataError, match=message):
            read(tmp_path / name)
    with pytest.raises(DataError, match="no input path"):
        list(shots(Mpi3dhpKeypointsConfig()))


def test_a_table_that_fits_nothing_says_what_there_is(whole: Path, tmp_path: Path) -> None:
    data = mpi_inf_3dhp_motion(Mpi3dhpMotionConfig(path=str(whole), cameras=("11",)))
    with pytest.raises(DataError, match=r"no recording fits(.|\n)*S1/Seq1/0"):
        data.prepare(tmp_path)


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    told = write_recording(tmp_path / "whole" / "S1" / "Seq1", 3, frames=2)
    save_annotations(tmp_path / "whole" / "S1" / "Seq1" / "annot.mat", told, packed=False)
    found = outcomes(read, tmp_path / "whole", tmp_path / "spoilt")
    assert found["refused"] > 80 and sum(found.values()) == 200


def test_the_examples_pictures_fill_a_prepared_set(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    table = training_images(tmp_path / "in")
    keys = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    data = mpi_inf_3dhp_images(attrs.evolve(Mpi3dhpImagesConfig(), **keys))
    data.prepare(tmp_path / "out")
    facts = facts_of(data.labelled(tmp_path / "out", "test"))
    assert facts is not None and facts.subjects == ["S8"] * 16 and facts.cameras == ["0"] * 8 + ["7"] * 8
