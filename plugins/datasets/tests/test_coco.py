"""COCO's form: what is read of real files, other skeletons, videos with tracks, crops, and bad files."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sa3dhp_core.cards import read_card, skeleton
from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_core.host import Host
from sa3dhp_datasets.coco import coco_images, coco_keypoints, own_splits, shots, split_of
from sa3dhp_datasets.coco_config import CocoImagesConfig, CocoKeypointsConfig
from sa3dhp_datasets.coco_example import HEIGHT, LENS, SETS, UNLABELLED, WIDTH, content, people_of, write_pictures
from sa3dhp_datasets.coco_example import coco_keypoints as write
from sa3dhp_datasets.shot_crops import Framing, cut_of
from sa3dhp_datasets.shots import Shot

COLUMNS = read_card("datasets", "coco-keypoints")["columns"]
LIMBS = [joint for joint in skeleton().joints if joint.startswith(("left", "right"))]
Content = dict[str, Any]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, which no test changes."""
    folder = tmp_path_factory.mktemp("whole")
    write(folder)
    return folder


def read(folder: Path, **keys: Any) -> list[Shot]:
    return list(shots(CocoKeypointsConfig(path=str(folder), **keys)))


def own(folder: Path, change: Callable[[Content], object] = lambda made: None, name: str = "people.json") -> Path:
    """A folder with one changed file of the validation set, without pictures."""
    made = content(SETS["val2017"])
    change(made)
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(made), encoding="utf-8")
    return folder


def place(shot: Shot, who: int, joint: str, row: int = 0) -> Any:
    keypoints = shot.people[who].keypoints
    assert keypoints is not None
    return keypoints[row, skeleton().index(joint)]


def test_every_picture_is_a_shot_of_its_people(whole: Path) -> None:
    found = read(whole)
    assert [shot.title for shot in found] == [f"{name}/{i:012d}" for name, ids in SETS.items() for i in ids]
    assert [shot.split for shot in found] == ["train"] * 3 + ["validation"] * 2
    assert all(len(shot.people) == 2 and shot.fps == 1.0 for shot in found), "the crowd is left out"


def test_every_joint_arrives_under_its_name(whole: Path) -> None:
    for shot in read(whole):
        for who, true in enumerate(people_of(int(shot.name))):
            house = dict(zip(skeleton().joints, true, strict=True))
            for joint in (*LIMBS, "neck", "head"):
                found = place(shot, who, joint)
                if who and joint == UNLABELLED:
                    assert np.isnan(found).all()
                else:
                    assert np.abs(found - house[joint]).max() <= 0.5 + 1e-9, (joint, "the middle of its pixel")
            for joint, parts in (("pelvis", ("hip",)), ("thorax", ("shoulder",)), ("spine", ("hip", "shoulder"))):
                wanted = np.mean([place(shot, who, f"{side}_{p}") for p in parts for side in ("left", "right")], axis=0)
                assert np.allclose(place(shot, who, joint), wanted)
            assert np.abs(shot.people[who].boxes - [*true.min(0), *np.ptp(true, axis=0)]).max() < 0.02


def test_the_assumed_camera_is_one_of_the_pictures_size(whole: Path) -> None:
    lens = read(whole)[0].lens
    assert np.allclose(lens.focal_px, np.hypot(WIDTH, HEIGHT) / 2 / np.tan(np.pi / 6))
    assert np.allclose(lens.centre_px, (WIDTH / 2, HEIGHT / 2)) and np.allclose(lens.focal_px, LENS.focal_px)
    assert np.allclose(read(whole, focal_px=90.0)[0].lens.focal_px, 90.0)
    assert read(whole, fov_deg=90.0)[0].lens.focal_px[0] == pytest.approx(100.0)


