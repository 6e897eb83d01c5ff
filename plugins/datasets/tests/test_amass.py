"""AMASS: both releases, joints against a slow reference, rates as the card corrects them, body models, bad files."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa3dhp_core.cards import read_card, skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.amass import amass_motion, convert, corrected, gender_of, read_motion
from sa3dhp_datasets.amass_example import amass, model_arrays, motion_arrays
from sa3dhp_datasets.body_model import JOINTS, PARENTS, joints_in_motion, model_file, read_body_model
from sa3dhp_datasets.config import AmassConfig
from sa3dhp_datasets.motion import Clip

RELEASES = {"smplh": "a_poses.npz", "smplx": "a_stageii.npz"}


def turned(vector: np.ndarray) -> np.ndarray:
    """The rotation of an axis times angle: the power series of the matrix exponential."""
    x, y, z = vector
    skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    result, term = np.eye(3), np.eye(3)
    for power in range(1, 60):
        term = term @ skew / power
        result = result + term
    return result


def slow_joints(rest: np.ndarray, turns: np.ndarray, place: np.ndarray) -> list[np.ndarray]:
    """Joints of one frame: each rest position carried through every joint above it, which turn about themselves."""
    matrices, found = [turned(vector) for vector in turns[:22]], []
    for joint in range(22):
        point, above = rest[joint], PARENTS[joint]
        while above >= 0:
            point = rest[above] + matrices[above] @ (point - rest[above])
            above = PARENTS[above]
        found.append(point + place)
    return found


def written(folder: Path, release: str = "smplh", name: str = "", **replaced: Any) -> Path:
    """A motion file; an array replaced by None is left out."""
    path = folder / (name or RELEASES[release])
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = motion_arrays(release, frames=3) | replaced
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def model(folder: Path, kind: str = "smplh", name: str = "model.npz", **replaced: Any) -> Path:
    """A body model's file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = model_arrays(kind) | replaced
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def clip_of(motion: Path, body: Path, **keys: Any) -> Clip:
    """A file's clip with a model."""
    found = read_motion(motion)
    return convert(found, read_body_model(body), "a", found.fps, AmassConfig(**keys), str(motion))


@given(st.integers(0, 2**31), st.floats(0.01, 2.0))
def test_joints_agree_with_the_slow_reference(seed: int, size: float) -> None:
    generator = np.random.default_rng(seed)
    rest, places = generator.normal(size=(22, 3)), generator.normal(size=(2, 3))
    turns = size * generator.normal(size=(2, 22, 3))
    found, _ = joints_in_motion(rest, turns, places)
    for row in range(2):
        np.testing.assert_allclose(found[row], slow_joints(rest, turns[row], places[row]), atol=1e-8)


@pytest.mark.parametrize("release", RELEASES)
def test_house_joints_of_both_releases(release: str, tmp_path: Path) -> None:
    """Regressed, shaped and moved one joint and frame at a time, from the arrays as they were written."""
    arrays, body = motion_arrays(release, frames=3), model_arrays(release)
    clip = clip_of(written(tmp_path, release), model(tmp_path, release))
    shaped = body["v_template"].copy()
    for component, beta in enumerate(arrays["betas"]):
        shaped += beta * body["shapedirs"][:, :, component]
    rest = np.array([sum(w * v for w, v in zip(row, shaped, strict=True)) for row in body["J_regressor"][:22]])
    assert clip.fps == 120.0 and len(clip.positions) == 3
    for row in range(3):
        turns = arrays["poses"][row].reshape(-1, 3)
        place = dict(zip(JOINTS, slow_joints(rest, turns, arrays["trans"][row]), strict=True))
        found = dict(zip(skeleton().joints, clip.positions[row], strict=True))
        for side in ("left", "right"):
            for ours, theirs in {"hip": "Hip", "knee": "Knee", "ankle": "Ankle", "elbow": "Elbow"}.items():
                np.testing.assert_allclose(found[f"{side}_{ours}"], place[f"{side[0].upper()}_{theirs}"], atol=1e-9)
        np.testing.assert_allclose(found["pelvis"], (place["L_Hip"] + place["R_Hip"]) / 2, atol=1e-9)
        np.testing.assert_allclose(found["thorax"], place["Neck"], atol=1e-9)
        assert found["head"][2] > found["pelvis"][2] > found["left_ankle"][2]


