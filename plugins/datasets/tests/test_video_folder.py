"""Videos: exact crops against the ground truth beside them, tracks, resampling, resume, and every wrong input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sa3dhp_core.atomic import read_tensors
from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.mutations import outcomes
from sa3dhp_core.errors import DataError
from sa3dhp_core.store import split_file
from sa3dhp_datasets import video_folder
from sa3dhp_datasets.beside import intrinsics_of
from sa3dhp_datasets.config import VideoFolderConfig
from sa3dhp_datasets.example import standing, write_footage
from sa3dhp_datasets.footage import Footage, frames, probe
from sa3dhp_datasets.tracks import Track, join, sample, smooth
from sa3dhp_datasets.video_folder import VideoFolder

WIDTH, HEIGHT, FRAMES = 160, 120, 20
CAMERA = np.array([[140.0, 0, 79.5], [0, 140.0, 59.5], [0, 0, 1]])
WriteVideo = Callable[..., None]


def grey(count: int = FRAMES) -> list[np.ndarray]:
    """Plain pictures that brighten with time: a frame's value is its index times ten."""
    return [np.full((HEIGHT, WIDTH, 3), 10 * index, dtype=np.uint8) for index in range(count)]


def boxes_text(tracks: dict[int, range], box: tuple[float, ...] = (60, 30, 40, 50)) -> str:
    """JSON lines with one box for all frames of each track."""
    return "\n".join(
        json.dumps({"frame": frame, "track": track, "box": list(box)})
        for track, span in tracks.items()
        for frame in span
    )


def walker() -> np.ndarray:
    """``(T, 17, 3)`` camera-frame joints of a body far from the image's centre, walking sideways."""
    house = skeleton()
    generator = np.random.default_rng(3)
    body = generator.uniform(-0.3, 0.3, size=(len(house), 3))
    body[house.index("head")] = (0.05, -0.75, 0.0)
    body[house.index("left_ankle")] = (0.25, 0.8, 0.1)
    path = np.stack([np.linspace(-0.9, 0.4, FRAMES), np.full(FRAMES, 0.15), np.full(FRAMES, 4.0)], -1)
    return body[None] + path[:, None]


def pixels(joints: np.ndarray) -> np.ndarray:
    """Projection by the test's camera."""
    image = joints @ CAMERA.T
    return image[..., :2] / image[..., 2:]


@pytest.fixture
def filmed(tmp_path: Path, write_video: WriteVideo) -> Path:
    """A film of the walker with a red disc for the head and a green one for the left ankle; boxes and truth beside."""
    joints = walker()
    points = pixels(joints)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pictures = []
    for row in points:
        picture = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
        for joint, channel in (("head", 0), ("left_ankle", 1)):
            u, v = row[skeleton().index(joint)]
            picture[(x - u) ** 2 + (y - v) ** 2 < 3.0**2, channel] = 255
        pictures.append(picture)
    folder = tmp_path / "film"
    folder.mkdir()
    write_video(folder / "film_walk_1.mp4", pictures)
    lines = []
    for index, row in enumerate(points):
        low, high = row.min(0), row.max(0)
        record = {"frame": index, "track": 7, "box": [*low.tolist(), *(high - low).tolist()]}
        lines.append(json.dumps(record))
    (folder / "film_walk_1.boxes.jsonl").write_text("\n".join(lines))
    np.savez(
        folder / "film_walk_1.truth.npz",
        joints_camera_m=joints,
        keypoints_px=points,
        intrinsics=CAMERA,
        fps=20.0,
        joints=np.array(skeleton().joints),
    )
    return folder


def alone(folder: Path, **keys: object) -> VideoFolder:
    """All videos in the split `train`."""
    return VideoFolder(VideoFolderConfig(path=str(folder), validation=0.0, test=0.0, **keys))  # type: ignore[arg-type]


