"""3DPW: exact cameras, joints, detections and flags; crops and upright motion; bad and spoilt files."""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sa3dhp_core.cards import read_card, skeleton
from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError
from sa3dhp_core.evaluation.protocol import load_protocol
from sa3dhp_core.evaluation.selection import chosen
from sa3dhp_datasets.body_surface import read_surface
from sa3dhp_datasets.pw3d import pw3d_images, pw3d_keypoints, pw3d_motion, shots
from sa3dhp_datasets.pw3d_config import Pw3dImagesConfig, Pw3dKeypointsConfig, Pw3dMotionConfig
from sa3dhp_datasets.pw3d_example import FRAMES, INVALID, SEQUENCES, pw3d, python2_pickle, sequence
from sa3dhp_datasets.shots import Shot, projected
from sa3dhp_datasets.smpl_example import COLOURS, model_arrays
from sa3dhp_datasets.smpl_joints import SMPL_24

NAMES = {title.split("/")[1]: phases for title, phases in SEQUENCES.items()}
VALID = [number for number in range(FRAMES) if number != INVALID]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, written once."""
    made = tmp_path_factory.mktemp("pw3d")
    pw3d(made)
    return made


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Shot]:
    return {shot.name: shot for shot in shots(Pw3dMotionConfig(path=str(folder)))}


def house(name: str) -> int:
    return skeleton().index(name)


def test_the_pickles_are_those_of_python_2() -> None:
    data = python2_pickle(sequence("a_b_00", (0.0,))[0])
    names = {op.name for op, _, _ in pickletools.genops(data)}
    assert "SHORT_BINSTRING" in names and not {name for name in names if "UNICODE" in name or "BYTES" in name}
    assert b"numpy.core.multiarray" in data and b"numpy._core" not in data
    np.testing.assert_array_equal(pickle.load(io.BytesIO(data), encoding="latin1")["betas"][0], np.zeros(10))


def test_the_check_finds_nothing_wrong(folder: Path) -> None:
    assert pw3d_motion(Pw3dMotionConfig(path=str(folder))).check().problems == ()


def test_splits_people_and_valid_pictures_arrive(found: dict[str, Shot]) -> None:
    assert {name: shot.split for name, shot in found.items()} == {
        title.split("/")[1]: title.split("/")[0] for title in SEQUENCES
    }
    for name, shot in found.items():
        assert len(shot.people) == len(NAMES[name]) and shot.fps == 30.0
        for person in shot.people:
            assert person.frames.tolist() == VALID and person.flags["campose_valid"].all()
            assert person.flags["detected"].tolist() == [frame != 4 for frame in VALID]
    assert found["courtyard_arguing_00"].family == "arguing" and found["downtown_walkUphill_01"].family == "walkUphill"


def test_joints_project_to_where_the_pictures_show_them(found: dict[str, Shot]) -> None:
    """Against the projection that the example drew its pictures by, within a thousandth of a pixel."""
    card = read_card("datasets", "3dpw")["joints"]
    for name, shot in found.items():
        _, flat = sequence(name, NAMES[name])
        for person, points in zip(shot.people, flat, strict=True):
            assert person.joints is not None
            seen = projected(person.joints, shot.lens)
            for joint, columns in card.items():
                if len(columns) == 1 and columns[0] in SMPL_24:
                    drawn = points[VALID, SMPL_24.index(columns[0])]
                    np.testing.assert_allclose(seen[:, house(joint)], drawn, atol=1e-3)


def test_detections_are_kept_and_what_was_not_found_is_unknown(found: dict[str, Shot]) -> None:
    name = "downtown_walkUphill_01"
    person, (points,) = found[name].people[0], sequence(name, NAMES[name])[1]
    assert person.keypoints is not None
    missing = np.isnan(person.keypoints[..., 0])
    assert missing[:, [house("spine"), house("head")]].all() and missing[VALID.index(4)].all()
    assert np.flatnonzero(missing[1]).tolist() == sorted([house("spine"), house("head"), house("left_ankle")])
    np.testing.assert_allclose(
        person.keypoints[0, house("right_wrist")], points[0, SMPL_24.index("R_Wrist")], atol=1e-9
    )
    hips = points[0, [SMPL_24.index("L_Hip"), SMPL_24.index("R_Hip")]].mean(0)
    np.testing.assert_allclose(person.keypoints[0, house("pelvis")], hips, atol=1e-9)


def test_motion_stands_upright_and_is_what_the_world_holds(folder: Path, tmp_path: Path) -> None:
    data = pw3d_motion(Pw3dMotionConfig(path=str(folder), test=("downtown_walkUphill_01",)))
    data.prepare(tmp_path)
    motion = torch.cat(list(data.sequences(tmp_path, "test").sequences())).numpy()
    content, _ = sequence("downtown_walkUphill_01", NAMES["downtown_walkUphill_01"])
    world = content["jointPositions"][0].reshape(FRAMES, 24, 3)[VALID]
    world = np.stack([world[..., 0], -world[..., 2], world[..., 1]], axis=-1)
    root = world[:, [SMPL_24.index("L_Hip"), SMPL_24.index("R_Hip")]].mean(1)
    for joint, column in {"left_ankle": "L_Ankle", "right_wrist": "R_Wrist", "thorax": "Neck"}.items():
        np.testing.assert_allclose(motion[:, house(joint)], world[:, SMPL_24.index(column)] - root, atol=1e-5)
    assert (motion[:, house("head"), 2] > 0.5).all() and (motion[:, house("left_ankle"), 2] < -0.5).all()
    assert (motion[:, house("right_wrist"), 2] > motion[:, house("left_wrist"), 2] + 0.5).all(), (
        "the right arm is raised"
    )


def test_crops_show_each_joint_where_its_keypoint_says(folder: Path, tmp_path: Path) -> None:
    data = pw3d_images(Pw3dImagesConfig(path=str(folder), size=128))
    data.prepare(tmp_path)
    (batch,) = data.labelled(tmp_path, "test").batches(100)
    assert batch.keypoints is not None and len(batch.images) == len(VALID)
    for frame in range(3):
        for joint, column in {"right_wrist": "R_Wrist", "left_knee": "L_Knee", "right_knee": "R_Knee"}.items():
            x, y = batch.keypoints[frame, house(joint)].tolist()
            colour = 255 * batch.images[frame, :, int(y), int(x)].numpy()
            assert np.abs(colour - COLOURS[SMPL_24.index(column)]).max() < 40, joint


def test_facts_select_the_frames_of_the_protocols(folder: Path, tmp_path: Path) -> None:
    data = pw3d_keypoints(Pw3dKeypointsConfig(path=str(folder)), host=None)  # type: ignore[arg-type]
    data.prepare(tmp_path)
    keypoints = data.keypoints(tmp_path, "test")
    facts = keypoints.frame_facts()
    assert facts.numbers is not None and facts.numbers.tolist() == VALID
    assert set(keypoints.groups()) == {"downtown_walkUphill_01"}
    for card in ("3dpw-mpjpe-14", "3dpw-pa-mpjpe-14"):
        mask = chosen(load_protocol(card), facts, len(keypoints))
        assert mask is not None and bool(mask.all())
    assert data.truth(tmp_path, "test") is not None


def test_all_sequences_can_be_test(folder: Path) -> None:
    data = pw3d_motion(Pw3dMotionConfig(path=str(folder), test=("*",)))
    assert data.splits == ("train", "validation", "test")


REGRESSED = {
    "pelvis": 0,
    "left_hip": 1,
    "left_ankle": 3,
    "right_knee": 5,
    "spine": 7,
    "thorax": 8,
    "neck": 9,
    "head": 10,
}
REGRESSED |= {"head": 10, "left_shoulder": 11, "left_wrist": 13, "right_shoulder": 14, "right_wrist": 16}
"""Rows of Human3.6M's regressor, left leg first (H36M_TO_J17 of github.com/nkolot/SPIN, constants.py)."""


