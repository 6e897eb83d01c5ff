"""VideoPose3D's files: nothing in them runs, lenses are undone, subjects are splits, and wrong files are named."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_core.evaluation import evaluate, load_protocol
from sa3dhp_core.geometry import root_position
from sa3dhp_core.host import Host
from sa3dhp_datasets.config import LiftingNpzConfig, ProjectedPosesConfig
from sa3dhp_datasets.keypoint_example import FRAMES, LENS, lifting_arrays, projected, write_lifting
from sa3dhp_datasets.lens import Lens
from sa3dhp_datasets.lifting_npz import LiftingNpz, read_clips
from sa3dhp_datasets.object_npz import read_objects
from sa3dhp_datasets.projected import ProjectedPoses

BODY = skeleton()
REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "lifting"


def reader(path: Path, **keys: Any) -> LiftingNpz:
    """The component over a folder or file."""
    return LiftingNpz(LiftingNpzConfig(path=str(path), **keys), host=Host(()))


def places(data: LiftingNpz | ProjectedPoses, folder: Path, split: str = "train") -> torch.Tensor:
    """All keypoints of a split, prepared in a folder."""
    data.prepare(folder)
    return torch.cat(list(data.keypoints(folder, split).batches(1000)))


def truth_of(data: LiftingNpz | ProjectedPoses, folder: Path, split: str = "train") -> torch.Tensor:
    """True poses of a split that has some."""
    poses = data.truth(folder, split)
    assert poses is not None
    return poses


def fit_px(data: LiftingNpz, folder: Path, split: str) -> float:
    """How far the truth projects from the keypoints, at Human3.6M's focal length."""
    points, poses = places(data, folder, split).double(), truth_of(data, folder, split).double()
    placed = poses + root_position(poses, points, torch.eye(3).double().expand(len(poses), 3, 3))[:, None]
    return 1145 * float((placed[..., :2] / placed[..., 2:] - points).norm(dim=-1).max())


def test_the_truth_projects_onto_the_undistorted_keypoints(tmp_path: Path) -> None:
    write_lifting(tmp_path, *lifting_arrays())
    data = reader(tmp_path, test=("S9",), validation_subjects=("S5",))
    assert data.splits == ("train", "validation", "test")
    assert fit_px(data, tmp_path / "out", "train") < 1e-2
    assert len(places(data, tmp_path / "out")) == 2 * 2 * FRAMES
    groups = {split: set(data.keypoints(tmp_path / "out", split).groups()) for split in data.splits}
    assert groups == {"train": {"S1"}, "validation": {"S5"}, "test": {"S9"}}


def test_clips_keep_the_names_of_the_file(tmp_path: Path) -> None:
    write_lifting(tmp_path, *lifting_arrays())
    data = reader(tmp_path, test=("S9",))
    data.prepare(tmp_path / "out")
    found = data.keypoints(tmp_path / "out", "test").clip_names()
    assert found == tuple(("S9", clip, camera) for clip in ("walk_1", "walk_2") for camera in ("0", "1"))


def test_frames_tell_subject_camera_and_number_so_that_protocols_can_select(tmp_path: Path) -> None:
    points, truth, cameras = lifting_arrays()
    names = ("54138969", "60457274")
    cameras["intrinsic"] = [{**lens, "id": name} for lens, name in zip(cameras["intrinsic"], names, strict=True)]
    write_lifting(tmp_path, points, truth, cameras)
    data = reader(tmp_path, test=("S9",), stride=2)
    data.prepare(tmp_path / "out")
    poses, facts = truth_of(data, tmp_path / "out", "test"), data.keypoints(tmp_path / "out", "test").frame_facts()
    assert facts.numbers is not None and set(facts.numbers.tolist()) == set(range(0, FRAMES, 2))
    assert set(facts.subjects or ()) == {"S9"} and set(facts.cameras or ()) == set(names)
    cards = [load_protocol(f"h36m-hmr-{name}-mpjpe-14") for name in ("p1", "p2")]
    assert [evaluate(card, poses, poses, BODY, facts).count for card in cards] == [4, 2]


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no keypoints at {REAL}")
def test_the_prepared_real_set_is_read(tmp_path: Path) -> None:
    data = reader(REAL, test=("S9", "S11"), stride=10)
    assert fit_px(data, tmp_path, "test") < 1e-3
    assert set(data.keypoints(tmp_path, "train").groups()) == {"S1", "S5", "S6", "S7", "S8"}


