"""ASF and AMC: the formats, kinematics against a slow reference and by hand, layout, units, rates, bad files."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.acclaim_example import BONES, TRIALS, amc_text, asf_text, write_subjects
from sa3dhp_datasets.amc_file import parse_amc, read_amc
from sa3dhp_datasets.asf_amc import asf_amc_motion, asf_kinematics, convert
from sa3dhp_datasets.asf_file import ORDERS, Asf, AsfBone, parse_asf, read_asf
from sa3dhp_datasets.config import AsfAmcConfig
from sa3dhp_datasets.joint_names import table

WHERE = "test.asf"
ANGLES = st.floats(-360, 360, allow_nan=False)


@st.composite
def skeletons(draw: st.DrawFn) -> tuple[Asf, np.ndarray]:
    """Random trees with any axes, orders and degrees of freedom, and two frames of values."""
    free = st.lists(st.sampled_from(("rx", "ry", "rz")), unique=True)
    root = tuple(draw(st.permutations(("tx", "ty", "tz", "rx", "ry", "rz"))))
    place = st.tuples(*[st.floats(-5, 5)] * 3)
    bones = [AsfBone("root", -1, draw(place), draw(place), draw(st.sampled_from(ORDERS)), root)]
    for index in range(draw(st.integers(1, 5))):
        parent, axes = draw(st.integers(0, len(bones) - 1)), draw(st.tuples(ANGLES, ANGLES, ANGLES))
        order, channels = draw(st.sampled_from(ORDERS)), tuple(draw(free))
        bones.append(AsfBone(f"bone{index}", parent, draw(place), axes, order, channels))
    width = sum(len(bone.channels) for bone in bones)
    row = st.lists(ANGLES, min_size=width, max_size=width)
    return Asf(tuple(bones), 0.0564, True), np.array([draw(row), draw(row)])


def slow_end(asf: Asf, row: np.ndarray, index: int) -> tuple[np.ndarray, Rotation]:
    """One bone of one frame, its parents by recursion; rotations by scipy (lower case: fixed axes)."""
    bone = asf.bones[index]
    first = sum(len(other.channels) for other in asf.bones[:index])
    value = dict(zip(bone.channels, row[first : first + len(bone.channels)], strict=True))
    order = bone.order.lower()
    own = Rotation.from_euler(order, [value.get(f"r{axis}", 0.0) for axis in order], degrees=True)
    axes = Rotation.from_euler(order, [bone.axes_deg["xyz".index(axis)] for axis in order], degrees=True)
    local = axes * own * axes.inv()
    if bone.parent < 0:
        return np.array(bone.offset) + [value["tx"], value["ty"], value["tz"]], local
    start, turn = slow_end(asf, row, bone.parent)
    return start + (turn * local).apply(bone.offset), turn * local


def written(asf: Asf) -> str:
    """A skeleton's text, spelt another way than the example's: other spacing, reordered keys, one pair a line."""
    root = asf.bones[0]
    lines = [":units", "length .45", "angle DEG", ":root", f"axis {root.order}", f"order {' '.join(root.channels)}"]
    lines += [f"position {' '.join(map(repr, root.offset))}", f"orientation {' '.join(map(repr, root.axes_deg))}"]
    lines += [":bonedata"]
    for bone in asf.bones[1:]:
        length = float(np.linalg.norm(bone.offset))
        direction = [float(x) / (length or 1.0) for x in bone.offset]
        lines += ["begin", f"name\t{bone.name}", f"dof {' '.join(bone.channels)}".upper().replace("DOF", "dof")]
        lines += [f"axis {' '.join(map(repr, bone.axes_deg))} {bone.order}", f"length {length!r}"]
        lines += [f"direction {' '.join(map(repr, direction))}", "end"]
    pairs = [f"{asf.bones[bone.parent].name} {bone.name}" for bone in asf.bones[1:]]
    return "\n".join([*lines, ":hierarchy", "begin", *pairs, "end", ""])


@given(skeletons())
def test_kinematics_agree_with_the_slow_reference(drawn: tuple[Asf, np.ndarray]) -> None:
    asf, values = drawn
    ends, turns = asf_kinematics(asf, values)
    for row in range(len(values)):
        for index in range(len(asf.bones)):
            end, turn = slow_end(asf, values[row], index)
            np.testing.assert_allclose(ends[row, index], end, atol=1e-9)
            np.testing.assert_allclose(turns[row, index], turn.as_matrix(), atol=1e-9)


@given(skeletons())
def test_what_is_written_is_read_back(drawn: tuple[Asf, np.ndarray]) -> None:
    asf, values = drawn
    again = parse_asf(written(asf), WHERE)
    assert again.unit_m == pytest.approx(2.54 / 100 / 0.45) and again.degrees
    by_name = {bone.name: bone for bone in again.bones}
    for bone in asf.bones[1:]:
        found = by_name[bone.name]
        assert (found.axes_deg, found.order, found.channels) == (bone.axes_deg, bone.order, bone.channels)
        assert again.bones[found.parent].name == asf.bones[bone.parent].name
        np.testing.assert_allclose(found.offset, bone.offset, atol=1e-12)
    lines = []
    for frame, row in enumerate(values, 7):
        columns = iter(row.tolist())
        lines.append(str(frame))
        lines += [f"{b.name} {' '.join(repr(next(columns)) for _ in b.channels)}" for b in asf.bones if b.channels]
    read = parse_amc("\n".join(lines), again, WHERE)
    ours, theirs = asf_kinematics(again, read)[0], asf_kinematics(asf, values)[0]
    for index, bone in enumerate(asf.bones):
        np.testing.assert_allclose(ours[:, again.index(bone.name)], theirs[:, index], atol=1e-9)


def test_one_bone_by_hand() -> None:
    """A bone of length 2 along -y, turned by 90 degrees about x, ends at (0, 0, -2)."""
    asf = Asf(
        (
            AsfBone("root", -1, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), "XYZ", ("tx", "ty", "tz", "rx", "ry", "rz")),
            AsfBone("shin", 0, (0.0, -2.0, 0.0), (0.0, 0.0, 0.0), "XYZ", ("rx",)),
        ),
        1.0,
        True,
    )
    ends, _ = asf_kinematics(asf, np.array([[0, 0, 0, 0, 0, 0, 90.0]]))
    np.testing.assert_allclose(ends[0, 1], [0, 0, -2], atol=1e-12)


def test_radians_are_degrees_in_another_unit() -> None:
    asf = parse_asf(asf_text(), WHERE)
    degrees = parse_amc(amc_text(2), asf, WHERE)
    angle = np.array([channel[0] == "r" for bone in asf.bones for channel in bone.channels])
    rows = np.where(angle, np.deg2rad(degrees), degrees)
    lines = [":FULLY-SPECIFIED", ":RADIANS"]
    for frame, row in enumerate(rows, 1):
        columns = iter(row.tolist())
        lines.append(str(frame))
        lines += [f"{b.name} {' '.join(repr(next(columns)) for _ in b.channels)}" for b in asf.bones if b.channels]
    np.testing.assert_allclose(parse_amc("\n".join(lines), asf, WHERE), degrees, atol=1e-9)


def test_person_is_upright_right_handed_and_in_metres() -> None:
    asf = parse_asf(asf_text(), WHERE)
    still = parse_amc(amc_text(1), asf, WHERE) * 0.0
    place = dict(zip(skeleton().joints, convert(asf, still, "07_01", AsfAmcConfig(), WHERE).positions[0], strict=True))
    unit = 1 / 0.45 * 2.54 / 100
    lengths = {name: length for name, _, _, length, _, _ in BONES}
    np.testing.assert_allclose(place["head"] - place["neck"], [0, 0, 1.73 * unit], atol=1e-9)
    assert np.linalg.norm(place["left_knee"] - place["left_hip"]) == pytest.approx(lengths["lfemur"] * unit, rel=1e-4)
    assert place["left_hip"][0] > place["right_hip"][0] and place["left_wrist"][0] > place["left_elbow"][0]
    np.testing.assert_allclose(place["thorax"], [0, 0, (2.03 + 2.05 + 2.06) * unit], atol=1e-9)


def test_every_house_joint_has_a_source() -> None:
    for entry in table("asf_joints.toml").values():
        assert set(entry["joints"]) == set(skeleton().joints)


def test_subjects_are_prepared_and_reported(tmp_path: Path) -> None:
    write_subjects(tmp_path / "in")
    shutil.copytree(tmp_path / "in", tmp_path / "deep" / "all_asfamc" / "subjects")
    config = AsfAmcConfig(fps=30.0, validation=0.0, test_contents=("08",), rates={"08_*": 60.0})
    for source in ("in", "deep"):
        data, out = asf_amc_motion(attrs.evolve(config, path=str(tmp_path / source))), tmp_path / f"out-{source}"
        data.prepare(out)
        assert {split: data.sequences(out, split).families() for split in data.splits} == {
            "train": ("07", "07"),
            "test": ("08",),
        }
        report = json.loads((out / "prepared.json").read_text())
        assert {name: facts["fps"] for name, facts in report["trials"].items()} == {
            "07_01": 120.0,
            "07_02": 120.0,
            "08_01": 60.0,
        }
        lengths = {len(motion) for split in data.splits for motion in data.sequences(out, split).sequences()}
        assert lengths == {6, 12}


ASF_BROKEN: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda text: "\n", "missing or empty"),
    "cut in the bones": (lambda text: text[: text.index("name ltibia")], ":hierarchy is missing"),
    "cut in the hierarchy": (lambda text: text[: text.index("ltibia lfoot")], "without a way to the root"),
    "another file": (lambda text: "HIERARCHY\n" + text, "not an ASF file"),
    "section": (lambda text: text.replace(":bonedata", ":bonedate"), "did you mean ':bonedata'"),
    "section twice": (lambda text: text + ":root\n", "stands twice"),
    "word": (lambda text: text.replace("7.11702", "7,11702"), "line 29: not a number"),
    "NaN": (lambda text: text.replace("7.48094", "nan"), "not a finite number"),
    "unit": (lambda text: text.replace("angle deg", "angle grad"), "deg or rad"),
    "zero unit": (lambda text: text.replace("length 0.45", "length 0"), "impossible unit"),
    "order": (lambda text: text.replace("axis XYZ", "axis XXZ"), "unknown order"),
    "root": (lambda text: text.replace("order TX TY TZ RX RY RZ", "order TX TY TZ RX RY"), "lacks channels"),
    "dof": (lambda text: text.replace("dof rx ry rz", "dof rx ry rzz", 1), "did you mean 'rz'"),
    "dof length": (lambda text: text.replace("dof rx ry rz", "dof rx ry l", 1), "not read"),
    "dof twice": (lambda text: text.replace("dof rx ry rz", "dof rx rx rz", 1), "named twice"),
    "direction": (lambda text: text.replace("direction 0.34202", "direction 3.4202", 1), "impossible bone 'lfemur'"),
    "short": (
        lambda text: text.replace("direction 0.34202 -0.939693 0", "direction 0.34202 -0.939693", 1),
        "too short",
    ),
    "end": (lambda text: text.replace("  end\n", "", 1), "begins inside another"),
    "key": (lambda text: text.replace("     length 7.11702", "     lenght 7.11702"), "'length' is missing"),
    "name twice": (lambda text: text.replace("name rfemur", "name lfemur"), "one name"),
    "unknown child": (lambda text: text.replace("lfemur ltibia", "lfemur ltibai"), "did you mean 'ltibia'"),
    "two parents": (lambda text: text.replace("lfemur ltibia", "lfemur ltibia lfoot"), "two parents"),
    "ring": (
        lambda text: text.replace("root lhipjoint", "root").replace("ltibia lfoot", "ltibia lfoot lhipjoint"),
        "way",
    ),
    "joint": (lambda text: text.replace("lhipjoint", "lhip"), r"left_hip(.*\n)*.*lhipjoint.end"),
    "metres for inches": (lambda text: text.replace("length 0.45", "length 0.0254"), "unit_m = 0.0564"),
    "millimetres": (lambda text: text.replace("length 0.45", "length 25.4"), "no person's size"),
}

AMC_BROKEN: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda text: "\n", "no frame"),
    "last frame cut": (lambda text: text[: text.rindex("lclavicle")], "lclavicle"),
    "row cut": (lambda text: text[: text.rindex(" ")] + "\n", "too few values"),
    "row long": (lambda text: text[:-1] + " 1.0\n", "too many values"),
    "word": (lambda text: text[:-1].rpartition(" ")[0] + " abc\n", "not a number"),
    "NaN": (lambda text: text[:-1].rpartition(" ")[0] + " nan\n", "not a finite number"),
    "huge": (lambda text: text.replace("root 9.37216", "root 1e308"), "not a finite number"),
    "frame lost": (lambda text: text.replace("\n12\n", "\n13\n"), "frame 12"),
    "bone": (lambda text: text.replace("lfemur", "lfemru", 1), "did you mean 'lfemur'"),
    "bone twice": (lambda text: text.replace("rfemur", "lfemur", 1), "stands twice"),
    "bone lost": (lambda text: text.replace("rhand", "# rhand", 1), "rhand"),
    "no frame number": (lambda text: text.replace("\n1\n", "\n", 1), "before the first bone"),
}


@pytest.mark.parametrize("case", [*(f"asf {case}" for case in ASF_BROKEN), *(f"amc {case}" for case in AMC_BROKEN)])
def test_broken_files_are_named(case: str, tmp_path: Path) -> None:
    kind, _, name = case.partition(" ")
    spoil, message = (ASF_BROKEN if kind == "asf" else AMC_BROKEN)[name]
    (tmp_path / "07").mkdir()
    asf, amc = asf_text(), amc_text()
    (tmp_path / "07" / "07.asf").write_text(spoil(asf) if kind == "asf" else asf)
    (tmp_path / "07" / "07_01.amc").write_text(spoil(amc) if kind == "amc" else amc)
    with pytest.raises(DataError, match=message) as caught:
        asf_amc_motion(AsfAmcConfig(path=str(tmp_path), validation=0.0, test=0.0)).prepare(tmp_path / "out")
    assert str(tmp_path / "07") in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_wrong_folders_are_named(tmp_path: Path) -> None:
    write_subjects(tmp_path / "cmu")
    (tmp_path / "07").mkdir()
    (tmp_path / "07" / "07_01.amc").write_text(amc_text(2))
    (tmp_path / "amass" / "CMU" / "01").mkdir(parents=True)
    np.savez(tmp_path / "amass" / "CMU" / "01" / "01_01_poses.npz", poses=np.zeros((2, 156)))
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "allasfamc.zip", "w") as archive:
        archive.writestr("all_asfamc/subjects/07/07.asf", asf_text())
    (tmp_path / "packed").mkdir()
    shutil.copy(tmp_path / "allasfamc.zip", tmp_path / "packed")
    (tmp_path / "a.txt").write_text("x")
    for path, message in (
        ("", "no input path"),
        (str(tmp_path / "cmuu"), "did you mean 'cmu'"),
        (str(tmp_path / "07"), "without its skeleton"),
        (str(tmp_path / "amass"), 'looks like AMASS; use = "amass"'),
        (str(tmp_path / "empty"), "an empty folder"),
        (str(tmp_path / "allasfamc.zip"), "unpack it first"),
        (str(tmp_path / "packed"), "unpack allasfamc.zip"),
        (str(tmp_path / "a.txt"), "a file where a folder is due"),
    ):
        with pytest.raises(DataError, match=message):
            asf_amc_motion(AsfAmcConfig(path=path)).prepare(tmp_path / "out")


def test_binary_files_are_refused(tmp_path: Path) -> None:
    write_subjects(tmp_path)
    (tmp_path / "08" / f"{TRIALS[2]}.amc").write_bytes(b"\xff\xfe\x00not text")
    with pytest.raises(DataError, match="not a text file"):
        asf_amc_motion(AsfAmcConfig(path=str(tmp_path))).prepare(tmp_path / "out")


EDITS = st.tuples(st.integers(0, 10**9), st.integers(0, 3), st.integers(0, 255))


@settings(max_examples=220)
@given(st.booleans(), st.lists(EDITS, min_size=1, max_size=6))
def test_mutated_bytes_raise_data_errors_only(
    tmp_path_factory: pytest.TempPathFactory, skeleton_file: bool, edits: list[tuple[int, int, int]]
) -> None:
    contents = {"07.asf": bytearray(asf_text().encode()), "07_01.amc": bytearray(amc_text(2).encode())}
    content = contents["07.asf" if skeleton_file else "07_01.amc"]
    for place, kind, value in edits:
        index = place % max(len(content), 1)
        if kind == 0:
            content[index : index + 1] = bytes([value])
        elif kind == 1:
            del content[index : index + 1 + value]
        elif kind == 2:
            content[index:index] = bytes([value])
        else:
            content[index:index] = content[:value]
    paths = {name: tmp_path_factory.getbasetemp() / f"mutated-{name}" for name in contents}
    for name, data in contents.items():
        paths[name].write_bytes(bytes(data))
    try:
        asf = read_asf(paths["07.asf"])
        values = read_amc(paths["07_01.amc"], asf)
        clip = convert(asf, values, "07_01", AsfAmcConfig(), str(paths["07_01.amc"]))
    except DataError as error:
        assert "mutated-07" in str(error)
    else:
        assert np.isfinite(clip.positions).all()