def bodies(folder: Path) -> dict[str, str]:
    """Keys that name a model for both genders and a regressor whose rows are vertices at SMPL's joints."""
    smpl = ["Pelvis", "L_Hip", "L_Knee", "L_Ankle", "R_Hip", "R_Knee", "R_Ankle", "Spine2", "Neck", "Head", "Head"]
    smpl += [f"{side}_{part}" for side in "LR" for part in ("Shoulder", "Elbow", "Wrist")]
    np.savez(folder / "SMPL.npz", **model_arrays())
    rows = np.zeros((17, 48))
    rows[np.arange(17), [SMPL_24.index(name) for name in smpl]] = 1.0
    np.save(folder / "regressor.npy", rows)
    return {"body_model": str(folder / "SMPL.npz"), "regressor": str(folder / "regressor.npy")}


def test_joints_are_regressed_from_the_users_own_body_model(folder: Path, tmp_path: Path) -> None:
    """As the protocols define them; in the camera, beside the file's own joints."""
    name = "downtown_walkUphill_01"
    keys = bodies(tmp_path)
    found = {shot.name: shot for shot in shots(Pw3dMotionConfig(**keys, path=str(folder)))}[name]
    content, _ = sequence(name, NAMES[name])
    surface = read_surface(Path(keys["body_model"]), Path(keys["regressor"]), 17)
    world = surface.points(np.zeros(10), content["poses"][0].reshape(-1, 24, 3), content["trans"][0], "a")[VALID]
    camera = content["cam_poses"][VALID]
    placed = world @ camera[:, :3, :3].swapaxes(1, 2) + camera[:, None, :3, 3]
    (person,) = found.people
    assert person.joints is not None
    for joint, row in REGRESSED.items():
        np.testing.assert_allclose(person.joints[:, house(joint)], placed[:, row], atol=1e-9)
    plain = {shot.name: shot for shot in shots(Pw3dMotionConfig(path=str(folder)))}[name].people[0]
    assert plain.joints is not None
    apart = np.linalg.norm(person.joints - plain.joints, axis=-1)
    assert 0.001 < apart[:, house("left_wrist")].max() < 0.1
    np.testing.assert_array_equal(person.boxes, plain.boxes)


