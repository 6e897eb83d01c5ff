"""Folders of images: their order, boxes, camera and truth beside them, the crops, and bad files."""

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

from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.example import FOCAL_PX, FPS, FRAMES, HEIGHT, SPLITS, WIDTH, video_folder
from sa3dhp_datasets.image_folder import image_folder, images_of, shots
from sa3dhp_datasets.image_folder_config import ImageFolderConfig
from sa3dhp_datasets.image_folder_example import image_folder as write
from sa3dhp_datasets.shots import Shot
from sa3dhp_datasets.video_folder import VideoFolder, VideoFolderConfig

NAME = SPLITS[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, which no test changes."""
    folder = tmp_path_factory.mktemp("whole")
    write(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of the first recording alone, to be spoilt."""
    shutil.copytree(whole / NAME, tmp_path / "set" / NAME)
    for path in whole.glob(f"{NAME}.*"):
        shutil.copy(path, tmp_path / "set")
    return tmp_path / "set"


def read(folder: Path, **keys: Any) -> list[Shot]:
    return list(shots(ImageFolderConfig(path=str(folder), **keys)))


def boxes(folder: Path, *rows: tuple[int, int]) -> None:
    """Boxes of tracks in frames."""
    lines = [json.dumps({"frame": f, "track": t, "box": [10.0 + f, 5.0, 40.0, 60.0]}) + "\n" for f, t in rows]
    (folder / f"{NAME}.boxes.jsonl").write_text("".join(lines))


def test_each_folder_is_a_recording_in_the_order_of_its_numbers(whole: Path) -> None:
    found = read(whole, file_fps=float(FPS))
    assert [(shot.name, shot.family, shot.fps) for shot in found] == [(name, "walk", FPS) for name in SPLITS]
    assert [path.name for path in images_of(whole / NAME)] == [f"{number}.png" for number in range(FRAMES)]
    assert np.allclose(found[0].lens.focal_px, FOCAL_PX) and np.allclose(found[0].lens.centre_px, (64, 48))


def test_crops_are_those_of_the_video_of_the_same_pictures(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    video_folder(tmp_path / "in")
    keys: dict[str, Any] = {"size": 32, "fps": 10.0}
    shared: dict[str, Any] = {"validation": 0.0, "test": 0.0}
    videos = VideoFolder(VideoFolderConfig(path=str(tmp_path / "in"), **keys, **shared))
    data = image_folder(ImageFolderConfig(path=str(whole), file_fps=float(FPS), licence="mine", **keys))
    for one, name in ((videos, "videos"), (data, "images")):
        one.prepare(tmp_path / name)
    wanted = next(videos.labelled(tmp_path / "videos", "train").batches(99))
    opened = data.labelled(tmp_path / "images", "train")
    found = next(opened.batches(99))
    assert opened.licence == "mine" and opened.families() == ("walk",) * 3 and len(found.images) == 18
    assert float((found.images - wanted.images).abs().max()) <= 1 / 255 + 1e-6
    assert torch.allclose(found.poses, wanted.poses, atol=1e-5) and torch.allclose(found.intrinsics, wanted.intrinsics)
    assert found.keypoints is not None and wanted.keypoints is not None
    assert torch.allclose(found.keypoints, wanted.keypoints, atol=1e-3)


def test_gaps_are_filled_or_end_a_clip(folder: Path) -> None:
    boxes(folder, (0, 3), (1, 3), (3, 3), (9, 3), (4, 5))
    (folder / f"{NAME}.truth.npz").unlink()
    first, second = read(folder, max_gap=1)[0].people
    assert (first.identity, first.frames.tolist()) == (3, [0, 1, 2, 3, 9]) and second.frames.tolist() == [4]
    assert np.allclose(first.boxes[2], [12, 5, 40, 60])
    assert read(folder, max_gap=9)[0].people[0].frames.tolist() == list(range(10))
    smooth = read(folder, max_gap=9, smooth_s=0.2)[0].people[0].boxes
    assert smooth[0, 0] > 10 and np.allclose(smooth[4], [14, 5, 40, 60])


def test_without_anything_beside_it_is_the_whole_picture_by_an_assumed_camera(folder: Path, tmp_path: Path) -> None:
    for path in folder.glob(f"{NAME}.*"):
        path.unlink()
    (shot,) = read(folder, fov_deg=90.0)
    assert np.allclose(shot.lens.focal_px, np.hypot(WIDTH, HEIGHT) / 2)
    assert shot.people[0].boxes[:, 2:].tolist() == [[WIDTH, HEIGHT]] * FRAMES and shot.people[0].joints is None
    data = image_folder(ImageFolderConfig(path=str(folder), size=16))
    data.prepare(tmp_path / "out")
    with pytest.raises(DataError):
        data.labelled(tmp_path / "out", "train")
    (folder / f"{NAME}.camera.json").write_text('{"intrinsics": [[99, 0, 60], [0, 98, 50], [0, 0, 1]]}')
    assert read(folder)[0].lens.focal_px.tolist() == [99, 98]


def test_one_recording_is_a_set_too(whole: Path) -> None:
    (shot,) = read(whole / NAME)
    assert shot.name == NAME and shot.people[0].joints is not None and shot.people[0].identity == 1


def test_names_with_dots_keep_their_companions(folder: Path) -> None:
    for path in folder.iterdir():
        path.rename(folder / path.name.replace(NAME, "v1.2"))
    assert read(folder)[0].people[0].joints is not None


def pack(folder: Path) -> None:
    with zipfile.ZipFile(folder.with_name("set.zip"), "w") as archive:
        archive.write(folder / NAME / "0.png")
    shutil.rmtree(folder)
    folder.with_name("set.zip").rename(folder)


def turned(folder: Path) -> None:
    flags = Image.Exif()
    flags[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / NAME / "0.png", exif=flags)


def truth(folder: Path, **changes: Any) -> None:
    with np.load(folder / f"{NAME}.truth.npz") as arrays:
        np.savez(folder / f"{NAME}.truth.npz", **{**arrays, **changes})


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (shutil.rmtree, "no such folder"),
    "packed": (pack, "unpack it first"),
    "empty": (lambda folder: shutil.rmtree(folder / NAME), "does not hold this data set(.|\n)*folders of images"),
    "another set": (
        lambda folder: (shutil.rmtree(folder / NAME), (folder / "a.bvh").touch()),
        'this looks like BVH motion capture; use = "bvh"',
    ),
    "two depths": (lambda folder: shutil.copy(folder / NAME / "0.png", folder), "images at two depths"),
    "turned": (turned, "0.png: the image is flagged as turned(.|\n)*orientation 6"),
    "no picture": (lambda folder: (folder / NAME / "0.png").write_bytes(b"text"), "0.png: the image cannot be read"),
    "fewer images": (
        lambda folder: (folder / NAME / "11.png").unlink(),
        "another length(.|\n)*12 frames",
    ),
    "a frame beyond": (lambda folder: boxes(folder, (40, 1)), "line 1: a frame beyond"),
    "other tracks": (lambda folder: boxes(folder, (0, 1), (0, 2)), "truth has other tracks"),
    "unknown joints": (lambda folder: truth(folder, joints=np.array(["x"] * 17)), "joints that cannot be mapped"),
    "skew": (
        lambda folder: (folder / f"{NAME}.camera.json").write_text('{"intrinsics": [[9, 1, 6], [0, 9, 5], [0, 0, 1]]}'),
        "camera.json: pixels that are no rectangles",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_folders_are_named(folder: Path, case: str) -> None:
    change, message = BAD[case]
    change(folder)
    with pytest.raises(DataError, match=message) as error:
        read(folder)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    (
        (lambda folder: (folder / NAME / "3.png").write_bytes(b"text"), "3.png: (.|\n)*cannot be read"),
        (lambda folder: Image.new("RGB", (20, 20)).save(folder / NAME / "3.png"), "3.png: (.|\n)*another size"),
        (
            lambda folder: truth(folder, joints_camera_m=np.full((FRAMES, 17, 3), np.nan)),
            f"{NAME}(.|\n)*frame 0(.|\n)*not finite",
        ),
    ),
)
def test_bad_content_is_named(folder: Path, tmp_path: Path, change: Callable[[Path], object], message: str) -> None:
    change(folder)
    with pytest.raises(DataError, match=message):
        image_folder(ImageFolderConfig(path=str(folder), size=16)).prepare(tmp_path / "out")


def test_mutated_files_are_read_or_refused(folder: Path, tmp_path: Path) -> None:
    (folder / f"{NAME}.camera.json").write_text('{"intrinsics": [[99, 0, 60], [0, 98, 50], [0, 0, 1]]}')
    found = outcomes(read, folder, tmp_path / "mutated", range(210), f"{NAME}.*")
    assert found["read"] > 5 and found["refused"] > 50