def test_crops_show_each_joint_where_its_keypoint_says(whole: Path, tmp_path: Path) -> None:
    data = coco_images(CocoImagesConfig(path=str(whole), size=96, splits=("train",)))
    data.prepare(tmp_path)
    clips = data.clips(tmp_path, "train")
    images = torch.cat(list(clips.batches(99)))
    assert images.shape == (6, 3, 96, 96) and clips.clip_index().tolist() == list(range(6))
    with pytest.raises(DataError):
        data.labelled(tmp_path, "train")
    right = seen = 0
    cuts = [cut_of(s, p, np.array([0]), Framing(96, 0.5, 1.15)) for s in read(whole)[:3] for p in s.people]
    for image, cut in zip(images, cuts, strict=True):
        assert cut.keypoints is not None and cut.poses is None
        points = cut.keypoints[0]
        for number, joint in enumerate(skeleton().joints):
            apart = (points - points[number]).norm(dim=-1).nan_to_num(99.0)
            if joint in (*LIMBS, "neck") and bool(points[number].isfinite().all()) and float(apart.sort()[0][1]) > 8:
                u, v = points[number].int().tolist()
                wanted = torch.tensor([60 + 11 * number, 250 - 12 * number, 200]) / 255
                right += bool((image[:, v, u] - wanted).abs().max() < 0.12)
                seen += 1
    assert seen > 30 and right > 0.9 * seen, (right, seen)


def test_keypoints_of_splits_that_files_tell(whole: Path, tmp_path: Path) -> None:
    data = coco_keypoints(CocoKeypointsConfig(path=str(whole), test=("*776",), licence="mine"), host=Host(()))
    assert data.splits == ("train", "validation", "test")
    data.prepare(tmp_path)
    assert [len(data.keypoints(tmp_path, split)) for split in data.splits] == [6, 2, 2]
    found = data.keypoints(tmp_path, "train")
    points = next(found.batches(99))
    assert set(found.groups()) == {"train2017"} and found.licence == "mine" and found.fps == 1.0
    assert float(points[points.isfinite()].abs().max()) < 1 and bool(points[1].isnan().any())
    assert data.truth(tmp_path, "train") is None and not data.check().problems


@pytest.mark.parametrize(
    ("name", "split"),
    (
        ("annotations/person_keypoints_train2017.json", "train"),
        ("annotations/coco_wholebody_val_v1.0.json", "validation"),
        ("annotations/val/000342_mpii_test.json", "validation"),
        ("gym_test.json", "test"),
        ("contest.json", None),
    ),
)
def test_names_tell_splits(name: str, split: str | None) -> None:
    assert split_of(Path("set") / name) == split


def test_one_file_is_a_set_too(whole: Path) -> None:
    path = whole / "annotations" / "person_keypoints_val2017.json"
    assert [shot.name for shot in read(path)] == [f"{image:012d}" for image in SETS["val2017"]]
    assert read(path)[0].pictures is not None and own_splits(str(path)) == ("validation",)
    assert own_splits("nowhere") == ()


def test_people_with_few_keypoints_are_left_out(whole: Path) -> None:
    assert {len(shot.people) for shot in read(whole, least_keypoints=17)} == {1}


def test_people_without_a_box_have_the_tightest(tmp_path: Path) -> None:
    def change(made: Content) -> None:
        del made["annotations"][0]["bbox"]
        made["annotations"][1]["bbox"][2] = 0.0

    first = read(own(tmp_path / "a", change))[0]
    for who in (0, 1):
        labels = np.reshape(content(SETS["val2017"])["annotations"][who]["keypoints"], (-1, 3))
        points = labels[labels[:, 2] > 0, :2] + 0.5
        assert np.allclose(first.people[who].boxes, [[*points.min(0), *np.ptp(points, axis=0)]])


def names(made: Content, change: Callable[[str], str]) -> None:
    made["categories"][0]["keypoints"] = [change(name) for name in COLUMNS]


