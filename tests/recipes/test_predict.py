"""`sa3dhp predict` on a real run, made small: what comes out is what the lifter says, and BVH is read back."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from sa3dhp_core import runner
from sa3dhp_core.atomic import read_json
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import bone_lengths
from sa3dhp_core.host import Host
from sa3dhp_core.types import Skeleton
from sa3dhp_datasets.bvh import convert
from sa3dhp_datasets.bvh_file import read_bvh
from sa3dhp_datasets.config import BvhConfig, LiftingNpzConfig
from sa3dhp_datasets.keypoint_example import CLIPS, FRAMES, SUBJECTS, lifting_arrays, write_lifting
from sa3dhp_datasets.lifting_npz import read_clips
from tests.recipes.conftest import Call

pytestmark = pytest.mark.slow


@pytest.fixture
def call(sa3dhp: Call) -> Call:
    """``call("RUN", "INPUT", …)`` returns exit code, standard output and standard error of `sa3dhp predict`."""
    return partial(sa3dhp, "predict")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Keypoints of three subjects in two clips and two cameras; a wrist here and a root there were not seen."""
    folder = tmp_path / "in"
    folder.mkdir()
    flat, _, rig = lifting_arrays()
    flat["S1"][CLIPS[0]][0][1, 13] = flat["S1"][CLIPS[0]][0][2, 0] = np.nan
    return write_lifting(folder, flat, None, rig)


def test_every_clip_comes_out_as_the_lifter_says_and_as_bvh(
    lifting: Path, files: Path, call: Call, host: Host, tmp_path: Path
) -> None:
    out = tmp_path / "poses"
    code, printed, err = call(lifting, files / "data_2d_toy_gt.npz", "--out", out, "--set", "fps=25", "--json")
    assert code == 0, err
    index = json.loads(printed)
    assert index == read_json(out / "index.json") and index["recipe"] == "ites-world"
    trained = runner.trained_lifter(lifting, host)
    clips = list(read_clips(LiftingNpzConfig(path=str(files))))
    assert len(clips) == len(index["clips"]) == len(SUBJECTS) * len(CLIPS) * 2
    for clip, told in zip(clips, index["clips"], strict=True):
        assert (told["subject"], told["clip"], told["camera"]) == (clip.subject, clip.name, clip.camera)
        expected = trained.lift(torch.from_numpy(clip.points).float())
        with np.load(out / told["files"]["npz"], allow_pickle=False) as file:
            poses, times, seen = file["poses"], file["time_s"], file["seen"]
        assert np.array_equal(poses, expected.numpy()) and np.isfinite(poses).all()
        assert times.tolist() == pytest.approx([frame / 25 for frame in range(FRAMES)])
        assert np.array_equal(seen, np.isfinite(clip.points).all(axis=-1))
        _check_bvh(out / told["files"]["bvh"], expected.double(), trained.skeleton)
    assert [told["unseen_joints"] for told in index["clips"]] == [2] + [0] * (len(clips) - 1)


def _check_bvh(path: Path, poses: torch.Tensor, body: Skeleton) -> None:
    """Read back by the reader of the data sets: the lifter's directions along bones of their median lengths."""
    found = convert(read_bvh(path), path.stem, BvhConfig(unit_m=1.0), str(path))
    assert found.rig == "house" and found.clip.fps == 25
    x, y, z = poses.unbind(-1)  # the reader's world has z up; the file has y up and looks back at the camera
    lengths, expected = bone_lengths(poses, body).quantile(0.5, dim=0), torch.zeros_like(poses)
    upright = torch.stack([x, z, -y], dim=-1)
    for bone in body.bones:
        along = upright[:, bone] - upright[:, body.parent_indices[bone]]
        along = lengths[bone] * torch.nn.functional.normalize(along, dim=-1)
        expected[:, bone] = expected[:, body.parent_indices[bone]] + along
    assert np.abs(found.clip.positions - expected.numpy()).max() < 1e-3


def test_a_folder_is_read_and_nothing_is_overwritten(lifting: Path, files: Path, call: Call, tmp_path: Path) -> None:
    out = tmp_path / "poses"
    code, printed, err = call(lifting, files, "--out", out, "--set", "stride=2", "--set", "fps=50")
    assert code == 0 and "S9_walk_2_1" in printed and str(out) in printed, err
    assert read_json(out / "S9_walk_2_1.json")["time_s"] == [0.0, 0.04, 0.08]
    before = {path: path.read_bytes() for path in out.iterdir()}
    code, _, err = call(lifting, files, "--out", out)
    assert code == 2 and "left as it is" in err
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def _bad(kind: str, folder: Path) -> Path:
    """An input that is not keypoints."""
    folder.mkdir()
    if kind == "other npz":
        np.savez(folder / "motion.npz", positions=np.zeros((2, 17, 3)))
    elif kind == "truncated npz":
        whole = write_lifting(folder, *lifting_arrays()) / "data_2d_toy_gt.npz"
        (folder / "motion.npz").write_bytes(whole.read_bytes()[:-200])
    elif kind in ("frames", "videos"):
        (folder / ("000001.jpg" if kind == "frames" else "a.mp4")).touch()
    elif kind != "missing.npz":
        (folder / kind).touch()
    return folder / "motion.npz" if kind.endswith(" npz") else folder / kind if "." in kind else folder


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing.npz", ["no such file or folder"]),
        ("keypoints.zip", ["reads nothing else", "a zip archive", "unpack it first"]),
        ("talk.mp4", ["lifts 2D keypoints", "a video", "positions_2d"]),
        ("face.png", ["lifts 2D keypoints", "an image"]),
        ("notes.xyz", ["a file of another kind"]),
        ("frames", ["a folder of images", "positions_2d"]),
        ("videos", ["a folder of videos"]),
        ("other npz", ["'positions_2d' is missing", "positions"]),
        ("truncated npz", ["npz file"]),
    ],
)
def test_other_inputs_are_named_and_nothing_is_written(
    kind: str, words: list[str], lifting: Path, call: Call, tmp_path: Path
) -> None:
    code, printed, err = call(lifting, _bad(kind, tmp_path / "in"), "--out", tmp_path / "poses")
    assert code == 2 and not printed and "Traceback" not in err and [word for word in words if word not in err] == []
    assert not (tmp_path / "poses").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [("fsp=25", "did you mean 'fps'"), ("truth=none", "unknown key 'truth'"), ("fps=-1", "fps")],
)
def test_wrong_keys_of_the_reader_are_named(
    change: str, words: str, lifting: Path, files: Path, call: Call, tmp_path: Path
) -> None:
    code, _, err = call(lifting, files, "--out", tmp_path / "poses", "--set", change)
    assert code == 2 and words in err and "Traceback" not in err and not (tmp_path / "poses").exists()


def test_an_unfinished_run_says_so(lifting: Path, files: Path, host: Host, call: Call, tmp_path: Path) -> None:
    half = tmp_path / "half"
    half.mkdir()
    shutil.copy(lifting / "recipe.toml", half)
    code, _, err = call(half, files, "--out", tmp_path / "poses")
    assert code == 2 and "is not done" in err and f"sa3dhp resume {half}" in err
    assert not (tmp_path / "poses").exists()
    with pytest.raises(DataError, match="no such file"):
        next(runner.predict(lifting, host, tmp_path / "gone.npz"))
