"""LSP and LSP-extended: joints, marks of opposite meaning, splits, crops, and bad files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from sa3dhp_core.atomic import read_tensors
from sa3dhp_core.cards import read_card, skeleton
from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError
from sa3dhp_core.host import Host
from sa3dhp_datasets.lens import middle_lens
from sa3dhp_datasets.lsp import (
    EXTENDED,
    LSP,
    Form,
    extended_shots,
    lsp_extended_keypoints,
    lsp_images,
    lsp_keypoints,
    lsp_shots,
)
from sa3dhp_datasets.lsp_config import (
    LspExtendedKeypointsConfig,
    LspImagesConfig,
    LspKeypointsConfig,
)
from sa3dhp_datasets.lsp_example import joints_of, labelled, points_of, size_of, write_set
from sa3dhp_datasets.shots import Shot

FORMS = pytest.mark.parametrize("form", (LSP, EXTENDED), ids=("lsp", "lsp-extended"))
HOUSE = skeleton()
KNOWN = [joint not in ("spine", "neck") for joint in HOUSE.joints]
WRIST = HOUSE.index("right_wrist")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both examples, in folders of their cards' names, which no test changes."""
    folder = tmp_path_factory.mktemp("whole")
    for form in (LSP, EXTENDED):
        write_set(folder / form.card, form)
    return folder


def read(folder: Path, form: Form, **keys: Any) -> list[Shot]:
    if form is LSP:
        return list(lsp_shots(LspKeypointsConfig(path=str(folder), **keys)))
    return list(extended_shots(LspExtendedKeypointsConfig(path=str(folder), **keys)))


def seen(shot: Shot) -> np.ndarray:
    (person,) = shot.people
    assert person.keypoints is not None and person.joints is None
    return person.keypoints[0]


@FORMS
def test_every_joint_arrives_under_its_name(whole: Path, form: Form) -> None:
    found = read(whole / form.card, form)
    assert [shot.name for shot in found] == [f"im{number:0{form.digits}}" for number in range(1, 6)]
    card = skeleton("lsp-14")
    for number, shot in enumerate(found, 1):
        points, true = seen(shot), labelled(number)
        for place, joint in enumerate(card.joints):
            if form is LSP or joint != "right_wrist" or number % 2 == 0:
                assert np.allclose(points[HOUSE.index(card.house_names.get(joint, joint))], true[place])
        hips = [card.index(joint) for joint in ("left_hip", "right_hip")]
        assert np.allclose(points[HOUSE.index("pelvis")], true[hips].mean(0))
        assert np.isnan(points[[HOUSE.index("spine"), HOUSE.index("neck")]]).all()


@FORMS
def test_columns_are_the_skeletons(form: Form) -> None:
    assert tuple(read_card("datasets", form.card)["columns"]) == skeleton("lsp-14").joints


def test_marks_mean_the_opposite_in_the_two_sets(whole: Path) -> None:
    for form, keys, gone in ((LSP, {}, False), (LSP, {"hide_occluded": True}, True), (EXTENDED, {}, True)):
        for number, shot in enumerate(read(whole / form.card, form, **keys), 1):
            missing = np.isnan(seen(shot)[KNOWN]).any(-1)
            assert missing.sum() == (gone and number % 2)
            assert np.isnan(seen(shot)[WRIST]).any() == bool(gone and number % 2)


def test_boxes_are_around_what_is_seen(whole: Path) -> None:
    for shot in read(whole / EXTENDED.card, EXTENDED):
        points = seen(shot)
        low, high = np.nanmin(points, 0), np.nanmax(points, 0)
        assert np.allclose(shot.people[0].boxes[0], [*low, *(high - low)])


def test_splits_are_the_sets_own(whole: Path) -> None:
    assert [LSP.split(number) for number in (1, 1000, 1001, 2000)] == ["train", "train", "test", "test"]
    assert EXTENDED.split(10_000) == "train"
    assert {shot.split for form in (LSP, EXTENDED) for shot in read(whole / form.card, form)} == {"train"}
    assert lsp_keypoints(LspKeypointsConfig(), host=Host(())).splits == ("train", "test")
    assert lsp_extended_keypoints(LspExtendedKeypointsConfig(), host=Host(())).splits == ("train",)