def test_models_are_found_by_gender(tmp_path: Path) -> None:
    body = model(tmp_path / "h", name="male/model.npz")
    model(tmp_path / "h", name="female/model.npz")
    assert model_file(tmp_path / "h", "male") == body
    upper = model(tmp_path / "x", "smplx", "SMPLX_MALE.npz")
    model(tmp_path / "x", "smplx", "SMPLX_FEMALE.npz")
    assert model_file(tmp_path / "x", "male") == upper and model_file(upper, "neutral") == upper
    with pytest.raises(DataError, match="no body models for 'neutral'"):
        model_file(tmp_path / "h", "neutral")
    with pytest.raises(DataError, match="no such body model"):
        model_file(tmp_path / "nowhere", "neutral")


@pytest.mark.parametrize(
    "value", ["male", b"male", "b'male'", np.array("male"), np.array(b"male"), np.array(["MALE"]), np.str_("male")]
)
def test_gender_is_text_or_bytes(value: object) -> None:
    assert gender_of(value, "a") == "male"


def test_the_card_corrects_rates(tmp_path: Path) -> None:
    entry = read_card("datasets", "amass")["corrections"][0]
    assert (entry["data_set"], entry["stamped_fps"], entry["fps"]) == ("BMLhandball", 120.0, 240.0)
    body = model(tmp_path / "body")
    for name in ("BMLhandball/S01/throw", "CMU/62/62_11", "SFU/1/a"):
        written(tmp_path / "amass", name=f"{name}_poses.npz")
    config = AmassConfig(str(tmp_path / "amass"), str(body), {"CMU/62/*": 60.0}, fps=60.0, validation=0.0, test=0.0)
    amass_motion(config).prepare(tmp_path / "out")
    found = json.loads((tmp_path / "out" / "prepared.json").read_text())["motions"]
    assert {name: facts["fps"] for name, facts in found.items()} == {
        "BMLhandball/S01/throw": 240.0,
        "CMU/62/62_11": 60.0,
        "SFU/1/a": 120.0,
    }
    assert found["BMLhandball/S01/throw"]["corrected"] == entry["reason"] and found["SFU/1/a"]["corrected"] is None
    assert corrected("S01/throw", Path("data/BMLhandball"), 120.0)[0] == 240.0
    assert corrected("BMLhandball/S01/throw", Path("amass"), 240.0) == (240.0, None)


def test_a_folder_is_prepared_and_shapes_are_skipped(tmp_path: Path) -> None:
    table = amass(tmp_path)
    keys = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    data = amass_motion(AmassConfig(**keys, fps=30.0))
    data.prepare(tmp_path / "out")
    families = {split: data.sequences(tmp_path / "out", split).families() for split in data.splits}
    assert families == {"train": ("CMU",), "validation": ("ACCAD",), "test": ("SFU",)}
    assert [len(m) for m in data.sequences(tmp_path / "out", "train").sequences()] == [6]