@given(st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)), min_size=1, max_size=9))
def test_a_lens_is_undone(plane: list[tuple[float, float]]) -> None:
    lens, points = Lens(*(np.array(LENS[key]) for key in LENS)), np.array(plane)
    np.testing.assert_allclose(lens.plane(lens.pixels(points)), points, atol=1e-7)


def test_a_lens_that_cannot_be_undone_there_gives_no_place() -> None:
    lens = Lens(np.ones(2), np.zeros(2), radial=np.array([-0.5, 0.0, 0.0]))
    found = lens.plane(np.array([[0.1, 0.0], [0.9, 0.0], [np.nan, 0.0]]))
    assert np.isfinite(found).all(axis=-1).tolist() == [True, False, False]


class Evil:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("/tmp/sa3dhp-was-here",)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_nothing_in_a_file_runs(protocol: int, tmp_path: Path) -> None:
    marked = Path("/tmp/sa3dhp-was-here")
    assert not marked.exists()
    path = tmp_path / "data_2d_evil.npz"
    header = tmp_path / "header.npy"
    np.save(header, np.array({}, dtype=object))
    start = header.read_bytes().partition(b"\n")[0] + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("positions_2d.npy", start + pickle.dumps({"S1": {"walk": Evil()}}, protocol))
    with pytest.raises(DataError, match=r"could run code\n.*posix.mkdir"):
        read_objects(path, "positions_2d")
    assert not marked.exists()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_numpy_pickles_is_read(protocol: int, tmp_path: Path) -> None:
    content = {"S1": {"a": [np.arange(6.0).reshape(1, 3, 2), np.float32(3)], "b": np.array(["x", "yy"])}}
    header = tmp_path / "header.npy"
    np.save(header, np.array({}, dtype=object))
    start = header.read_bytes().partition(b"\n")[0] + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", start + pickle.dumps(np.array(content, dtype=object), protocol))
    found = read_objects(tmp_path / "a.npz", "x")["x"]["S1"]
    np.testing.assert_array_equal(found["a"][0], content["S1"]["a"][0])
    assert found["a"][1] == 3 and found["b"].tolist() == ["x", "yy"]


def test_unseen_joints_are_masked_and_not_zero(tmp_path: Path) -> None:
    flat, solid, rig = lifting_arrays()
    view = flat["S1"]["walk_1"][0]
    confidence = np.ones((*view.shape[:2], 1), np.float32)
    confidence[3, 5], confidence[4, 6] = 0.0, 0.2
    flat["S1"]["walk_1"][0] = np.concatenate([view, confidence], axis=-1)
    flat["S1"]["walk_1"][1] = flat["S1"]["walk_1"][1].copy()
    flat["S1"]["walk_1"][1][2, 7, 0] = np.nan
    write_lifting(tmp_path, flat, solid, rig)
    points = places(reader(tmp_path), tmp_path / "a")
    assert points.isnan().all(-1).nonzero().tolist() == [[3, 5], [FRAMES + 2, 7]]
    points = places(reader(tmp_path, least_confidence=0.3), tmp_path / "b")
    assert points.isnan().all(-1).nonzero().tolist() == [[3, 5], [4, 6], [FRAMES + 2, 7]]