def test_a_set_of_more_than_a_thousand_has_a_test_split(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    savemat(tmp_path / "joints.mat", {"joints": np.tile(joints_of(LSP)[:, :, :1], (1, 1, 1002))})
    write_set(tmp_path / "one", LSP)
    for number in range(1, 1003):
        (tmp_path / "images" / f"im{number:04}.jpg").symlink_to(tmp_path / "one" / "images" / "im0001.jpg")
    found = read(tmp_path, LSP)
    assert [shot.name for shot in found if shot.split == "test"] == ["im1001", "im1002"] and len(found) == 1002


@FORMS
def test_the_plane_is_an_assumed_cameras(whole: Path, tmp_path: Path, form: Form) -> None:
    if form is LSP:
        data = lsp_keypoints(LspKeypointsConfig(path=str(whole / "lsp"), fov_deg=50.0), host=Host(()))
    else:
        config = LspExtendedKeypointsConfig(path=str(whole / "lsp-extended"), fov_deg=50.0)
        data = lsp_extended_keypoints(config, host=Host(()))
    data.prepare(tmp_path)
    points = next(data.keypoints(tmp_path, "train").batches(9)).numpy()
    assert data.truth(tmp_path, "train") is None and data.keypoints(tmp_path, "train").clip_index().tolist() == [
        *range(5)
    ]
    for row in range(5):
        lens = middle_lens(*size_of(row + 1), None, 50.0)
        ankle = HOUSE.index("left_ankle")
        assert np.allclose(lens.pixels(points[row, ankle]), points_of(row + 1)[ankle], atol=1e-4)


def test_crops_show_each_joint_where_its_keypoint_says(whole: Path, tmp_path: Path) -> None:
    data = lsp_images(LspImagesConfig(path=str(whole / "lsp"), size=96))
    data.prepare(tmp_path)
    found = next(data.clips(tmp_path, "train").batches(9))
    keypoints = read_tensors(tmp_path / "train.safetensors")["keypoints"]
    right, counted = 0, 0
    for number, (image, points) in enumerate(zip(found, keypoints.numpy(), strict=True), 1):
        true = points_of(number)
        for joint in np.flatnonzero(KNOWN):
            apart = np.linalg.norm(np.delete(true, joint, 0) - true[joint], axis=1).min()
            if HOUSE.joints[joint] != "pelvis" and apart > 7:
                wanted = np.array([60 + 11 * joint, 250 - 12 * joint, 200]) / 255
                colour = image[:, int(points[joint, 1]), int(points[joint, 0])].numpy()
                right += bool(np.abs(colour - wanted).max() < 0.12)
                counted += 1
    assert counted > 10 and right > 0.9 * counted, (right, counted)
    with pytest.raises(DataError, match="no ground-truth poses"):
        data.labelled(tmp_path, "train")


BAD_JOINTS: dict[str, tuple[Callable[[np.ndarray], Any], str]] = {
    "13 joints": (lambda joints: np.delete(joints, 3, LSP.shape.index(14)), "wrong shape"),
    "one picture": (lambda joints: joints[..., 0], "wrong shape"),
    "text": (lambda joints: "text", "wrong shape or type"),
    "infinity": (lambda joints: np.full_like(joints, np.inf), "not finite"),
    "the other set's": (lambda joints: joints.swapaxes(0, 1), 'another set(.|\n)*use = "lsp-extended"'),
    "more than pictures": (lambda joints: np.concatenate([joints, joints], -1), "im0006.jpg: (.|\n)*no such file"),
}


@pytest.mark.parametrize("case", BAD_JOINTS)
def test_bad_joints_are_named(whole: Path, tmp_path: Path, case: str) -> None:
    change, message = BAD_JOINTS[case]
    shutil.copytree(whole / "lsp", tmp_path / "set")
    savemat(tmp_path / "set" / "joints.mat", {"joints": change(joints_of(LSP))})
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path / "set", LSP)
    assert str(tmp_path) in str(error.value)


def test_joints_that_are_nan_are_unknown(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "lsp", tmp_path / "set")
    joints = joints_of(LSP)
    joints[0, 0, 2] = np.nan
    joints[:, :, 3] = np.nan
    savemat(tmp_path / "set" / "joints.mat", {"joints": joints})
    found = read(tmp_path / "set", LSP)
    assert [shot.name for shot in found] == ["im0001", "im0002", "im0003", "im0005"]
    assert np.isnan(seen(found[2])[HOUSE.index("right_ankle")]).all()


def test_bad_folders_and_pictures_are_named(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "lsp", tmp_path / "set")
    (tmp_path / "set" / "images" / "im0002.jpg").write_bytes(b"no picture")
    shutil.make_archive(str(tmp_path / "lsp"), "zip", whole / "lsp")
    (tmp_path / "empty").mkdir()
    for name, form, message in (
        ("set", LSP, "im0002.jpg: (.|\n)*cannot be read"),
        ("lsp.zip", LSP, "unpack it first"),
        ("empty", LSP, "an empty folder"),
        ("set/images", EXTENDED, 'this looks like LSP; use = "lsp"'),
        ("sets", LSP, "no such folder"),
    ):
        with pytest.raises(DataError, match=message):
            read(tmp_path / name, form)
    with pytest.raises(DataError, match='another set(.|\n)*use = "lsp"'):
        read(whole / "lsp", EXTENDED)
    with pytest.raises(DataError, match='this looks like LSP-extended; use = "lsp-extended"'):
        read(whole / "lsp-extended" / "images", LSP)


@FORMS
def test_mutated_files_are_read_or_refused(whole: Path, tmp_path: Path, form: Form) -> None:
    found = outcomes(lambda folder: read(folder, form), whole / form.card, tmp_path / "mutated", range(220), "*.mat")
    assert found["read"] > 5 and found["refused"] > 100