def test_crops_show_the_poses_that_belong_to_them(filmed: Path, tmp_path: Path) -> None:
    """The discs lie where the virtual camera projects the rotated ground truth."""
    data = alone(filmed, size=96, fps=10.0)
    data.prepare(tmp_path / "out")
    images = data.labelled(tmp_path / "out", "train")
    (batch,) = images.batches(100)
    assert len(images) == 10 and images.families() == ("walk",)
    assert batch.poses.shape == (10, 17, 3) and batch.poses[:, 0].abs().max() == 0
    truth = walker()[::2]
    house = skeleton()
    lengths = np.linalg.norm(truth[:, 1:] - truth[:, :1], axis=-1)
    np.testing.assert_allclose(batch.poses[:, 1:].norm(dim=-1), lengths, atol=1e-5)
    stored = read_tensors(split_file(tmp_path / "out", "train"))
    y, x = np.mgrid[:96, :96]
    for joint, channel in (("head", 0), ("left_ankle", 1)):
        weight = batch.images[:, channel].numpy().clip(0.5, 1) - 0.5
        total = weight.sum((1, 2))
        assert total.min() > 3
        seen = np.stack([(weight * x).sum((1, 2)) / total, (weight * y).sum((1, 2)) / total], -1)
        expected = stored["keypoints"][:, house.index(joint)].numpy()
        assert np.abs(seen - expected).max() < 1.0
    centre = stored["keypoints"].amin(1) + stored["keypoints"].amax(1)
    assert (centre / 2 - 47.5).abs().max() < 2.0
    clips = data.clips(tmp_path / "out", "train")
    window = clips.draw(2, 4, torch.Generator().manual_seed(0))
    assert window.images.shape == (2, 4, 3, 96, 96) and not hasattr(window, "poses")


def test_truth_of_several_tracks_is_matched_by_number(filmed: Path, tmp_path: Path) -> None:
    path = filmed / "film_walk_1.truth.npz"
    arrays = dict(np.load(path))
    alone(filmed).prepare(tmp_path / "one")
    both = np.stack([arrays["joints_camera_m"] + 9.0, arrays["joints_camera_m"]])
    np.savez(path, **(arrays | {"joints_camera_m": both, "tracks": np.array([2, 7])}))
    alone(filmed).prepare(tmp_path / "two")
    one, two = (read_tensors(split_file(tmp_path / name, "train")) for name in ("one", "two"))
    assert torch.equal(one["poses"], two["poses"])


def test_without_truth_there_are_no_labels(filmed: Path, tmp_path: Path) -> None:
    (filmed / "film_walk_1.truth.npz").unlink()
    (filmed / "film_walk_1.camera.json").write_text(json.dumps({"intrinsics": CAMERA.tolist()}))
    data = alone(filmed)
    data.prepare(tmp_path / "out")
    assert (
        "camera.json"
        in json.loads((tmp_path / "out" / "prepared.json").read_text())["train"]["film_walk_1.mp4"]["camera"]
    )
    with pytest.raises(DataError, match="no ground truth(.*\n)*.*film_walk_1.truth.npz"):
        data.labelled(tmp_path / "out", "train")
    with pytest.raises(DataError, match="one of: train"):
        data.clips(tmp_path / "out", "test")


def test_frames_are_the_nearest_in_time(tmp_path: Path, write_video: WriteVideo) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_video(folder / "a.mp4", grey(), fps=20)
    for fps, expected in ((10.0, range(0, 20, 2)), (20.0, range(20)), (8.0, (0, 2, 5, 7, 10, 12, 15, 17))):
        data, out = alone(folder, fps=fps, size=8), tmp_path / f"{fps}"
        data.prepare(out)
        (shown,) = data.clips(out, "train").batches(100)
        found = (shown[:, :, 4, 4].mean(1) * 25.5).round().int().tolist()
        assert found == list(expected)


def test_tracks_become_clips_and_long_gaps_split_them(tmp_path: Path, write_video: WriteVideo) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_video(folder / "a.mp4", grey())
    text = boxes_text({1: range(0, 6), 2: range(0, 20, 3)}) + "\n" + boxes_text({1: range(14, 20)})
    (folder / "a.boxes.jsonl").write_text(text)
    data = alone(folder, fps=20.0, size=8, max_gap=4)
    data.prepare(tmp_path / "out")
    assert data.clips(tmp_path / "out", "train").families() == ("a",) * 3
    stored = read_tensors(split_file(tmp_path / "out", "train"))
    assert stored["starts"].tolist() == [0, 6, 12, 31]
    with pytest.raises(DataError, match="20 frames"):
        data.clips(tmp_path / "out", "train").draw(1, 20, torch.Generator())
    with pytest.raises(DataError, match="no clip of the video is long enough"):
        alone(folder, fps=20.0, min_frames=20).prepare(tmp_path / "none")