def test_a_model_alone_and_bodies_that_are_none_are_named(tmp_path: Path) -> None:
    keys = bodies(tmp_path)
    with pytest.raises(DataError, match=r"(?s)go together.*SPIN"):
        list(shots(Pw3dMotionConfig(path=str(tmp_path), body_model=keys["body_model"])))
    for change, message in (
        (put("genders", ["m", "n"]), r"genders\[1\]"),
        (put("genders", ["m"]), "people in genders: 1"),
        (put("poses", [np.zeros((FRAMES, 66))] * 2), r"\(8, 72\)"),
        (put("betas", [np.full(10, np.nan)] * 2), "not finite"),
        (lambda content: content.pop("trans"), "'trans' is missing"),
    ):
        rewritten(tmp_path, change)
        with pytest.raises(DataError, match=message):
            list(shots(Pw3dMotionConfig(path=str(tmp_path), **keys)))


def rewritten(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A sequence of two people whose content is changed; its path."""
    content, _ = sequence("courtyard_arguing_00", (0.3, 1.9))
    change(content)
    path = folder / "sequenceFiles" / "train" / "courtyard_arguing_00.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(python2_pickle(content))
    return path


def put(key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.update({key: value})


def scaled(factor: float) -> Callable[[dict[str, Any]], object]:
    def change(content: dict[str, Any]) -> None:
        content["jointPositions"] = [factor * joints for joints in content["jointPositions"]]
        content["cam_poses"][:, :3, 3] *= factor

    return change


def spoilt(key: str, person: int, frame: int, value: float) -> Callable[[dict[str, Any]], object]:
    return lambda content: content[key][person].__setitem__(frame, value)


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no joints": (lambda content: content.pop("jointPositions"), "'jointPositions' is missing"),
    "readme's spelling": (lambda content: content.update(poses2D=content.pop("poses2d")), "did you mean 'poses2D'"),
    "joints of one frame": (put("jointPositions", [np.zeros(72), np.zeros(72)]), r"jointPositions\[0\]"),
    "joints of H36M": (put("jointPositions", [np.zeros((FRAMES, 51))] * 2), r"\(8, 72\)"),
    "lengths": (put("jointPositions", [np.zeros((FRAMES + 1, 72))] * 2), r"\(8, 72\)"),
    "people": (lambda content: content["poses2d"].pop(), "people in poses2d: 1"),
    "nobody": (put("poses2d", []), "nobody is in it"),
    "text": (put("jointPositions", "none"), "nobody is in it"),
    "COCO": (put("poses2d", [np.zeros((FRAMES, 17, 3))] * 2), r"\(8, 3, 18\)"),
    "NaN": (spoilt("jointPositions", 1, 0, np.nan), r"jointPositions\[1\]\[0\].*not finite|not finite"),
    "infinite": (spoilt("jointPositions", 1, 0, np.inf), "not finite"),
    "millimetres": (scaled(1000.0), "looks like millimetres"),
    "half a camera": (put("cam_poses", np.zeros((FRAMES, 3, 4))), r"\(any, 4, 4\)"),
    "no rotation": (put("cam_poses", np.zeros((FRAMES, 4, 4))), "not turned by a rotation"),
    "mirror": (put("cam_poses", np.tile(np.diag([1.0, 1, -1, 1]), (FRAMES, 1, 1))), "not turned by a rotation"),
    "flags": (put("campose_valid", [np.zeros(3, np.uint8)] * 2), r"\(8\)"),
    "intrinsics": (put("cam_intrinsics", np.zeros((3, 3))), "not a camera"),
    "an empty dict": (lambda content: content.clear(), "is missing"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_named(case: str, tmp_path: Path) -> None:
    change, message = BROKEN[case]
    path = rewritten(tmp_path, change)
    with pytest.raises(DataError, match=message) as caught:
        list(shots(Pw3dMotionConfig(path=str(tmp_path))))
    assert str(path) in str(caught.value)


def test_a_sequence_without_a_valid_picture_has_nobody(tmp_path: Path) -> None:
    rewritten(tmp_path, put("campose_valid", [np.zeros(FRAMES, bool)] * 2))
    (shot,) = shots(Pw3dMotionConfig(path=str(tmp_path)))
    assert shot.people == ()
    with pytest.raises(DataError, match="no clip is long enough"):
        pw3d_motion(Pw3dMotionConfig(path=str(tmp_path))).prepare(tmp_path / "out")


def test_pictures_that_are_missing_or_damaged_are_named(folder: Path, tmp_path: Path) -> None:
    data = pw3d_images(Pw3dImagesConfig(path=str(tmp_path), size=16))
    rewritten(tmp_path, lambda content: None)
    with pytest.raises(DataError, match="there are no pictures"):
        data.prepare(tmp_path / "out")
    pictures = tmp_path / "imageFiles" / "courtyard_arguing_00"
    pictures.mkdir(parents=True)
    for number in (0, 1):
        name = f"image_{number:05d}.jpg"
        (pictures / name).write_bytes((folder / "imageFiles" / "courtyard_arguing_00" / name).read_bytes())
    with pytest.raises(DataError, match=r"(?s)image_00002\.jpg.*no such file"):
        data.prepare(tmp_path / "out")
    (pictures / "image_00002.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    with pytest.raises(DataError, match=r"image_00002\.jpg"):
        data.prepare(tmp_path / "out")


def test_wrong_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "bvh").mkdir()
    (tmp_path / "bvh" / "a.bvh").write_text("HIERARCHY")
    with zipfile.ZipFile(tmp_path / "sequenceFiles.zip", "w") as archive:
        archive.writestr("sequenceFiles/train/a.pkl", b"")
    for path, message in (
        ("", "no input path"),
        ("bvh", "looks like BVH motion capture"),
        ("sequenceFiles.zip", "unpack it first"),
        ("nowhere", "no such folder"),
    ):
        with pytest.raises(DataError, match=message):
            list(shots(Pw3dMotionConfig(path=str(tmp_path / path) if path else "")))


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return Path.touch, (tmp_path / "ran",)

    path = rewritten(tmp_path, lambda content: None)
    path.write_bytes(pickle.dumps({"sequence": Evil()}, protocol=2))
    with pytest.raises(DataError, match="refused"):
        list(shots(Pw3dMotionConfig(path=str(tmp_path))))
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_spoilt_copies_are_read_or_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "sequenceFiles").symlink_to(folder / "sequenceFiles")

    def attempt(copy: Path) -> None:
        list(shots(Pw3dMotionConfig(path=str(copy))))

    assert outcomes(attempt, tmp_path / "whole", tmp_path / "copy", range(220), "*.pkl")["refused"] > 20
