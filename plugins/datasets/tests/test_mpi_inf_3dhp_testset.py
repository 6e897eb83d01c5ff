"""MPI-INF-3DHP's test set: the fitted camera, flags for protocols, pictures from 1, both truths, bad input."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sa3dhp_core.cards import card_ids, read_card, skeleton
from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.data import facts_of
from sa3dhp_datasets.example import picture_of
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.mpi_inf_3dhp_config import Mpi3dhpTestImagesConfig, Mpi3dhpTestKeypointsConfig
from sa3dhp_datasets.mpi_inf_3dhp_example import (
    SIDE,
    TEST_LENS,
    UNIVERSAL,
    evaluation,
    save_sequence,
    sequence_joints,
    write_recording,
    write_sequence,
)
from sa3dhp_datasets.mpi_inf_3dhp_testset import mpi_inf_3dhp_test_images, mpi_inf_3dhp_test_keypoints, shots
from sa3dhp_datasets.shots import Shot, projected

NAMES = read_card("datasets", "mpi-inf-3dhp-test")["columns"]
HOUSE = skeleton().index
FOUND = {"TS1": "green-screen", "TS5": "outdoor"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sequences without pictures."""
    folder = tmp_path_factory.mktemp("3dhp-test")
    evaluation(folder / "mpi_inf_3dhp_test_set")
    return folder


def read(path: Path, truth: str = "annot3") -> list[Shot]:
    return list(shots(Mpi3dhpTestKeypointsConfig(path=str(path), truth=truth)))


def person(shot: Shot) -> tuple[Array, Array]:
    """Joints and keypoints of a shot's one person."""
    (one,) = shot.people
    assert one.joints is not None and one.keypoints is not None
    return one.joints, one.keypoints


def test_sequences_are_read_with_the_fitted_camera(whole: Path) -> None:
    assert {shot.name: shot.family for shot in read(whole)} == FOUND
    for number, shot in enumerate(read(whole / "mpi_inf_3dhp_test_set")):
        joints, keypoints = person(shot)
        np.testing.assert_allclose(shot.lens.focal_px, TEST_LENS.focal_px, atol=1e-6)
        np.testing.assert_allclose(shot.lens.centre_px, TEST_LENS.centre_px, atol=1e-6)
        assert np.abs(projected(joints, shot.lens) - keypoints).max() < 1e-6
        solid = sequence_joints(20 + number)
        for joint, column in {"thorax": "neck", "neck": "head", "head": "head_top", "left_knee": "left_knee"}.items():
            np.testing.assert_allclose(joints[:, HOUSE(joint)], solid[:, NAMES.index(column)], atol=1e-9)
        assert (
            shot.split == "test" and shot.people[0].flags["valid_frame"].tolist() == [True] * 4 + [False] + [True] * 3
        )


def test_the_cards_of_protocols_find_their_flag(whole: Path) -> None:
    wanted = {read_card("protocols", card)["frames"]["valid"] for card in card_ids("protocols") if card[:4] == "3dhp"}
    assert wanted == {"valid_frame"}
    data = mpi_inf_3dhp_test_keypoints(Mpi3dhpTestKeypointsConfig(path=str(whole)), host=Host(()))
    assert data.splits == ("test",)
    data.prepare(whole / "out")
    facts = facts_of(data.keypoints(whole / "out", "test"))
    assert facts is not None and facts.flags["valid_frame"].sum() == 14 and facts.subjects is not None
    assert facts.subjects == ["TS1"] * 8 + ["TS5"] * 8
    shutil.rmtree(whole / "out")


