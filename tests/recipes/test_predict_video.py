"""`sa3dhp predict` on films, by a real run made small: poses as the encoder says, in the film's camera."""

from __future__ import annotations

import json
import shutil
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sa3dhp_backbones.detector_example import small_rt_detr
from sa3dhp_core import runner
from sa3dhp_core.atomic import read_json
from sa3dhp_core.geometry import project, smallest_circle
from sa3dhp_core.host import Host
from sa3dhp_datasets.config import VideoFolderConfig
from sa3dhp_datasets.crops import plan_of, tracks_of
from sa3dhp_datasets.footage import frames, probe
from sa3dhp_self_adaptation.row_stages import predictor_of
from tests.recipes.conftest import Call
from tests.recipes.shrinking import shrunk

pytestmark = pytest.mark.slow
ROW = ("--set", "row=source-only")


@pytest.fixture(scope="session")
def encoder_run(tmp_path_factory: pytest.TempPathFactory, host: Host) -> Path:
    """A run of `quickstart` whose source-only row is trained for two steps; nothing after it."""
    out = tmp_path_factory.mktemp("encoder") / "quickstart"
    runner.run(shrunk("quickstart", host), host, out, only=["row-source-only", "data-target"])
    return out


@pytest.fixture
def video(footage: Path, tmp_path: Path) -> Path:
    """A video of two seconds with boxes and camera beside it, under a name of its own."""
    folder = tmp_path / "in"
    folder.mkdir()
    (source, *_) = sorted(footage.glob("*.mp4"))
    for path in footage.glob(f"{source.stem}.*"):
        shutil.copy(path, folder / path.name.replace(source.stem, "my film"))
    return folder / "my film.mp4"


@pytest.fixture
def call(sa3dhp: Call) -> Call:
    """``call("RUN", "INPUT", …)`` returns exit code, standard output and standard error of `sa3dhp predict`."""
    return partial(sa3dhp, "predict")


def arrays_of(out: Path, told: dict[str, Any]) -> dict[str, Any]:
    """The npz file of a clip."""
    with np.load(out / told["files"]["npz"], allow_pickle=False) as file:
        return dict(file)


def in_crops(run: Path, host: Host, video: Path, **keys: Any) -> tuple[torch.Tensor, Any]:
    """The slow and obvious way: crops prepared as data, predicted at once, and the plan that they were cut by."""
    recipe = runner.recipe_of(run)
    method = host.build("method", {"use": "sa3dhp", **recipe.settings}, "settings", recipe=recipe, host=host)
    folders = runner.stage_folders(run)
    method.space.load_pose_prior(folders["pose_prior"], torch.device("cpu"))
    predict = predictor_of(method, folders["row-source-only"], torch.device("cpu"), False)
    config = VideoFolderConfig(path=str(video.parent), size=32, fps=0, validation=0.0, test=0.0, **keys)
    data, room = host.build("image_data", {"use": "video-folder", **_table(config)}, "data"), video.parent / "crops"
    data.prepare(room)
    images = torch.cat(list(data.clips(room, "train").batches(50)))
    footage = probe(video)
    return predict(images), plan_of(footage, config, tracks_of(footage, config))


def _table(config: VideoFolderConfig) -> dict[str, Any]:
    names = ("path", "size", "fps", "validation", "test", "boxes")
    return {name: getattr(config, name) for name in names}


