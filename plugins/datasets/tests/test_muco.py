"""MuCo-3DHP: people placed by the labels in JSON, or by least squares in chunks, their crops, and bad files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.data import facts_of
from sa3dhp_datasets.muco import muco_images, muco_keypoints, shots
from sa3dhp_datasets.muco_config import MucoImagesConfig, MucoKeypointsConfig
from sa3dhp_datasets.muco_example import HEIGHT, LENSES, WIDTH, chunk_of, labels, lens_of, people_of, write_chunks
from sa3dhp_datasets.muco_example import muco_keypoints as write
from sa3dhp_datasets.shots import Shot, projected

SIZE = (float(WIDTH), float(HEIGHT))
FOCAL = float(LENSES[1].focal_px[0])
Content = dict[str, Any]


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example in JSON, which no test changes."""
    folder = tmp_path_factory.mktemp("listed")
    write(folder)
    return folder


@pytest.fixture(scope="module")
def chunked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example in chunks, which no test changes."""
    return write_chunks(tmp_path_factory.mktemp("chunked"))


def read(folder: Path, **keys: Any) -> list[Shot]:
    return list(shots(MucoKeypointsConfig(path=str(folder), **keys)))


def read_chunks(folder: Path, **keys: Any) -> list[Shot]:
    return read(folder, **{"size_px": SIZE, "focal_px": FOCAL} | keys)


def need_people(shot: Shot, number: int, tolerance: float) -> None:
    """Raise unless a shot's people are those of a picture, and project onto their keypoints."""
    assert len(shot.people) == 2
    for person, true in zip(shot.people, people_of(number), strict=True):
        assert person.joints is not None and person.keypoints is not None
        assert np.abs(person.joints[0] - true).max() < tolerance, "house order, left is left, metres"
        assert np.abs(projected(person.joints, shot.lens) - person.keypoints).max() < 1e-6
        assert np.allclose(person.keypoints[0], projected(true, lens_of(number)))


def test_labels_place_people_before_the_camera_of_each_picture(listed: Path) -> None:
    found = read(listed)
    assert [shot.title for shot in found][:2] == ["augmented_set/000000", "unaugmented_set/000001"]
    assert len(found) == 6 and {(shot.split, shot.fps) for shot in found} == {("train", 1.0)}
    for number, shot in enumerate(found):
        assert np.array_equal(shot.lens.focal_px, lens_of(number).focal_px)
        need_people(shot, number, 1e-9)


def test_pictures_are_found_in_the_sets_folders(listed: Path, tmp_path: Path) -> None:
    shutil.copytree(listed, tmp_path / "set")
    content = labels()
    for image in content["images"]:
        image["file_name"] = image["file_name"].split("/")[1]
    (tmp_path / "set" / "MuCo-3DHP.json").write_text(json.dumps(content))
    assert all(shot.pictures is not None for shot in read(tmp_path / "set"))
    assert {shot.subject for shot in read(tmp_path / "set")} == {"augmented_set", "unaugmented_set"}
    shutil.rmtree(tmp_path / "set" / "augmented_set")
    assert [shot.pictures is None for shot in read(tmp_path / "set")] == [True, False] * 3


def test_crops_carry_poses_and_facts(listed: Path, tmp_path: Path) -> None:
    data = muco_images(MucoImagesConfig(path=str(listed), size=96, test=("000005",)))
    data.prepare(tmp_path)
    images = data.labelled(tmp_path, "train")
    facts, batch = facts_of(images), next(images.batches(99))
    assert len(images) == 10 and facts is not None and facts.subjects is not None
    assert facts.subjects == [name for n in range(5) for name in [("augmented_set", "unaugmented_set")[n % 2]] * 2]
    assert batch.keypoints is not None
    right, seen = 0, 0
    for image, points in zip(batch.images, batch.keypoints, strict=True):
        for joint, (u, v) in enumerate(points.tolist()):
            if np.linalg.norm(np.delete(points.numpy(), joint, 0) - (u, v), axis=1).min() > 7:
                wanted = np.array([60 + 11 * joint, 250 - 12 * joint, 200]) / 255
                right += bool(np.abs(image[:, int(v), int(u)].numpy() - wanted).max() < 0.12)
                seen += 1
    assert seen > 30 and right > 0.9 * seen, (right, seen)