def test_crops_show_the_joint_where_its_keypoint_says(tmp_path: Path) -> None:
    joints = write_sequence(tmp_path / "TS3", 20, pictures=False)
    column = NAMES.index("right_wrist")
    for number, row in enumerate(projected(joints, TEST_LENS), 1):
        spot = picture_of(row[[column]], SIDE, SIDE)
        Image.fromarray(spot).save(tmp_path / "TS3" / "imageSequence" / f"img_{number:06d}.jpg", quality=95)
    data = mpi_inf_3dhp_test_images(Mpi3dhpTestImagesConfig(path=str(tmp_path), size=64))
    data.prepare(tmp_path / "out")
    batch = next(data.labelled(tmp_path / "out", "test").batches(99))
    assert batch.keypoints is not None and len(batch.images) == 8
    y, x = torch.meshgrid(torch.arange(64) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    for image, wanted in zip(batch.images[:, 1], batch.keypoints[:, HOUSE("right_wrist")], strict=True):
        weight = (image - 0.5).clamp(min=0)
        assert torch.dist(torch.stack([(weight * x).sum(), (weight * y).sum()]) / weight.sum(), wanted) < 0.7


def test_the_universal_truth_is_of_its_own_size(whole: Path) -> None:
    for own, universal in zip(read(whole), read(whole, "univ_annot3"), strict=True):
        (joints, keypoints), (scaled, same) = person(own), person(universal)
        root = slice(HOUSE("pelvis"), HOUSE("pelvis") + 1)
        np.testing.assert_allclose(scaled - scaled[:, root], UNIVERSAL * (joints - joints[:, root]), atol=1e-9)
        np.testing.assert_array_equal(keypoints, same)
        np.testing.assert_allclose(own.lens.focal_px, universal.lens.focal_px)


def test_frames_that_are_not_valid_may_be_anything(tmp_path: Path) -> None:
    (tmp_path / "TS2").mkdir()
    joints = sequence_joints(20)
    valid = np.array([[1, 1, 0, 0, 0, 1, 1, 1]]).T
    told, seen = 1000 * joints[:, None], projected(joints, TEST_LENS)[:, None]
    told[2], told[3, 0, 4] = np.nan, [0, 0, -1]
    seen[4] += 300
    save_sequence(tmp_path / "TS2" / "annot_data.mat", joints, annot3=told, annot2=seen, valid_frame=valid)
    (shot,) = read(tmp_path)
    assert shot.people[0].frames.tolist() == [0, 1, 4, 5, 6, 7]
    assert shot.people[0].flags["valid_frame"].tolist() == [True, True, False, True, True, True]
    np.testing.assert_allclose(shot.lens.focal_px, TEST_LENS.focal_px, atol=1e-6)


def test_pictures_that_are_missing_are_named(tmp_path: Path) -> None:
    write_sequence(tmp_path / "TS1", 20)

    def prepare() -> None:
        mpi_inf_3dhp_test_images(Mpi3dhpTestImagesConfig(path=str(tmp_path), size=16)).prepare(tmp_path / "out")

    folder = tmp_path / "TS1" / "imageSequence"
    (folder / "img_000004.jpg").write_bytes((folder / "img_000004.jpg").read_bytes()[:1200])
    with pytest.raises(DataError, match=r"img_000004.jpg: the image is damaged"):
        prepare()
    Image.new("RGB", (SIDE, SIDE + 2)).save(folder / "img_000004.jpg")
    with pytest.raises(DataError, match=r"img_000004.jpg: the image has another size"):
        prepare()
    (folder / "img_000004.jpg").unlink()
    with pytest.raises(DataError, match=r"img_000004.jpg: the image cannot be read(.|\n)*no such file"):
        prepare()
    shutil.rmtree(folder)
    with pytest.raises(DataError, match="there are no pictures"):
        prepare()


JOINTS = sequence_joints(20)
SOLID, SEEN = 1000 * JOINTS[:, None], projected(JOINTS, TEST_LENS)[:, None]
HOLE = SOLID.copy()
HOLE[3, 0, 2, 1] = np.nan
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "a variable is missing": ({"valid_frame": None}, "'valid_frame' is missing"),
    "no truth": ({"annot3": None}, "'annot3' is missing"),
    "another joint set": ({"annot2": SEEN[:, :, :14]}, r"annot2(.|\n)*\(any, 1, 17, 2\)"),
    "matlab's axes": ({"annot3": SOLID.T}, r"annot3(.|\n)*\(any, 1, 17, 3\)"),
    "lengths differ": ({"annot3": SOLID[:-1]}, r"lengths that differ(.|\n)*annot3: 7"),
    "flags too few": ({"valid_frame": np.ones((5, 1))}, r"lengths that differ(.|\n)*valid_frame: 5"),
    "NaN in a valid frame": ({"annot3": HOLE}, "frame 3: valid, yet a joint has no place"),
    "infinity": ({"annot2": np.where(np.isnan(HOLE[..., :2]), np.inf, SEEN)}, "not finite"),
    "behind the camera": ({"annot3": SOLID * [1, 1, -1]}, "frame 0: valid, yet a joint has no place"),
    "metres": ({"annot3": SOLID / 1000}, "looks like metres; expected millimetres"),
    "nothing valid": ({"valid_frame": np.zeros((8, 1))}, "no frame is valid"),
    "no frame": ({"annot2": SEEN[:0], "annot3": SOLID[:0], "valid_frame": np.zeros((0, 1))}, "no frame is valid"),
    "another's points": ({"annot2": SEEN[::-1].copy()}, "annot3 does not project onto annot2|no camera shows"),
    "noise": (
        {"annot2": SEEN + np.random.default_rng(0).normal(0, 3, SEEN.shape)},
        "annot3 does not project onto annot2",
    ),
    "one point": ({"annot2": SEEN * 0 + 5.0}, "no camera|does not project"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_annotations_are_named(case: str, tmp_path: Path) -> None:
    (tmp_path / "TS1").mkdir()
    changes, message = BROKEN[case]
    save_sequence(tmp_path / "TS1" / "annot_data.mat", JOINTS, **changes)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path)
    assert str(tmp_path / "TS1" / "annot_data.mat") in str(caught.value)


def test_other_folders_are_named(whole: Path, tmp_path: Path) -> None:
    write_recording(tmp_path / "training" / "S1" / "Seq1", 3, frames=2)
    (tmp_path / "mupots" / "TS1").mkdir(parents=True)
    for name in ("annot.mat", "occlusion.mat"):
        (tmp_path / "mupots" / "TS1" / name).touch()
    (tmp_path / "seven" / "TS7").mkdir(parents=True)
    save_sequence(tmp_path / "seven" / "TS7" / "annot_data.mat", JOINTS)
    shutil.copytree(whole, tmp_path / "cut")
    (tmp_path / "cut" / "mpi_inf_3dhp_test_set" / "TS5" / "annot_data.mat").unlink()
    with zipfile.ZipFile(tmp_path / "test_set.zip", "w") as archive:
        archive.writestr("TS1/annot_data.mat", b"x")
    for name, message in (
        ("training", 'looks like MPI-INF-3DHP, training set; use = "mpi-inf-3dhp"'),
        ("mupots", "looks like MuPoTS-3D"),
        ("seven", r"no sequence of this set(.|\n)*TS7"),
        ("cut", r"TS5/annot_data.mat: no such file"),
        ("test_set.zip", "unpack it first"),
        ("nowhere", "no such folder"),
    ):
        with pytest.raises(DataError, match=message):
            read(tmp_path / name)


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    (tmp_path / "whole" / "TS1").mkdir(parents=True)
    save_sequence(tmp_path / "whole" / "TS1" / "annot_data.mat", sequence_joints(20, 2), valid_frame=np.ones((2, 1)))
    found = outcomes(read, tmp_path / "whole", tmp_path / "spoilt")
    assert found["refused"] > 80 and sum(found.values()) == 200