def test_poses_are_the_encoders_turned_into_the_films_camera(
    encoder_run: Path, video: Path, call: Call, host: Host, tmp_path: Path
) -> None:
    out = tmp_path / "poses"
    code, printed, err = call(encoder_run, video, "--out", out, *ROW, "--json")
    assert code == 0, err
    index = json.loads(printed)
    (told,) = index["clips"]
    assert (told["clip"], told["model"], told["start_s"]) == ("my film", "source-only", 0.0)
    arrays = arrays_of(out, told)
    seen, plan = in_crops(encoder_run, host, video)
    assert np.abs(arrays["poses"] - (seen @ plan.rotation.float()).numpy()).max() < 1e-5
    assert arrays["frame_number"].tolist() == plan.frames.tolist() == list(range(told["frames"]))
    assert arrays["time_s"] == pytest.approx(arrays["frame_number"] / told["fps"])
    placed = torch.from_numpy(arrays["poses"] + arrays["root_m"][:, None]).double() @ plan.rotation.mT
    centre, radius = smallest_circle(project(placed, plan.intrinsics))
    assert (centre - 16).abs().max() < 0.1 and (radius - 16 / 1.15).abs().max() < 0.1, "the person fills the box"
    assert index["overlay"] == "overlay.mp4" and "overlay.mp4" in (out / "index.html").read_text(encoding="utf-8")
    _check_overlay(video, out / "overlay.mp4", placed, plan)
    assert arrays["intrinsics"].tolist() == plan.camera.tolist() and index["notes"] == []