def test_interrupted_preparation_goes_on_and_repeats_itself(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(4):
        write_video(folder / f"set_run_{index}.mp4", grey(6 + index))
    data = VideoFolder(VideoFolderConfig(path=str(folder), size=16))
    data.prepare(tmp_path / "whole")
    decoded: list[str] = []
    decode = video_folder.decode_crops

    def interrupted(footage: Footage, *rest: object) -> None:
        decoded.append(footage.path.stem)
        if len(decoded) == 3:
            raise KeyboardInterrupt
        decode(footage, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(video_folder, "decode_crops", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.prepare(tmp_path / "twice")
    assert not list((tmp_path / "twice").rglob("*.partial")) and not list((tmp_path / "twice").glob("*.safetensors"))
    data.prepare(tmp_path / "twice")
    assert decoded == ["set_run_0", "set_run_1", "set_run_2", "set_run_2", "set_run_3"]
    data.prepare(tmp_path / "twice")
    assert len(decoded) == 5
    for split in data.splits:
        first, second = split_file(tmp_path / "whole", split), split_file(tmp_path / "twice", split)
        assert first.read_bytes() == second.read_bytes()
    assert {path.name for path in (tmp_path / "twice").iterdir()} == {
        "prepared.json",
        *(f"{split}.safetensors" for split in data.splits),
    }


def good(**changes: object) -> str:
    return json.dumps({"frame": 0, "track": 1, "box": [60, 30, 40, 50]} | changes)


BOXES = {
    "empty": ("\n", "boxes is empty"),
    "no JSON": (good() + "\n{oops", "line 2: not JSON"),
    "no object": ("[1, 2]", "not a JSON object"),
    "no key": ('{"frame": 0, "track": 1, "bbox": [1, 2, 3, 4]}', "'box' is missing(.*\n)*.*did you mean 'bbox'"),
    "three": (good(box=[1, 2, 3]), "four finite numbers"),
    "text": (good(box="1 2 3 4"), "four finite numbers"),
    "NaN": (good(box=[1, 2, float("nan"), 4]), "four finite numbers"),
    "negative size": (good(box=[60, 30, -40, 50]), "without size"),
    "outside": (good(box=[500, 30, 40, 50]), "outside the frame(.*\n)*.*160 x 120"),
    "beyond": (good(frame=FRAMES), "beyond the video(.*\n)*.*0 to 19"),
    "frame": (good(frame=-1), "frame is no whole number"),
    "frame text": (good(frame="0"), "frame is no whole number"),
    "track": (good(track=1.5), "track is no whole number"),
    "twice": (good() + "\n" + good(), "two boxes"),
}


@pytest.mark.parametrize("case", BOXES)
def test_wrong_boxes_are_named(case: str, tmp_path: Path, write_video: WriteVideo) -> None:
    text, message = BOXES[case]
    write_video(tmp_path / "a.mp4", grey())
    (tmp_path / "a.boxes.jsonl").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        alone(tmp_path).prepare(tmp_path / "out")
    assert "a.boxes.jsonl" in str(caught.value)
    assert not list((tmp_path / "out").rglob("*.*"))


def test_wrong_videos_are_named(tmp_path: Path, write_video: WriteVideo) -> None:
    folder = tmp_path / "in"
    with pytest.raises(DataError, match="no such file or folder"):
        alone(folder).prepare(tmp_path / "out")
    folder.mkdir()
    with pytest.raises(DataError, match=r"no \.mp4 file"):
        alone(folder).prepare(tmp_path / "out")
    path = folder / "a.mp4"
    write_video(path, grey())
    whole = path.read_bytes()
    with pytest.raises(DataError, match="the path is a file"):
        alone(path).prepare(tmp_path / "out")
    spoilt = bytearray(whole)
    media = whole.index(b"mdat") + 4
    spoilt[media : media + 900] = bytes(900)
    for content, message in (
        (b"", "the file is empty"),
        (b"no video at all" * 20, "unreadable or truncated"),
        (whole[: len(whole) // 2], "unreadable or truncated"),
        (bytes(spoilt), "a.mp4"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message) as caught:
            alone(folder).prepare(tmp_path / "out")
        assert str(path) in str(caught.value)
    assert not list((tmp_path / "out").rglob("*.*"))


def test_the_assumed_principal_point_is_the_middle_in_corner_coordinates(tmp_path: Path) -> None:
    matrix, source = intrinsics_of(Footage(tmp_path / "a.mp4", 160, 120, np.zeros(1)), 140.0, 50.0)
    assert matrix.tolist() == [[140.0, 0, 80.0], [0, 140.0, 60.0], [0, 0, 1]] and source == "focal_px"


def test_video_that_ends_early_is_refused(tmp_path: Path, write_video: WriteVideo) -> None:
    write_video(tmp_path / "a.mp4", grey(5))
    footage = probe(tmp_path / "a.mp4")
    assert [index for index, _ in frames(footage, {1, 3, 9})] == [1, 3]
    longer = attrs.evolve(footage, times_s=np.arange(7) / 20.0)
    with pytest.raises(DataError, match="truncated(.*\n)*.*5 frames"):
        list(frames(longer, ()))


def test_video_without_frames_is_refused(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        container.start_encoding()
    with pytest.raises(DataError, match=r"a\.mp4"):
        probe(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joints_camera_m": np.zeros((FRAMES, 51))}, "wrong shape"),
        ({"joints_camera_m": walker()[:-1]}, "another length"),
        ({"joints_camera_m": np.stack([walker()] * 2)}, "other tracks"),
        ({"tracks": np.array([3])}, "other tracks"),
        ({"tracks": np.array([7, 8])}, "tracks do not fit"),
        ({"joints_camera_m": np.full((FRAMES, 17, 3), np.nan)}, "not finite"),
        ({"joints_camera_m": -walker()}, "in front of the camera"),
        ({"intrinsics": np.eye(4)}, "no pinhole camera"),
        ({"intrinsics": np.full((3, 3), np.nan)}, "no pinhole camera"),
        ({"joints": np.array([f"j{i}" for i in range(17)])}, "cannot be mapped"),
    ],
)
def test_wrong_truth_is_named(changes: dict[str, np.ndarray], message: str, filmed: Path, tmp_path: Path) -> None:
    path = filmed / "film_walk_1.truth.npz"
    arrays = dict(np.load(path)) | changes
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message) as caught:
        alone(filmed).prepare(tmp_path / "out")
    assert "film_walk_1.truth.npz" in str(caught.value)


def test_wrong_camera_file_is_named(filmed: Path, tmp_path: Path) -> None:
    for text, message in (("{}", "no intrinsics"), ('{"intrinsics": "wide"}', "no numbers"), ("{", "JSON")):
        (filmed / "film_walk_1.camera.json").write_text(text)
        with pytest.raises(DataError, match=message):
            alone(filmed).prepare(tmp_path / "out")


@given(st.sets(st.integers(0, 40), min_size=1), st.integers(0, 5))
def test_joined_tracks_hold_every_box_and_no_long_gap(present: set[int], max_gap: int) -> None:
    boxes = {3: {frame: np.array([frame, 2.0 * frame, 10.0, 20.0]) for frame in present}}
    tracks = join(boxes, max_gap)
    covered = [frame for track in tracks for frame in range(track.first, track.first + len(track.boxes))]
    assert present <= set(covered) and len(covered) == len(set(covered))
    for track in tracks:
        every = np.arange(track.first, track.first + len(track.boxes))
        np.testing.assert_allclose(track.boxes[:, 0], every)  # linear motion is interpolated exactly
        gap = 0
        for frame in every:
            gap = 0 if frame in present else gap + 1
            assert gap <= max_gap


@given(st.integers(1, 30), st.floats(0.5, 60), st.integers(0, 10_000))
def test_sampling_agrees_with_a_slow_search(length: int, fps: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    times = np.cumsum(generator.uniform(0.01, 0.1, size=length + 4))
    track = Track(0, 2, np.ones((length, 4)))
    found = sample(track, times - times[0], fps)
    shown = (times - times[0])[2 : 2 + length]
    ticks = [k / fps for k in range(int(shown[-1] * fps) + 2) if shown[0] - 1e-7 <= k / fps <= shown[-1] + 1e-7]
    assert len(found) == len(ticks)
    for frame, tick in zip(found, ticks, strict=True):
        assert abs(shown[frame - 2] - tick) <= np.abs(shown - tick).min() + 1e-9


def test_smoothing_keeps_constant_boxes_and_calms_others() -> None:
    still = Track(0, 5, np.tile([1.0, 2.0, 3.0, 4.0], (9, 1)))
    np.testing.assert_allclose(smooth(still, 3).boxes, still.boxes)
    noisy = attrs.evolve(still, boxes=still.boxes + np.random.default_rng(0).normal(size=(9, 4)))
    assert smooth(noisy, 3).boxes.std(0).max() < noisy.boxes.std(0).min()
    assert smooth(noisy, 0) is noisy


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    """Videos, boxes, cameras and truths, one spoilt at a time."""
    whole = tmp_path / "whole"
    whole.mkdir()
    write_footage(whole, "clip", standing(0) + [0, 0, 4.0])
    (whole / "clip.camera.json").write_text('{"intrinsics": [[300, 0, 80], [0, 300, 60], [0, 0, 1]]}')

    def read(folder: Path) -> None:
        config = VideoFolderConfig(path=str(folder), size=16, fps=5.0, validation=0.0, test=0.0)
        with TemporaryDirectory() as room:
            VideoFolder(config).prepare(Path(room))

    found = outcomes(read, whole, tmp_path / "spoilt", range(220))
    assert found["read"] > 5 and found["refused"] > 50