def test_joints_are_taken_by_name_or_as_means(tmp_path: Path) -> None:
    flat, _, rig = lifting_arrays()
    write_lifting(tmp_path, flat, None, rig)
    columns = tuple("belly" if joint == "spine" else joint for joint in BODY.joints)
    with pytest.raises(DataError, match="'spine' has no column"):
        places(reader(tmp_path, columns=columns), tmp_path / "out")
    joints = {"spine": ("belly",), "pelvis": ("left_hip", "right_hip")}
    points = places(reader(tmp_path, columns=columns, joints=joints), tmp_path / "out")
    assert torch.equal(points[:, BODY.index("spine")], places(reader(tmp_path), tmp_path / "b")[:, BODY.index("spine")])
    hips = points[:, [BODY.index("left_hip"), BODY.index("right_hip")]]
    assert torch.allclose(points[:, BODY.index("pelvis")], hips.mean(dim=1), atol=1e-6)
    assert reader(tmp_path).truth(tmp_path / "b", "train") is None
    with pytest.raises(RecipeError, match="left_hip"):
        places(reader(tmp_path, joints={"left_hop": ("left_hip",)}), tmp_path / "c")


def test_a_plain_camera_serves_files_without_cameras(tmp_path: Path) -> None:
    flat, _, _ = lifting_arrays()
    write_lifting(tmp_path, flat, None, None)
    with pytest.raises(DataError, match="no camera is known"):
        places(reader(tmp_path), tmp_path / "out")
    points = places(reader(tmp_path, focal_px=1000.0, size_px=(1000.0, 800.0)), tmp_path / "out")
    first = torch.tensor(flat["S1"]["walk_1"][0])
    assert torch.allclose(points[:FRAMES], (first - torch.tensor([500.0, 400.0])) / 1000, atol=1e-6)