@pytest.mark.parametrize(
    "spelt",
    (
        lambda name: name.replace("left_", "L_").replace("right_", "R_"),
        lambda name: name.title().replace("_", ""),
        lambda name: name.replace("_", " ").upper(),
    ),
)
def test_names_are_compared_by_what_they_mean(tmp_path: Path, spelt: Callable[[str], str]) -> None:
    plain, other = (read(own(tmp_path / n, c))[0] for n, c in (("a", lambda m: None), ("b", lambda m: names(m, spelt))))
    for who in (0, 1):
        assert np.array_equal(plain.people[who].keypoints, other.people[who].keypoints, equal_nan=True)  # type: ignore[arg-type]


def test_a_skeletons_own_joints_go_before_means_and_keys_before_all(tmp_path: Path) -> None:
    swapped = {"left_ear": "pelvis", "right_ear": "head_top", "nose": "throat"}
    folder = own(tmp_path / "a", lambda made: names(made, lambda name: swapped.get(name, name)))
    with pytest.raises(DataError, match=r"people.json: the joint 'neck' has no column 'nose'(.|\n)*throat"):
        read(folder)
    before, after = read(own(tmp_path / "b"))[0], read(folder, joints={"neck": (), "spine": ("R_Hip", "throat")})[0]
    labels = np.reshape(content(SETS["val2017"])["annotations"][0]["keypoints"], (-1, 3))[:, :2] + 0.5
    assert np.isnan(place(after, 0, "neck")).all()
    assert np.array_equal(place(after, 0, "pelvis"), labels[COLUMNS.index("left_ear")])
    assert np.array_equal(place(after, 0, "head"), labels[COLUMNS.index("right_ear")])
    assert np.allclose(place(after, 0, "spine"), labels[[COLUMNS.index("right_hip"), 0]].mean(0))
    assert np.array_equal(place(after, 0, "left_hip"), place(before, 0, "left_hip"))
    with pytest.raises(RecipeError, match="no joint 'nek'"):
        read(folder, joints={"nek": ("nose",)})


def video(made: Content, step: int = 1) -> None:
    """Both pictures as frames 7 and 7 + step of one video, the people in other order."""
    for number, image in enumerate(made["images"]):
        image |= {"video_id": 3, "frame_id": 7 + step * number, "file_name": f"walk/{number}.jpg"}
    for annotation in made["annotations"]:
        annotation["track_id"] = 40 + annotation["id"] % 100
    made["images"].reverse()
    made["annotations"].reverse()
    made["videos"] = [{"id": 3, "name": "walk", "fps": 12}]


def test_pictures_of_a_video_are_a_sequence_with_tracks(tmp_path: Path) -> None:
    folder = own(tmp_path / "a", video)
    (shot,) = read(folder)
    assert (shot.title, shot.fps) == ("people/walk", 12.0)
    assert [(person.identity, person.frames.tolist()) for person in shot.people] == [(40, [0, 1]), (41, [0, 1])]
    for row, image in enumerate(SETS["val2017"]):
        true = people_of(image)[0][skeleton().index("left_knee")]
        assert np.abs(place(shot, 0, "left_knee", row) - true).max() <= 0.5 + 1e-9
    (slow,) = read(own(tmp_path / "b", lambda made: (video(made), made.pop("videos"))), file_fps=6.0)
    assert (slow.name, slow.fps) == ("3", 6.0)


def test_a_picture_that_is_missing_ends_a_clip(tmp_path: Path) -> None:
    folder = own(tmp_path / "a", lambda made: video(made, step=4))
    write_pictures(folder / "walk", SETS["val2017"])
    for number, image in enumerate(SETS["val2017"]):
        (folder / "walk" / f"{image:012d}.jpg").rename(folder / "walk" / f"{number}.jpg")
    data = coco_images(CocoImagesConfig(path=str(folder), size=32))
    data.prepare(tmp_path / "out")
    assert data.clips(tmp_path / "out", "train").clip_index().tolist() == [0, 1, 2, 3]
    even = coco_images(CocoImagesConfig(path=str(folder), size=32, fps=3.0))
    even.prepare(tmp_path / "even")
    clips = even.clips(tmp_path / "even", "train")
    assert clips.clip_index().tolist() == [0, 0, 1, 1] and clips.fps == 3.0
    first, last = (torch.cat(list(c.batches(9)))[1] for c in (data.clips(tmp_path / "out", "train"), clips))
    assert torch.equal(first, last), "the same pictures"