def test_keypoint_data_have_the_truth(listed: Path, tmp_path: Path) -> None:
    data = muco_keypoints(MucoKeypointsConfig(path=str(listed)), host=Host(()))
    assert data.splits == ("train",)
    data.prepare(tmp_path)
    truth = data.truth(tmp_path, "train")
    assert truth is not None and truth.shape == (12, 17, 3) and not data.check().problems
    points = next(data.keypoints(tmp_path, "train").batches(99)).numpy()
    for number in range(6):
        true = people_of(number)
        assert np.allclose(points[2 * number : 2 * number + 2], true[..., :2] / true[..., 2:], atol=1e-6)


def test_people_out_of_the_picture_are_left_out(tmp_path: Path) -> None:
    content = labels()
    lens = lens_of(0)
    for key, shift in (("keypoints_img", [50 * lens.focal_px[0], 0]), ("keypoints_cam", [200_000, 0, 0])):
        content["annotations"][0][key] = (np.array(content["annotations"][0][key]) + shift).tolist()
    (tmp_path / "MuCo-3DHP.json").write_text(json.dumps(content))
    assert [person.identity for person in read(tmp_path)[0].people] == [1]


def test_chunks_place_people_where_a_focal_length_is_given(chunked: Path) -> None:
    found = read_chunks(chunked)
    assert [shot.title for shot in found] == [f"augmented_set_001/00000{number}" for number in (2, 4, 6)]
    for shot, number in zip(found, (1, 3, 5), strict=True):
        need_people(shot, number, 1e-6)


def test_chunks_alone_tell_keypoints_and_no_poses(chunked: Path, tmp_path: Path) -> None:
    data = muco_keypoints(MucoKeypointsConfig(path=str(chunked), size_px=SIZE, fov_deg=90.0), host=Host(()))
    data.prepare(tmp_path)
    assert data.truth(tmp_path, "train") is None
    points = next(data.keypoints(tmp_path, "train").batches(99)).numpy()
    pixels = projected(people_of(1), lens_of(1))
    assert np.allclose(points[:2], (pixels - [80, 60]) / (np.hypot(*SIZE) / 2), atol=1e-6)
    images = muco_images(MucoImagesConfig(path=str(chunked), size_px=SIZE, size=16))
    images.prepare(tmp_path / "images")
    assert len(images.clips(tmp_path / "images", "train")) == 6
    with pytest.raises(DataError, match="no ground-truth poses"):
        images.labelled(tmp_path / "images", "train")


def test_chunks_of_21_joints_are_read_alike(chunked: Path, tmp_path: Path) -> None:
    content = chunk_of([1, 3])
    for key in ("joint_loc2", "joint_loc3"):
        content[key] = np.concatenate([content[key], content[key][:, :4]], axis=1)
    savemat(tmp_path / "chunk_00001_annot.mat", content)
    for shot, number in zip(read_chunks(tmp_path), (1, 3), strict=True):
        need_people(shot, number, 1e-6)


def changed(key: str, change: Callable[[Any], Any], records: str = "annotations") -> Callable[[Content], None]:
    """Change a key of the third record."""
    return lambda content: content[records][2].__setitem__(key, change(content[records][2][key]))


def in_every_person(key: str, change: Callable[[Any], Any]) -> Callable[[Content], None]:
    def apply(content: Content) -> None:
        for person in content["annotations"]:
            person[key] = change(np.array(person[key])).tolist()

    return apply