def _check_overlay(video: Path, overlay: Path, placed: torch.Tensor, plan: Any) -> None:
    """The same pictures at the same times; only the person's surroundings are drawn upon."""
    before, after = probe(video), probe(overlay)
    assert (after.width, after.height) == (before.width, before.height)
    assert after.times_s == pytest.approx(before.times_s, abs=1e-3)
    every = range(len(before.times_s))
    pairs = list(zip(frames(before, every), frames(after, every), strict=True))
    points = project(placed @ plan.rotation, plan.camera).numpy()
    for (number, plain), (_, drawn) in pairs[:: len(pairs) // 3]:
        changed = np.abs(plain.astype(int) - drawn).max(-1) > 60
        rows, columns = np.nonzero(changed)
        (left, top), (right, bottom) = points[number].min(0) - 8, points[number].max(0) + 8
        assert len(rows) > 50 and left < columns.min() and columns.max() < right
        assert top < rows.min() and rows.max() < bottom


def test_smoothing_calms_poses_and_pictures_may_be_left_out(
    encoder_run: Path, video: Path, call: Call, tmp_path: Path
) -> None:
    rough, calm = tmp_path / "rough", tmp_path / "calm"
    for out, words in ((rough, ()), (calm, ("--smooth", "0.5"))):
        code, _, err = call(encoder_run, video, "--out", out, *ROW, "--no-pictures", *words)
        assert code == 0 and not (out / "overlay.mp4").exists() and not (out / "index.html").exists(), err
    told = [read_json(out / "index.json") for out in (rough, calm)]
    assert told[1]["smooth_hz"] == 0.5 and "smooth_hz" not in told[0]
    for key in ("poses", "root_m"):
        before, after = (arrays_of(out, index["clips"][0])[key] for out, index in zip((rough, calm), told, strict=True))
        assert np.array_equal(before[0], after[0]) and np.diff(after, axis=0).std() < np.diff(before, axis=0).std()
    code, _, err = call(encoder_run, video, "--out", tmp_path / "none", *ROW, "--smooth", "0")
    assert code == 2 and "impossible cutoff" in err and not (tmp_path / "none").exists()


def test_the_file_of_boxes_may_be_named_and_each_track_is_a_clip(
    encoder_run: Path, video: Path, call: Call, tmp_path: Path
) -> None:
    lines = [
        json.dumps({"frame": frame, "track": track, "box": [40 + 60 * track, 60, 50, 120]})
        for track, frames in ((3, range(20)), (1, range(10, 30)), (3, range(30, 40)))
        for frame in frames
    ]
    boxes = tmp_path / "people.jsonl"
    boxes.write_text("\n".join(lines), encoding="utf-8")
    out = tmp_path / "poses"
    code, printed, err = call(encoder_run, video, "--out", out, *ROW, "--boxes", boxes)
    assert code == 0 and "track3_my_film-2" in printed, err
    clips = read_json(out / "index.json")["clips"]
    fps = clips[0]["fps"]
    assert [(c["subject"], c["frames"]) for c in clips] == [("track1", 20), ("track3", 20), ("track3", 10)]
    assert [c["start_s"] for c in clips] == pytest.approx([10 / fps, 0, 30 / fps], abs=1e-5)
    assert arrays_of(out, clips[2])["frame_number"].tolist() == list(range(30, 40))


def test_a_folder_of_images_is_a_film(encoder_run: Path, video: Path, call: Call, tmp_path: Path) -> None:
    """The video's own pictures, saved without loss, give the video's own poses."""
    shots = tmp_path / "shots"
    shots.mkdir()
    for number, picture in frames(probe(video), range(12)):
        Image.fromarray(picture).save(shots / f"shot {number}.png")
    (shots / "notes.txt").write_text("no picture")
    boxes = [line for line in video.with_name("my film.boxes.jsonl").read_text().splitlines()]
    few = "\n".join(line for line in boxes if json.loads(line)["frame"] < 12)
    (tmp_path / "shots.boxes.jsonl").write_text(few, encoding="utf-8")
    shutil.copy(video.with_name("my film.truth.npz"), tmp_path / "camera.npz")
    camera = np.load(tmp_path / "camera.npz")["intrinsics"].tolist()
    (tmp_path / "shots.camera.json").write_text(json.dumps({"intrinsics": camera}), encoding="utf-8")
    code, _, err = call(encoder_run, shots, "--out", tmp_path / "of images", *ROW, "--set", "fps=30")
    assert code == 0 and "note" not in err, err
    code, _, err = call(encoder_run, video, "--out", tmp_path / "of video", *ROW, "--no-pictures")
    found, expected = (
        arrays_of(out, read_json(out / "index.json")["clips"][0])
        for out in (tmp_path / "of images", tmp_path / "of video")
    )
    assert found["poses"].shape == (12, 17, 3) and np.abs(found["poses"] - expected["poses"][:12]).max() < 1e-5
    assert found["time_s"] == pytest.approx(np.arange(12) / 30)
    assert len(probe(tmp_path / "of images" / "overlay.mp4").times_s) == 12


def test_images_that_do_not_fit_are_named(encoder_run: Path, call: Call, tmp_path: Path) -> None:
    shots = tmp_path / "shots"
    shots.mkdir()
    for number, size in enumerate(((64, 48), (64, 48), (48, 64))):
        Image.new("RGB", size).save(shots / f"{number}.jpg")
    code, _, err = call(encoder_run, shots, "--out", tmp_path / "a", *ROW)
    assert code == 2 and "the image has another size" in err and "2.jpg" in err
    (shots / "2.jpg").write_bytes(b"no picture")
    code, _, err = call(encoder_run, shots, "--out", tmp_path / "b", *ROW)
    assert code == 2 and "the image cannot be read" in err and "2.jpg" in err
    code, _, err = call(encoder_run, shots / "1.jpg", "--out", tmp_path / "c", *ROW)
    assert code == 0 and "images taken as 25 a second" in err, err
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()


def test_without_boxes_the_whole_frame_is_taken_with_a_note(
    encoder_run: Path, video: Path, call: Call, tmp_path: Path
) -> None:
    for path in video.parent.iterdir():
        if path != video:
            path.unlink()
    out = tmp_path / "poses"
    code, _, err = call(encoder_run, video, "--out", out, *ROW, "--set", "fps=10")
    assert code == 0 and "the whole frame is taken as one person" in err and "focal length assumed" in err
    (told,) = read_json(out / "index.json")["clips"]
    assert told["fps"] == 10 and told["subject"] == "track0"
    plain = read_json(out / told["files"]["json"])
    assert plain["time_s"] == pytest.approx([k / 10 for k in range(told["frames"])])
    assert np.abs(np.array(plain["root_m"]) - arrays_of(out, told)["root_m"]).max() < 1e-6


def test_people_are_found_by_a_detector_where_there_are_no_boxes(
    encoder_run: Path, video: Path, call: Call, tmp_path: Path
) -> None:
    """An untrained detector of the real family: it finds people anywhere, always at the same places."""
    video.with_name("my film.boxes.jsonl").unlink()
    weights = tmp_path / "weights"
    weights.mkdir()
    named = ("--set", "detector.use=transformers-detector", "--set")
    code, _, err = call(encoder_run, video, "--out", tmp_path / "a", *ROW, *named, "detector.model=nowhere")
    assert code == 2 and "no such folder of weights" in err and "hf download" in err and not (tmp_path / "a").exists()
    table = small_rt_detr(weights)
    words = (*named, f"detector.model={table['model']}", "--set", "detector.least_score=0.0", "--no-pictures")
    code, _, err = call(encoder_run, video, "--out", tmp_path / "b", *ROW, *words)
    assert code == 0 and "whole frame" not in err, err
    clips = read_json(tmp_path / "b" / "index.json")["clips"]
    frames_of_film = len(probe(video).times_s)
    assert 1 <= len({clip["subject"] for clip in clips}) and max(c["frames"] for c in clips) == frames_of_film
    sure = (*words, "--set", "detector.least_score=1.0")
    code, _, err = call(encoder_run, video, "--out", tmp_path / "c", *ROW, *sure)
    assert code == 2 and "the detector finds nobody" in err


def _bad(kind: str, video: Path) -> Path:
    """An input that is no film."""
    path = video.with_name(kind)
    if kind == "truncated.mp4":
        path.write_bytes(video.read_bytes()[:3000])
    elif kind == "empty":
        path.mkdir()
    elif kind == "nonsense.mp4":
        path.write_bytes(b"no video at all" * 30)
    elif kind.startswith("keypoints"):
        np.savez(path, positions_2d=np.zeros(3))
    elif kind == "films.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(video)
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing.mp4", ["no such file or folder"]),
        ("truncated.mp4", ["truncated.mp4", "unreadable or truncated video"]),
        ("nonsense.mp4", ["nonsense.mp4", "unreadable or truncated video"]),
        ("empty", ["an empty folder"]),
        ("films.zip", ["an archive", "unpack it first"]),
        ("keypoints.npz", ["no film", "a run that trained a lifter reads 2D keypoints"]),
    ],
)
def test_other_inputs_are_named_and_nothing_is_written(
    kind: str, words: list[str], encoder_run: Path, video: Path, call: Call, tmp_path: Path
) -> None:
    code, printed, err = call(encoder_run, _bad(kind, video), "--out", tmp_path / "poses", *ROW)
    assert code == 2 and not printed and "Traceback" not in err and [word for word in words if word not in err] == []
    assert not (tmp_path / "poses").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "fsp=25"), "did you mean 'fps'"),
        (("--set", "size=9"), "unknown key 'size'"),
        (("--set", "row=source-olny"), "did you mean 'source-only'"),
        ((), "sa3dhp resume"),  # the headline row is not trained
        (("--boxes", "gone.jsonl"), "no such file or folder of boxes"),
        (("--boxes", "wrong.jsonl"), "a box outside the frame"),
    ],
)
def test_wrong_words_are_named(
    words: tuple[str, ...], said: str, encoder_run: Path, video: Path, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "wrong.jsonl").write_text('{"frame": 0, "track": 1, "box": [9000, 0, 10, 10]}', encoding="utf-8")
    words = tuple(str(tmp_path / word) if word.endswith(".jsonl") else word for word in words)
    row = () if not words or "row=" in words[-1] else ROW
    code, _, err = call(encoder_run, video, "--out", tmp_path / "poses", *row, *words)
    assert code == 2 and said in err and "Traceback" not in err and not (tmp_path / "poses").exists()