def in_all(key: str, change: Callable[[Any], Any], where: str = "annotations") -> Callable[[Content], None]:
    def apply(made: Content) -> None:
        for record in made[where]:
            record[key] = change(record[key])

    return apply


def in_one(key: str, value: Any, where: str = "annotations") -> Callable[[Content], None]:
    return lambda made: made[where][1].__setitem__(key, value)


def also(first: Callable[[Content], object], second: Callable[[Content], object]) -> Callable[[Content], object]:
    return lambda made: (first(made), second(made))


def shares(points: list[float]) -> list[float]:
    return [value if n % 3 == 2 else value / 160 for n, value in enumerate(points)]


BAD: dict[str, tuple[Callable[[Content], object], str]] = {
    "no categories": (lambda made: made.pop("categories"), "no list of categories(.|\n)*images, annotations"),
    "a category without keypoints": (lambda made: made["categories"][0].pop("keypoints"), "no category of people"),
    "two of people": (lambda made: made["categories"].append({**made["categories"][0], "id": 2}), "person, person"),
    "a name twice": (lambda made: names(made, lambda name: name[:6]), "no different names"),
    "unknown joints": (lambda made: names(made, lambda name: f"x{name}"), "has no column(.|\n)*xnose"),
    "no key": (
        lambda made: made["annotations"][1].pop("keypoints"),
        r"annotations\[1\]: the key 'keypoints' is missing",
    ),
    "16 keypoints": (in_one("keypoints", [1, 1, 2] * 16), r"annotations\[1\](.|\n)*wrong shape(.|\n)*48"),
    "text": (in_one("keypoints", ["a"] * 51), r"annotations\[1\](.|\n)*wrong shape or type"),
    "huge": (in_one("keypoints", [10**400] * 51), r"annotations\[1\](.|\n)*wrong shape or type"),
    "confidences": (in_one("keypoints", [5, 5, 0.7] * 17), "visibility is not 0, 1 or 2(.|\n)*0.7"),
    "shares": (in_all("keypoints", shares), "looks like shares of the picture; expected pixels"),
    "far outside": (in_one("keypoints", [5, 5000, 2] * 17), r"annotations\[1\](.|\n)*far outside(.|\n)*160 x 120"),
    "another image": (in_one("image_id", 999), r"annotations\[1\](.|\n)*no image of this id(.|\n)*999"),
    "an id twice": (in_one("id", 724, "images"), r"images\[1\](.|\n)*stands twice"),
    "a path": (in_one("file_name", "../../etc/passwd", "images"), r"images\[1\](.|\n)*leads elsewhere"),
    "no name": (in_one("file_name", ".", "images"), r"images\[1\](.|\n)*leads elsewhere"),
    "no size": (in_one("width", 0, "images"), r"images\[1\](.|\n)*no size"),
    "true": (in_one("height", True, "images"), r"images\[1\](.|\n)*height is of a wrong type"),
    "three": (in_one("bbox", [1, 2, 3]), r"annotations\[1\](.|\n)*wrong shape"),
    "negative": (in_one("bbox", [1, 2, -3, 4]), "negative size"),
    "outside": (in_one("bbox", [500, 2, 3, 4]), "box outside the picture"),
    "no object": (lambda made: made["images"].append(7), r"images\[2\](.|\n)*not a JSON object"),
    "no track": (also(video, in_one("track_id", None)), "without track_id"),
    "a track twice": (also(video, in_all("track_id", lambda _: 5)), "twice in a picture(.|\n)*track 5"),
    "one frame_id": (also(video, in_all("frame_id", lambda _: 5, "images")), "one frame_id"),
    "far frames": (also(video, in_one("frame_id", 10**30, "images")), "frames far apart"),
    "sizes": (also(video, in_one("width", 300, "images")), "several sizes"),
    "no frame": (also(video, lambda made: made["images"][0].pop("frame_id")), "'frame_id' is missing"),
    "no rate": (also(video, lambda made: made["videos"][0].__setitem__("fps", 10**400)), "no frame rate"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_annotations_are_named(tmp_path: Path, case: str) -> None:
    change, message = BAD[case]
    folder = own(tmp_path / "set", change)
    with pytest.raises(DataError, match=message) as error:
        read(folder)
    assert str(folder) in str(error.value)


def pack(folder: Path) -> None:
    with zipfile.ZipFile(folder.with_name("set.zip"), "w") as archive:
        archive.write(folder / "people.json")
    shutil.rmtree(folder)
    folder.with_name("set.zip").rename(folder)


def cut(folder: Path) -> None:
    (folder / "people.json").write_bytes((folder / "people.json").read_bytes()[:900])


BAD_FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda folder: (folder / "people.json").unlink(), "an empty folder"),
    "gone": (shutil.rmtree, "no such folder"),
    "packed": (pack, "unpack it first"),
    "cut": (cut, "people.json: not readable as JSON"),
    "NaN": (lambda folder: (folder / "people.json").write_text('{"images": [NaN]}'), "NaN is no number of JSON"),
    "a list": (lambda folder: (folder / "people.json").write_text("[]"), "an object"),
    "another set": (
        lambda folder: (folder / "people.json").rename(folder / "walk.bvh"),
        'BVH motion capture; use = "bvh"',
    ),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_bad_folders_are_named(tmp_path: Path, case: str) -> None:
    change, message = BAD_FOLDERS[case]
    folder = own(tmp_path / "set")
    change(folder)
    with pytest.raises(DataError, match=message) as error:
        read(folder)
    assert str(folder) in str(error.value)


def test_this_data_set_is_named_to_others(whole: Path, tmp_path: Path) -> None:
    from sa3dhp_datasets.asf_amc import asf_amc_motion
    from sa3dhp_datasets.config import AsfAmcConfig

    with pytest.raises(DataError, match='COCO\'s form; use = "coco-keypoints" reads it'):
        asf_amc_motion(AsfAmcConfig(path=str(whole))).prepare(tmp_path)


def test_annotations_alone_are_enough_for_keypoints(tmp_path: Path) -> None:
    folder = own(tmp_path / "set")
    assert read(folder)[0].pictures is None
    with pytest.raises(DataError, match="there are no pictures"):
        coco_images(CocoImagesConfig(path=str(folder))).prepare(tmp_path / "out")
    with pytest.raises(DataError, match="no such folder(.|\n)*the pictures of the annotations"):
        read(folder, images=str(tmp_path / "nowhere"))
    write_pictures(tmp_path / "elsewhere", SETS["val2017"])
    data = coco_images(CocoImagesConfig(path=str(folder), images=str(tmp_path / "elsewhere"), size=16))
    data.prepare(tmp_path / "good")
    assert len(data.clips(tmp_path / "good", "train").clip_index()) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    (
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(b"no picture"), "cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:700]), "damaged"),
        (lambda path: Image.new("RGB", (120, 160)).save(path), "another size(.|\n)*120 x 160(.|\n)*160 x 120"),
    ),
)
def test_bad_pictures_are_named(whole: Path, tmp_path: Path, change: Callable[[Path], object], message: str) -> None:
    folder = shutil.copytree(whole, tmp_path / "set")
    change(folder / "train2017" / "000000000285.jpg")
    with pytest.raises(DataError, match=f"000000000285.jpg: (.|\n)*{message}"):
        coco_images(CocoImagesConfig(path=str(folder), size=16)).prepare(tmp_path / "out")


@pytest.mark.parametrize("change", (lambda made: None, video))
def test_mutated_files_are_read_or_refused(tmp_path: Path, change: Callable[[Content], object]) -> None:
    found = outcomes(read, own(tmp_path / "set", change), tmp_path / "mutated", range(220), "*.json")
    assert found["read"] > 5 and found["refused"] > 100
