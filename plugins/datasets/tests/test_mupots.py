"""MuPoTS-3D: what is read of real files, the camera that is found, the crops, flags and truths, and bad files."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.data import facts_of
from sa3dhp_datasets.mupots import mupots_images, mupots_keypoints, shots
from sa3dhp_datasets.mupots_config import MupotsImagesConfig, MupotsKeypointsConfig
from sa3dhp_datasets.mupots_example import (
    LENS,
    UNIVERSAL,
    annotation_cells,
    label_cells,
    people_of,
)
from sa3dhp_datasets.mupots_example import mupots_keypoints as write
from sa3dhp_datasets.shots import Shot, projected

TRUE = people_of("TS1")
Cells = Any


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, which no test changes."""
    folder = tmp_path_factory.mktemp("whole")
    write(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of TS1 alone, to be spoilt."""
    shutil.copytree(whole / "MultiPersonTestSet" / "TS1", tmp_path / "set" / "TS1")
    return tmp_path / "set"


def read(folder: Path, **keys: Any) -> list[Shot]:
    return list(shots(MupotsKeypointsConfig(path=str(folder), **keys)))


def test_sequences_are_read_in_order_with_their_own_rates(whole: Path) -> None:
    found = read(whole)
    assert [(shot.name, shot.fps, shot.split) for shot in found] == [("TS1", 30.0, "test"), ("TS6", 60.0, "test")]
    assert [len(shot.people) for shot in found] == [2, 2]
    assert read(whole / "MultiPersonTestSet")[1].name == "TS6"


def test_the_camera_is_found_and_joints_project_onto_keypoints(whole: Path) -> None:
    for shot in read(whole):
        assert np.allclose(shot.lens.focal_px, LENS.focal_px) and np.allclose(shot.lens.centre_px, LENS.centre_px)
        for person in shot.people:
            assert person.joints is not None and person.keypoints is not None
            assert np.abs(projected(person.joints, shot.lens) - person.keypoints).max() < 1e-6


def test_every_joint_arrives_under_its_name_in_metres(whole: Path) -> None:
    for person, true in zip(read(whole)[0].people, TRUE, strict=True):
        assert person.joints is not None
        assert np.allclose(person.joints, true, atol=1e-9), "house order, left is left"
        low, high = projected(true, LENS).min(1), projected(true, LENS).max(1)
        assert np.allclose(person.boxes, np.concatenate([low, high - low], 1))


def test_universal_truth_is_another(whole: Path) -> None:
    found = read(whole, universal=True)[0]
    assert np.allclose(found.lens.focal_px, LENS.focal_px), "the camera is found by annot3 all the same"
    for person, true in zip(found.people, TRUE, strict=True):
        assert person.joints is not None and np.allclose(person.joints, UNIVERSAL * true, atol=1e-9)


def test_frames_that_are_not_valid_or_occluded_are_flagged(whole: Path) -> None:
    first, second = read(whole)[0].people
    assert first.flags["valid"].tolist() == [True] * 5 + [False] and second.flags["valid"].all()
    assert first.flags["occluded"].tolist() == [False, True, False, False, False, False]
    assert first.keypoints is not None and np.isfinite(first.keypoints).all()


def test_occluded_keypoints_can_be_left_out(whole: Path) -> None:
    person = read(whole, hide_occluded=True)[0].people[0]
    assert person.keypoints is not None and person.joints is not None and np.isfinite(person.joints).all()
    hidden = np.isnan(person.keypoints).all(-1)
    assert hidden.sum(1).tolist() == [1, 9, 1, 1, 1, 1]
    names = {joint for joint, gone in zip(skeleton().joints, hidden[1], strict=True) if gone}
    assert names == {"head", "thorax", "right_hip", *(f"{s}_{j}" for s in ("left", "right") for j in ARM)}
    assert np.array_equal(person.boxes, read(whole)[0].people[0].boxes), "the person is where they are"


ARM = ("shoulder", "elbow", "wrist")


def test_what_is_not_valid_and_has_no_place_is_left_out(folder: Path) -> None:
    def lost(cells: Cells) -> None:
        cells[5, 0]["annot3"][2] = 0.0

    rewrite(folder, lost)
    first, second = read(folder)[0].people
    assert first.frames.tolist() == [0, 1, 2, 3, 4] and second.frames.tolist() == [0, 1, 2, 3, 4, 5]


def test_crops_show_each_joint_where_its_keypoint_says(whole: Path, tmp_path: Path) -> None:
    data = mupots_images(MupotsImagesConfig(path=str(whole), fps=30.0, size=96))
    data.prepare(tmp_path)
    images = data.labelled(tmp_path, "test")
    assert len(images) == 24 and images.fps == 30.0
    batch = next(images.batches(99))
    assert batch.keypoints is not None
    right, seen = 0, 0
    for image, points in zip(batch.images, batch.keypoints, strict=True):
        apart = torch.cdist(points, points) + 99 * torch.eye(len(points))
        for joint, (u, v) in enumerate(points.tolist()):
            if float(apart[joint].min()) > 7:
                wanted = torch.tensor([60 + 11 * joint, 250 - 12 * joint, 200]) / 255
                right += bool((image[:, int(v), int(u)] - wanted).abs().max() < 0.12)
                seen += 1
    assert seen > 60 and right > 0.9 * seen, (right, seen)


def test_facts_reach_evaluation(whole: Path, tmp_path: Path) -> None:
    data = mupots_keypoints(MupotsKeypointsConfig(path=str(whole), recordings=("TS6",), fps=30.0), host=Host(()))
    data.prepare(tmp_path)
    found = data.keypoints(tmp_path, "test")
    facts = facts_of(found)
    assert facts is not None and facts.subjects == ["TS6"] * 12 and facts.numbers is not None
    assert facts.numbers.tolist() == [0, 2, 4, 6, 8, 10] * 2 and set(facts.flags) == {"valid", "occluded"}
    truth = data.truth(tmp_path, "test")
    assert truth is not None
    true = torch.from_numpy(np.concatenate([person[::2] for person in people_of("TS6")]))
    assert torch.allclose(truth, (true - true[:, :1]).float(), atol=1e-6)
    assert not data.check().problems and data.check().cameras[0].worst_px < 1e-6


def test_both_rates_together_need_one_that_they_share(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"several frame rates(.|\n)*fps = 30"):
        mupots_keypoints(MupotsKeypointsConfig(path=str(whole)), host=Host(())).prepare(tmp_path)


def test_hips_that_do_not_project_spoil_no_camera(folder: Path) -> None:
    def moved(cells: Cells) -> None:
        for cell in cells.flat:
            cell["annot2"][:, [8, 11, 15]] += 6.0

    rewrite(folder, moved)
    assert np.allclose(read(folder)[0].lens.focal_px, LENS.focal_px)


def test_annotations_alone_are_enough_for_keypoints(folder: Path, tmp_path: Path) -> None:
    for path in (folder / "TS1").glob("*.jpg"):
        path.unlink()
    assert read(folder)[0].pictures is None
    with pytest.raises(DataError, match="there are no pictures"):
        mupots_images(MupotsImagesConfig(path=str(folder))).prepare(tmp_path / "out")


def rewrite(folder: Path, change: Callable[[Cells], object]) -> None:
    """Write TS1/annot.mat with changed cells, or with what is returned in their place."""
    cells = annotation_cells(TRUE)
    returned = change(cells)
    savemat(folder / "TS1" / "annot.mat", {"annotations": cells if returned is None else returned})


def in_all(name: str, change: Callable[[Any], Any]) -> Callable[[Cells], None]:
    def apply(cells: Cells) -> None:
        for cell in cells.flat:
            cell[name] = change(cell[name])

    return apply


def in_one(name: str, value: Any, frame: int = 2, person: int = 1) -> Callable[[Cells], None]:
    return lambda cells: cells[frame, person].__setitem__(name, value)


BAD_CELLS: dict[str, tuple[Callable[[Cells], object], str]] = {
    "no field": (lambda cells: cells[2, 1].pop("annot2"), r"annot2(.|\n)*structs with annot2"),
    "16 joints": (in_all("annot3", lambda joints: joints[:, :16]), r"annot3: (.|\n)*wrong shape(.|\n)*3, 16"),
    "one cell smaller": (in_one("annot2", np.zeros((2, 5))), "annot2: (.|\n)*differing lengths"),
    "text": (in_all("annot2", lambda seen: "text"), "annot2: (.|\n)*wrong shape or type"),
    "no cells": (lambda cells: np.zeros((6, 2)), "annot2: (.|\n)*another content"),
    "no people": (lambda cells: np.empty((6, 0), dtype=object), "wrong shape"),
    "NaN": (in_one("annot3", np.full((3, 17), np.nan)), "frame 2, person 1: valid, yet a joint has no place"),
    "infinity": (in_one("annot2", np.full((2, 17), np.inf)), "not finite"),
    "behind": (in_all("annot3", lambda joints: -joints), "frame 0, person 0: valid, yet"),
    "metres": (in_all("annot3", lambda joints: joints / 1000), "looks like metres; expected millimetres"),
    "other pixels": (in_all("annot2", lambda seen: seen[::-1]), r"annot.mat: no camera shows(.|\n)*at most 10 px"),
    "nothing valid": (in_all("isValidFrame", np.zeros_like), "annot.mat: too little(.|\n)*0 joints"),
}


@pytest.mark.parametrize("case", BAD_CELLS)
def test_bad_annotations_are_named(folder: Path, case: str) -> None:
    change, message = BAD_CELLS[case]
    rewrite(folder, change)
    with pytest.raises(DataError, match=message) as error:
        read(folder)
    assert str(folder) in str(error.value)


def spoil_labels(folder: Path, frames: int, people: int) -> None:
    savemat(folder / "TS1" / "occlusion.mat", {"occlusion_labels": label_cells(frames, people)})


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:400])


def pack(folder: Path) -> None:
    with zipfile.ZipFile(folder.with_name("set.zip"), "w") as archive:
        archive.write(folder / "TS1" / "annot.mat")
    shutil.rmtree(folder)
    folder.with_name("set.zip").rename(folder)


BAD_FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no labels": (lambda folder: (folder / "TS1" / "occlusion.mat").unlink(), "occlusion.mat: no such file"),
    "no annotations": (lambda folder: (folder / "TS1" / "annot.mat").unlink(), "annot.mat: no such file"),
    "cut annotations": (lambda folder: cut(folder / "TS1" / "annot.mat"), "annot.mat"),
    "fewer labels": (lambda folder: spoil_labels(folder, 4, 2), r"lengths that differ(.|\n)*annot.mat: 6(.|\n)*mat: 4"),
    "fewer people": (lambda folder: spoil_labels(folder, 6, 1), r"lengths that differ(.|\n)*annot.mat: 2(.|\n)*mat: 1"),
    "other variable": (
        lambda folder: savemat(folder / "TS1" / "annot.mat", {"annotation": np.zeros(3)}),
        "'annotations' is missing(.|\n)*annotation",
    ),
    "TS21": (lambda folder: (folder / "TS1").rename(folder / "TS21"), "no sequence of this set(.|\n)*TS1 to TS20"),
    "packed": (pack, "unpack it first"),
    "empty": (lambda folder: shutil.rmtree(folder / "TS1"), "an empty folder"),
    "gone": (shutil.rmtree, "no such folder"),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_bad_folders_are_named(folder: Path, case: str) -> None:
    change, message = BAD_FOLDERS[case]
    change(folder)
    with pytest.raises(DataError, match=message) as error:
        read(folder)
    assert str(folder) in str(error.value)


def test_another_data_set_is_named(tmp_path: Path) -> None:
    (tmp_path / "walk.bvh").write_text("HIERARCHY")
    with pytest.raises(DataError, match='BVH motion capture; use = "bvh"'):
        read(tmp_path)


def test_this_data_set_is_named_to_others(whole: Path, tmp_path: Path) -> None:
    from sa3dhp_datasets.asf_amc import asf_amc_motion
    from sa3dhp_datasets.config import AsfAmcConfig

    with pytest.raises(DataError, match='MuPoTS-3D; use = "mupots-3d" reads it'):
        asf_amc_motion(AsfAmcConfig(path=str(whole))).prepare(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    (
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(b"no picture"), "cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:700]), "damaged"),
        (lambda path: Image.new("RGB", (20, 20)).save(path), "another size"),
    ),
)
def test_bad_pictures_are_named(folder: Path, tmp_path: Path, change: Callable[[Path], object], message: str) -> None:
    change(folder / "TS1" / "img_000003.jpg")
    with pytest.raises(DataError, match=f"img_000003.jpg: (.|\n)*{message}"):
        mupots_images(MupotsImagesConfig(path=str(folder), size=16)).prepare(tmp_path / "out")


def test_mutated_files_are_read_or_refused(folder: Path, tmp_path: Path) -> None:
    for path in (folder / "TS1").glob("*.jpg"):
        path.unlink()
    found = outcomes(read, folder, tmp_path / "mutated", range(220), "*.mat")
    assert found["read"] > 5 and found["refused"] > 100