Change = Callable[[Any, Any, Any], None]
WRONG: dict[str, tuple[Change, str]] = {
    "a subject without cameras": (lambda flat, solid, rig: rig["extrinsic"].pop("S5"), "'S5' has no camera 0"),
    "fewer extrinsics": (
        lambda flat, solid, rig: rig["extrinsic"].update(S5=rig["extrinsic"]["S5"][:1]),
        "'S5' has no camera 1",
    ),
    "fewer intrinsics": (lambda flat, solid, rig: rig["intrinsic"].pop(), "more cameras"),
    "lengths that differ": (
        lambda flat, solid, rig: solid["S5"].update(walk_2=solid["S5"]["walk_2"][1:]),
        "S5/walk_2, camera 0: keypoints and truth differ",
    ),
    "a clip without truth": (lambda flat, solid, rig: solid["S5"].pop("walk_2"), "no truth"),
    "NaN in the truth": (lambda flat, solid, rig: solid["S1"]["walk_1"].fill(np.nan), "not finite"),
    "millimetres in the truth": (
        lambda flat, solid, rig: solid["S5"].update(walk_2=solid["S5"]["walk_2"] * 1000),
        "S5/walk_2: looks like millimetres; expected metres",
    ),
    "too few joints": (
        lambda flat, solid, rig: flat["S1"].update(walk_1=[np.zeros((FRAMES, 16, 2))]),
        r"S1/walk_1, camera 0: a clip of another shape",
    ),
    "no frames": (lambda flat, solid, rig: flat["S1"].update(walk_1=[np.zeros((0, 17, 2))]), "another shape"),
    "text for numbers": (
        lambda flat, solid, rig: flat["S1"].update(walk_1=[np.full((FRAMES, 17, 2), "x")]),
        "another shape",
    ),
    "no subjects": (lambda flat, solid, rig: flat.clear(), "another layout"),
    "clips in a list": (lambda flat, solid, rig: flat.update(S1=[np.zeros((1, 17, 2))]), "another layout"),
    "a lens of one number": (
        lambda flat, solid, rig: rig["intrinsic"].insert(0, {**LENS, "center": [1.0]}),
        "cameras in another form",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_named(case: str, tmp_path: Path) -> None:
    change, message = WRONG[case]
    arrays = lifting_arrays()
    change(*arrays)
    write_lifting(tmp_path, *arrays)
    with pytest.raises(DataError, match=message) as caught:
        reader(tmp_path, test=("S9",)).prepare(tmp_path / "out")
    assert str(tmp_path) in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_lengths_that_differ_can_be_cut(tmp_path: Path) -> None:
    flat, solid, rig = lifting_arrays()
    solid["S1"]["walk_1"] = solid["S1"]["walk_1"][:-2]
    write_lifting(tmp_path, flat, solid, rig)
    data = reader(tmp_path, cut=True)
    assert fit_px(data, tmp_path / "out", "train") < 1e-2
    assert len(truth_of(data, tmp_path / "out")) == len(places(data, tmp_path / "out")) == 12 * FRAMES - 4


def test_missing_and_ambiguous_paths_are_named(tmp_path: Path) -> None:
    for keys, message in (({"path": ""}, "no input path"), ({"path": str(tmp_path / "x.npz")}, "no such file")):
        with pytest.raises(DataError, match=message):
            LiftingNpz(LiftingNpzConfig(**keys), host=Host(())).prepare(tmp_path / "out")
    with pytest.raises(DataError, match=r"does not hold this data set[\s\S]*an empty folder"):
        reader(tmp_path).prepare(tmp_path / "out")
    write_lifting(tmp_path, *lifting_arrays())
    with pytest.raises(DataError, match="'test' has no clip"):
        reader(tmp_path, test=("S11",)).prepare(tmp_path / "out")
    with pytest.raises(RecipeError, match="two splits"):
        reader(tmp_path, test=("S9",), validation_subjects=("S9",))
    (tmp_path / "cameras.json").write_text(json.dumps([1]))
    with pytest.raises(DataError, match="another form"):
        reader(tmp_path).prepare(tmp_path / "out")


def test_archives_other_sets_and_several_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "S1" / "Seq1").mkdir(parents=True)
    (tmp_path / "S1" / "Seq1" / "annot.mat").touch()
    with pytest.raises(DataError, match="this looks like MPI-INF-3DHP, training set"):
        reader(tmp_path).prepare(tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "lifting.zip", "w") as archive:
        archive.writestr("data_2d_h36m_gt.npz", b"")
    with pytest.raises(DataError, match=r"an archive[\s\S]*unpack it first"):
        reader(tmp_path / "lifting.zip").prepare(tmp_path / "out")
    path = write_lifting(tmp_path, *lifting_arrays()) / "data_2d_toy_gt.npz"
    path.with_name("data_2d_toy_cpn.npz").write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"not exactly one[\s\S]*data_2d_toy_cpn.npz, data_2d_toy_gt.npz"):
        reader(tmp_path).prepare(tmp_path / "out")


def test_spoilt_files_are_read_or_refused(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    write_lifting(tmp_path / "whole", *lifting_arrays())

    def attempt(folder: Path) -> object:
        return list(read_clips(LiftingNpzConfig(path=str(folder))))

    found = outcomes(attempt, tmp_path / "whole", tmp_path / "spoilt", range(240))
    assert found["refused"] > 100 and found["read"] > 5


def test_any_pose_data_is_seen_by_given_cameras(tmp_path: Path) -> None:
    table = projected(tmp_path)
    cameras: dict[str, Any] = {"azimuths_deg": (0.0, 90.0, 200.0), "elevations_deg": (0.0, 20.0)}
    data = ProjectedPoses(ProjectedPosesConfig(**table, **cameras, stride=2), host=Host.load())
    points, truth = places(data, tmp_path / "out"), truth_of(data, tmp_path / "out")
    assert len(points) == 3 * FRAMES // 2
    assert torch.allclose(points, truth[..., :2] / (truth[..., 2:] + 4.5), atol=1e-6)
    up = truth[:, BODY.index("head"), 1]
    assert bool((up < 0).all()) and not torch.allclose(truth[0], truth[3])
    near = ProjectedPoses(ProjectedPosesConfig(**table, distances_m=(0.6,)), host=Host.load())
    with pytest.raises(DataError, match="too near"):
        near.prepare(tmp_path / "near")