MOTION_BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no poses": ({"poses": None}, "'poses' is missing"),
    "no rate": ({"mocap_framerate": None}, "'mocap_framerate' is missing"),
    "no gender": ({"gender": None}, "'gender' is missing"),
    "width": ({"poses": np.zeros((3, 155))}, r"\(T, 156\)"),
    "one frame without an axis": ({"poses": np.zeros(156)}, "'poses' has a wrong shape"),
    "no frame": ({"poses": np.zeros((0, 156)), "trans": np.zeros((0, 3))}, "'poses' has a wrong shape"),
    "text": ({"poses": np.full((3, 156), "a")}, "'poses' has a wrong shape or type"),
    "lengths": ({"trans": np.zeros((4, 3))}, "as many frames as poses"),
    "betas": ({"betas": np.zeros((2, 8))}, "'betas' has a wrong shape"),
    "too many betas": ({"betas": np.zeros(20)}, "too few components"),
    "NaN": ({"poses": np.full((3, 156), np.nan)}, r"poses\[0, 0\]"),
    "infinite shape": ({"betas": np.full(16, np.inf)}, r"betas\[0\]"),
    "degrees": ({"poses": np.full((3, 156), 45.0)}, "radians, not degrees"),
    "millimetres": ({"trans": np.full((3, 3), 900.0)}, "metres, not millimetres"),
    "rate": ({"mocap_framerate": np.array(0.0)}, "impossible frame rate"),
    "rates": ({"mocap_framerate": np.array([1.0, 2.0])}, "one number"),
    "gender": ({"gender": np.array("nale")}, "unknown gender"),
    "objects": ({"poses": np.array([{}, {}, {}], dtype=object)}, "objects is refused"),
    "SMPL-X in the guise of SMPL-H": ({"poses": np.zeros((3, 165))}, "another family"),
    "giant": ({"betas": np.full(16, 1e4)}, "no person's size"),
}

MODEL_BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no regressor": ({"J_regressor": None}, "'J_regressor' is missing"),
    "regressor": ({"J_regressor": np.zeros((17, 104))}, "'J_regressor' has a wrong shape"),
    "sparse": ({"J_regressor": np.array({"data": 1}, dtype=object)}, "objects is refused"),
    "vertices": ({"v_template": np.zeros((7, 3))}, r"\(104, 3\)"),
    "shapes": ({"shapedirs": np.zeros((104, 3))}, r"\(104, 3, components\)"),
    "tree type": ({"kintree_table": np.zeros((2, 52))}, "integers"),
    "tree": ({"kintree_table": np.zeros((2, 52), dtype=np.uint32)}, "another tree"),
    "NaN": ({"v_template": np.full((104, 3), np.nan)}, "not finite"),
    "millimetres": ({"v_template": 1000 * model_arrays()["v_template"]}, "looks like a millimetre"),
    "no body": ({"v_template": np.zeros((104, 3))}, "no person's size"),
}


@pytest.mark.parametrize("case", [*(f"motion {c}" for c in MOTION_BROKEN), *(f"model {c}" for c in MODEL_BROKEN)])
def test_broken_files_are_named(case: str, tmp_path: Path) -> None:
    kind, _, name = case.partition(" ")
    replaced, message = (MOTION_BROKEN if kind == "motion" else MODEL_BROKEN)[name]
    written(tmp_path / "amass", **(replaced if kind == "motion" else {}))
    body = model(tmp_path / "body", **(replaced if kind == "model" else {}))
    config = AmassConfig(str(tmp_path / "amass"), str(body), validation=0.0, test=0.0)
    with pytest.raises(DataError, match=message) as caught:
        amass_motion(config).prepare(tmp_path / "out")
    assert ("a_poses.npz" if kind == "motion" else "model.npz") in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_without_a_model_it_says_what_to_get(tmp_path: Path) -> None:
    written(tmp_path / "amass")
    with pytest.raises(DataError, match=r"(?s)mano\.is\.tue\.mpg\.de.*body_model = "):
        amass_motion(AmassConfig(str(tmp_path / "amass"))).prepare(tmp_path / "out")


