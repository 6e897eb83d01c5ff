"""BVH: the format, kinematics against a slow reference, rigs, units, the recorded clips in both forms, bad files."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sa3dhp_core.bvh import CHANNELS, Bvh, BvhJoint, format_bvh, write_bvh
from sa3dhp_core.bvh_of_poses import bvh_of_poses
from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_core.geometry import forward_kinematics, standard_lengths
from sa3dhp_datasets.bvh import bvh_motion, convert
from sa3dhp_datasets.bvh_file import parse_bvh, read_bvh
from sa3dhp_datasets.config import BvhConfig
from sa3dhp_datasets.joint_names import table
from sa3dhp_datasets.mocap_npz import read_clips
from sa3dhp_datasets.rigs import UNITS_M, kinematics

WHERE = "test.bvh"


@st.composite
def rigs(draw: st.DrawFn) -> Bvh:
    """Random trees with any channels in any order, and values for them."""
    numbers = st.floats(-200, 200, allow_nan=False)
    joints: list[BvhJoint] = []
    path: list[int] = []
    for index in range(draw(st.integers(1, 6))):
        path = path[: draw(st.integers(1, len(path)))] if path else path
        channels = draw(st.permutations(CHANNELS))[: draw(st.integers(1 if not path else 0, 6))]
        offset = draw(st.tuples(numbers, numbers, numbers))
        joints.append(BvhJoint(f"joint{index}", path[-1] if path else -1, offset, tuple(channels)))
        path = [*path, index]
    if draw(st.booleans()):
        joints.append(BvhJoint(f"{joints[-1].name}.end", len(joints) - 1, (1.0, 2.0, 3.0), ()))
    width = sum(len(joint.channels) for joint in joints)
    rows = draw(st.integers(1, 3))
    values = draw(st.lists(st.lists(numbers, min_size=width, max_size=width), min_size=rows, max_size=rows))
    return Bvh(tuple(joints), draw(st.sampled_from([1 / 30, 1 / 120, 0.0333333])), np.array(values))


def slow_positions(bvh: Bvh, row: int) -> np.ndarray:
    """4 x 4 matrices, one frame, one joint at a time; rotations by scipy."""
    world: list[np.ndarray] = []
    column = 0
    for joint in bvh.joints:
        local = np.eye(4)
        local[:3, 3] = joint.offset
        turn = Rotation.identity()
        for channel in joint.channels:
            value = bvh.values[row, column]
            column += 1
            if channel[1:] == "position":
                local[{"X": 0, "Y": 1, "Z": 2}[channel[0]], 3] = value
            else:
                turn = turn * Rotation.from_euler(channel[0].lower(), value, degrees=True)
        local[:3, :3] = turn.as_matrix()
        world.append(local if joint.parent < 0 else world[joint.parent] @ local)
    return np.stack([matrix[:3, 3] for matrix in world])


@given(rigs())
def test_what_is_written_is_read_back(bvh: Bvh) -> None:
    again = parse_bvh(format_bvh(bvh), WHERE)
    assert again.joints == bvh.joints
    assert again.frame_time_s == bvh.frame_time_s
    np.testing.assert_array_equal(again.values, bvh.values)


@given(rigs())
def test_kinematics_agree_with_the_slow_reference(bvh: Bvh) -> None:
    positions, rotations = kinematics(bvh)
    for row in range(len(bvh.values)):
        np.testing.assert_allclose(positions[row], slow_positions(bvh, row), atol=1e-9)
    np.testing.assert_allclose(
        rotations @ rotations.swapaxes(-1, -2), np.broadcast_to(np.eye(3), rotations.shape), atol=1e-9
    )


def test_recorded_clips_agree_with_their_converted_form(mocap: Path) -> None:
    """Set 1 exists as BVH and as npz rounded to 2^-14 m; 0.1 mm is the limit, 0.031 mm the rounding alone."""
    converted = {clip.name: clip for clip in read_clips(mocap / "bandai_namco_1.npz", {})}
    files = sorted((mocap / "bvh").glob("*.bvh"))
    assert len(files) == 8
    for path in files:
        clip = convert(read_bvh(path), path.stem, BvhConfig(), str(path)).clip
        assert clip.fps == converted[path.stem].fps == 30.0
        assert np.abs(clip.positions - converted[path.stem].positions).max() < 1e-4


@pytest.mark.parametrize("unit", UNITS_M.values(), ids=UNITS_M)
def test_unit_is_guessed(person: Callable[..., Bvh], unit: float) -> None:
    reference = convert(person(unit_m=1.0), "a", BvhConfig(unit_m=1.0), WHERE)
    found = convert(person(unit_m=unit), "a", BvhConfig(), WHERE)
    assert found.unit_m == pytest.approx(unit)
    np.testing.assert_allclose(found.clip.positions, reference.clip.positions, atol=1e-9)


def test_person_is_upright_and_right_handed(person: Callable[..., Bvh]) -> None:
    bvh = person(prefix="mixamorig:")
    still = attrs.evolve(bvh, values=np.where(np.arange(bvh.values.shape[1]) < 3, bvh.values, 0.0))
    converted = convert(still, "a", BvhConfig(), WHERE)
    place = {joint: converted.clip.positions[0, i] for i, joint in enumerate(skeleton().joints)}
    assert converted.rig == "cmu"
    np.testing.assert_allclose(place["head"] - place["neck"], [0, 0, 0.15], atol=1e-9)
    np.testing.assert_allclose(place["left_hip"] - place["right_hip"], [0.2, 0, 0], atol=1e-9)
    np.testing.assert_allclose(place["pelvis"], [0.3, 0.2, 0.9], atol=1e-9)
    turned = convert(still, "a", BvhConfig(up="z"), WHERE).clip.positions[0]
    np.testing.assert_allclose(
        turned[skeleton().index("head")][1] - turned[skeleton().index("neck")][1], 0.15, atol=1e-9
    )


def test_every_rig_covers_the_house_skeleton() -> None:
    for name, rig in table("rigs.toml").items():
        assert set(rig["joints"]) == set(skeleton().joints), name
    assert set(table("npz_joints.toml")) == set(skeleton().joints)


def test_joints_can_be_named_in_the_recipe(person: Callable[..., Bvh]) -> None:
    bvh = person()
    renamed = attrs.evolve(
        bvh, joints=tuple(attrs.evolve(j, name="Elbow") if j.name == "LeftForeArm" else j for j in bvh.joints)
    )
    with pytest.raises(DataError, match=r"left_elbow.*\n(.*\n)*.*LeftForeArm"):
        convert(renamed, "a", BvhConfig(), WHERE)
    named = convert(renamed, "a", BvhConfig(joints={"left_elbow": ("Elbow",)}), WHERE)
    np.testing.assert_array_equal(named.clip.positions, convert(bvh, "a", BvhConfig(), WHERE).clip.positions)
    with pytest.raises(RecipeError, match="did you mean 'left_elbow'"):
        convert(bvh, "a", BvhConfig(joints={"left_elbo": ("Elbow",)}), WHERE)
    with pytest.raises(RecipeError, match="did you mean 'cmu'"):
        convert(bvh, "a", BvhConfig(rig="cmuu"), WHERE)


def test_folder_is_prepared_once_and_reported(tmp_path: Path, person_text: Callable[..., str]) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for index in range(6):
        (source / f"set_walk_{index:03d}.bvh").write_text(person_text(frames=31 + index, fps=30.0))
    data = bvh_motion(BvhConfig(path=str(source), fps=10.0))
    data.prepare(out)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    data.prepare(out)
    assert before == {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    report = json.loads((out / "prepared.json").read_text())
    assert {facts["unit_m"] for facts in report["files"].values()} == {0.01}
    total = 0
    for split in data.splits:
        sequences = data.sequences(out, split)
        assert sequences.fps == 10.0 and set(sequences.families()) == {"walk"}
        for motion in sequences.sequences():
            assert motion.shape[1:] == (17, 3) and motion[:, 0].abs().max() == 0
            assert len(motion) in (11, 12)
            total += 1
    assert total == 6


BROKEN = {
    "empty": (lambda text: " \n", "empty"),
    "header cut": (lambda text: text[: text.index("LeftLeg")], "truncated"),
    "no hierarchy": (lambda text: text.replace("HIERARCHY", "HIERARCHIE"), "HIERARCHY"),
    "row lost": (lambda text: text[: text.rindex("\n", 0, -1)], "motion is truncated"),
    "row cut": (lambda text: text[: text.rindex(" ")], "too few values"),
    "row long": (lambda text: text[:-1] + " 1.0\n", "too many values"),
    "word": (lambda text: text[:-1].rpartition(" ")[0] + " abc\n", "not a number"),
    "NaN": (lambda text: text[:-1].rpartition(" ")[0] + " nan\n", "not finite"),
    "channel": (lambda text: text.replace("Zrotation", "Zrotatoin", 1), "did you mean 'Zrotation'"),
    "channel twice": (lambda text: text.replace("Zrotation", "Xrotation", 1), "named twice"),
    "channel count": (lambda text: text.replace("CHANNELS 3", "CHANNELS 2", 1), "not BVH"),
    "channels": (lambda text: text.replace("CHANNELS 3", "CHANNELS 7", 1), "at most 6"),
    "offset": (lambda text: text.replace("OFFSET 0.0", "OFFSET inf", 1), "finite"),
    "frame time": (lambda text: text.replace("Frame Time: 0", "Frame Time: -0"), "impossible frame time"),
    "joint": (lambda text: text.replace("LeftFoot", "LeftShoe"), r"left_ankle(.*\n)*.*did you mean"),
    "twice": (lambda text: text.replace("LeftFoot", "LeftLeg"), "left_ankle"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_named(case: str, tmp_path: Path, person_text: Callable[..., str]) -> None:
    spoil, message = BROKEN[case]
    path = tmp_path / "a.bvh"
    path.write_text(spoil(person_text()))
    with pytest.raises(DataError, match=message) as caught:
        bvh_motion(BvhConfig(path=str(path), validation=0.0, test=0.0)).prepare(tmp_path / "out")
    assert str(path) in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_two_joints_of_one_name_are_refused_where_they_matter(person_text: Callable[..., str]) -> None:
    text = person_text().replace("JOINT Spine1", "JOINT Head", 1)
    with pytest.raises(DataError, match="spine"):
        convert(parse_bvh(text, WHERE), "a", BvhConfig(), WHERE)
    with pytest.raises(DataError, match="several joints are named 'Head'"):
        convert(parse_bvh(text, WHERE), "a", BvhConfig(joints={"spine": ("Spine",)}), WHERE)


def test_folders_that_hold_something_else_are_named(tmp_path: Path, person_text: Callable[..., str]) -> None:
    (tmp_path / "deep" / "walks").mkdir(parents=True)
    (tmp_path / "deep" / "walks" / "a.bvh").write_text(person_text())
    (tmp_path / "07").mkdir()
    (tmp_path / "07" / "07_01.amc").write_text(":DEGREES")
    with zipfile.ZipFile(tmp_path / "walks.zip", "w") as archive:
        archive.writestr("a.bvh", person_text())
    for name, message in (
        ("deep", "they lie deeper: path = '.*walks'"),
        ("07", 'looks like CMU.*; use = "cmu-asf-amc"'),
        ("walks.zip", "unpack it first"),
    ):
        with pytest.raises(DataError, match=message):
            bvh_motion(BvhConfig(path=str(tmp_path / name))).prepare(tmp_path / "out")


def test_unlikely_unit_is_refused(person: Callable[..., Bvh]) -> None:
    with pytest.raises(DataError, match="unit_m = "):
        convert(person(unit_m=123.0), "a", BvhConfig(), WHERE)


@settings(max_examples=220)
@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 2), st.integers(0, 255)), min_size=1, max_size=6))
def test_mutated_bytes_raise_data_errors_only(
    tmp_path_factory: pytest.TempPathFactory, person_text: Callable[..., str], edits: list[tuple[int, int, int]]
) -> None:
    content = bytearray(person_text(frames=2).encode())
    for place, kind, value in edits:
        index = place % len(content)
        if kind == 0:
            content[index] = value
        elif kind == 1:
            del content[index : index + 1 + value]
        else:
            content[index:index] = bytes([value])
    path = tmp_path_factory.getbasetemp() / "mutated.bvh"
    path.write_bytes(bytes(content))
    try:
        clip = convert(read_bvh(path), "a", BvhConfig(), str(path)).clip
    except DataError as error:
        assert "mutated.bvh" in str(error)
    else:
        assert np.isfinite(clip.positions).all()


@pytest.mark.parametrize("rig", table("rigs.toml"))
def test_every_rig_is_found_by_its_names(rig: str, person: Callable[..., Bvh]) -> None:
    """A body whose joints bear the rig's names, in one chain from the hips, is mapped joint by joint."""
    entries = table("rigs.toml")[rig]["joints"]
    names = list(dict.fromkeys(name for entry in entries.values() for name in entry["of"]))
    rest = np.random.default_rng(0).normal(size=(len(names), 3)) * 30
    channels = ("Xposition", "Yposition", "Zposition")
    joints = [
        BvhJoint("Reference", -1, (0.0, 0.0, 0.0), ()),
        *(BvhJoint(n, 0, (0.0, 0.0, 0.0), channels) for n in names),
    ]
    bvh = Bvh(tuple(joints), 1 / 30, rest.reshape(1, -1))
    found = convert(parse_bvh(format_bvh(bvh), WHERE), "a", BvhConfig(unit_m=0.01, up="z"), WHERE)
    assert found.rig == rig
    for index, joint in enumerate(skeleton().joints):
        entry = entries[joint]
        expected = np.mean([rest[names.index(name)] for name in entry["of"]], axis=0) * 0.01
        extended = entry.get("distance_m", 0.0) or float(np.linalg.norm(entry.get("local_offset_m", 0.0)))
        assert np.linalg.norm(found.clip.positions[0, index] - expected) == pytest.approx(extended, abs=1e-9)


@given(st.integers(0, 2**31), st.integers(1, 5), st.sampled_from([1.0, 0.01]), st.sampled_from([25.0, 29.97, 30.0]))
def test_poses_that_are_written_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, seed: int, frames: int, unit_m: float, fps: float
) -> None:
    """The core's writer and this reader: the same joints in the world, whatever the unit."""
    house, generator = skeleton(), torch.Generator().manual_seed(seed)
    directions = torch.nn.functional.normalize(torch.randn(frames, len(house), 3, generator=generator), dim=-1)
    poses = forward_kinematics(directions, standard_lengths(house), house) + torch.randn(
        frames, 1, 3, generator=generator
    )
    path = tmp_path_factory.getbasetemp() / "written.bvh"
    write_bvh(path, bvh_of_poses(poses, house, fps, frame="world", unit_m=unit_m))
    found = convert(read_bvh(path), "written", BvhConfig(), str(path))
    assert (found.rig, found.unit_m, found.clip.fps) == ("house", unit_m, pytest.approx(fps, rel=5e-4))
    np.testing.assert_allclose(found.clip.positions, poses.numpy(), atol=1e-4)