BAD_LABELS: dict[str, tuple[Callable[[Content], object], str]] = {
    "no images": (lambda content: content.pop("images"), "no list of images(.|\n)*annotations, categories"),
    "nobody": (lambda content: content["annotations"].clear(), "no list of annotations"),
    "key": (lambda content: content["annotations"][2].pop("keypoints_cam"), "'keypoints_cam' is missing"),
    "no record": (lambda content: content["images"].append(7), "record 6: the key 'f' is missing"),
    "20 joints": (changed("keypoints_img", lambda seen: seen[:20]), "keypoints_img: not an array"),
    "text": (changed("keypoints_cam", lambda joints: "text"), "keypoints_cam: not an array"),
    "NaN": (changed("keypoints_cam", lambda joints: [[float("nan")] * 3] * 21), "NaN is no number of JSON"),
    "huge": (changed("f", lambda focal: [1e999, 1], "images"), "Infinity is no number"),
    "no focal length": (changed("f", lambda focal: [0, 0], "images"), "a focal length that is none"),
    "id twice": (changed("id", lambda image: 10, "images"), "two images have one id"),
    "id of text": (changed("id", lambda image: "10", "images"), "images: id: (.|\n)*wrong shape or type"),
    "no such image": (changed("image_id", lambda image: 99), "annotation 2: a person of an image that is not listed"),
    "elsewhere": (changed("file_name", lambda name: "../../a.jpg", "images"), "no name of a picture"),
    "number for a name": (changed("file_name", lambda name: 7, "images"), "no name of a picture"),
    "metres": (in_every_person("keypoints_cam", lambda joints: joints / 1000), "looks like metres; expected millim"),
    "behind": (in_every_person("keypoints_cam", lambda joints: -joints), "person 0: a joint is not before the camera"),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_bad_labels_are_named(tmp_path: Path, case: str) -> None:
    change, message = BAD_LABELS[case]
    content = labels()
    change(content)
    (tmp_path / "MuCo-3DHP.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path)
    assert "MuCo-3DHP.json" in str(error.value)


def doubled(content: Content) -> None:
    content["joint_loc2"] = np.concatenate([content["joint_loc2"]] * 2, axis=-1)


BAD_CHUNKS: dict[str, tuple[Callable[[Content], object], str]] = {
    "no names": (lambda content: content.pop("img_names"), "'img_names' is missing"),
    "numbers for names": (lambda content: content.update(img_names=np.zeros((1, 2))), "no names of pictures"),
    "elsewhere": (lambda content: content["img_names"].__setitem__((0, 1), "../a.jpg"), "no names of pictures"),
    "one name less": (
        lambda content: content.update(img_names=content["img_names"][:, :1]),
        "img_names: 1, joint_loc2: 2",
    ),
    "more pictures": (doubled, "img_names: 2, joint_loc2: 4, joint_loc3: 2"),
    "fewer people": (
        lambda content: content.update(joint_loc2=content["joint_loc2"][:, :, :1]),
        "people of joint_loc2: 1",
    ),
    "16 joints": (lambda content: content.update(joint_loc2=content["joint_loc2"][:, :16]), "another number of joints"),
    "3 axes of pixels": (
        lambda content: content.update(joint_loc2=content["joint_loc3"]),
        "joint_loc2: (.|\n)*wrong shape",
    ),
    "NaN": (lambda content: content["joint_loc3"].__setitem__((0, 0, 0, 0), np.nan), "joint_loc3(.|\n)*not finite"),
    "metres": (lambda content: content.update(joint_loc3=content["joint_loc3"] / 1000), "looks like metres"),
    "absolute": (lambda content: content.update(joint_loc3=content["joint_loc3"] + 50), "a pelvis at 50 mm"),
    "mirrored": (
        lambda content: content.update(joint_loc3=-content["joint_loc3"]),
        r"not before the camera(.|\n)*try: focal_px",
    ),
}


@pytest.mark.parametrize("case", BAD_CHUNKS)
def test_bad_chunks_are_named(tmp_path: Path, case: str) -> None:
    change, message = BAD_CHUNKS[case]
    content = chunk_of([1, 3])
    change(content)
    savemat(tmp_path / "chunk_00001_annot.mat", content)
    with pytest.raises(DataError, match=message) as error:
        read_chunks(tmp_path)
    assert "chunk_00001_annot.mat" in str(error.value)


def test_bad_folders_are_named(listed: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    shutil.make_archive(str(tmp_path / "muco"), "zip", listed)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a_poses.npz").touch()
    for name, message in (
        ("empty", "an empty folder"),
        ("muco.zip", "unpack it first"),
        ("other", 'AMASS; use = "amass"'),
        ("moco", "no such folder"),
    ):
        with pytest.raises(DataError, match=message):
            read(tmp_path / name)


def test_damaged_pictures_are_named(listed: Path, tmp_path: Path) -> None:
    shutil.copytree(listed, tmp_path / "set")
    picture = tmp_path / "set" / "augmented_set" / "000002.jpg"
    for content, message in ((b"no picture", "cannot be read"), (picture.read_bytes()[:700], "damaged")):
        picture.write_bytes(content)
        with pytest.raises(DataError, match=f"000002.jpg: (.|\n)*{message}"):
            muco_images(MucoImagesConfig(path=str(tmp_path / "set"), size=16)).prepare(tmp_path / "out")


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "MuCo-3DHP.json").write_text(json.dumps(labels()))
    found = outcomes(read, tmp_path / "json", tmp_path / "mutated", range(220))
    assert found["read"] > 5 and found["refused"] > 100
    (tmp_path / "mat").mkdir()
    savemat(tmp_path / "mat" / "chunk_00001_annot.mat", chunk_of([1, 3]), do_compression=True)
    found = outcomes(read_chunks, tmp_path / "mat", tmp_path / "mutated", range(220))
    assert found["read"] > 2 and found["refused"] > 100