def test_pickles_run_nothing(tmp_path: Path) -> None:
    """A model as a pickle is refused by its name; a pickle inside a motion file by what it names."""

    class Evil:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "SMPLH_male.pkl").write_bytes(pickle.dumps(Evil()))
    path = written(tmp_path / "amass", gender=np.array(Evil(), dtype=object))
    with pytest.raises(DataError, match="refused"):
        read_motion(path)
    written(tmp_path / "amass")
    config = AmassConfig(str(tmp_path / "amass"), str(tmp_path / "SMPLH_male.pkl"))
    with pytest.raises(DataError, match="pickled body model is refused"):
        amass_motion(config).prepare(tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_wrong_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "bvh").mkdir()
    (tmp_path / "bvh" / "a.bvh").write_text("HIERARCHY")
    np.savez(tmp_path / "shape.npz", betas=np.zeros(16))
    (tmp_path / "shapes").mkdir()
    (tmp_path / "shape.npz").rename(tmp_path / "shapes" / "shape.npz")
    with zipfile.ZipFile(tmp_path / "CMU.zip", "w") as archive:
        archive.writestr("CMU/01/01_01_poses.npz", b"")
    for path, message in (
        ("", "no input path"),
        ("bvhh", "did you mean 'bvh'"),
        ("bvh", 'looks like BVH motion capture; use = "bvh"'),
        ("shapes", "shape.npz"),
        ("CMU.zip", "unpack it first"),
    ):
        with pytest.raises(DataError, match=message):
            amass_motion(AmassConfig(str(tmp_path / path) if path else "", "m.npz")).prepare(tmp_path / "out")


SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 16, 22, 52, 104, 156, 165]), max_size=3).map(tuple)
FILLS = st.sampled_from([0.0, 1.0, -1.0, 1e9, 1e300, np.nan, np.inf])
KINDS = st.sampled_from(["f8", "f4", "f2", "i8", "u1", "?", "c16", "U3", "S3", "M8[s]", "O"])
EDITS = st.tuples(st.integers(0, 10**9), st.integers(0, 2), st.integers(0, 255))


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray | None:
    """Any array, or none."""
    if draw(st.integers(0, 5)) == 0:
        return None
    shape, kind, fill = draw(SHAPES), np.dtype(draw(KINDS)), draw(FILLS)
    if kind.kind in "iuM":
        return np.full(shape, 1).astype(kind)
    with np.errstate(over="ignore"):
        return np.full(shape, str(fill) if kind.kind in "US" else fill).astype(kind)


@settings(max_examples=220)
@given(st.booleans(), st.data())
def test_mutated_files_raise_data_errors_only(
    tmp_path_factory: pytest.TempPathFactory, spoil_model: bool, data: st.DataObject
) -> None:
    """Arrays exchanged for any others, then perhaps bytes changed."""
    folder = tmp_path_factory.getbasetemp() / "mutated-amass"
    release = data.draw(st.sampled_from(sorted(RELEASES)))
    keys = sorted(model_arrays(release) if spoil_model else motion_arrays(release))
    replaced = data.draw(st.dictionaries(st.sampled_from(keys), arrays(), max_size=2))
    motion = written(folder, release, **({} if spoil_model else replaced))
    body = model(folder, release, **(replaced if spoil_model else {}))
    spoilt = body if spoil_model else motion
    content = bytearray(spoilt.read_bytes())
    for place, kind, value in data.draw(st.lists(EDITS, max_size=3)):
        index = place % len(content)
        content[index : index + (0 if kind == 2 else 1 + value * (kind == 1))] = b"" if kind == 1 else bytes([value])
    spoilt.write_bytes(bytes(content))
    try:
        clip = clip_of(motion, body)
    except DataError as error:
        assert "mutated-amass" in str(error)
    else:
        assert np.isfinite(clip.positions).all()


def test_stride_thins_before_anything_else(tmp_path: Path) -> None:
    motion, body = written(tmp_path), model(tmp_path)
    whole, thinned = clip_of(motion, body), clip_of(motion, body, stride=2)
    assert (thinned.fps, whole.fps) == (60.0, 120.0)
    np.testing.assert_array_equal(thinned.positions, whole.positions[::2])
