"""Every recipe of the method `ites` runs two steps of each training and leaves lifters that load."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sa3dhp_core import runner
from sa3dhp_core.atomic import read_tensors
from sa3dhp_core.cards import card_ids
from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import load_recipe
from tests.recipes.shrinking import shrunk

LIFTING = [recipe for recipe in card_ids("recipes") if load_recipe(recipe).method == "ites"]
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "lifting"


def own_input(recipe: str, folder: Path) -> list[str]:
    """Keypoint files for a recipe that reads files of the user's."""
    from sa3dhp_datasets.keypoint_example import lifting

    if load_recipe(recipe).data["keypoints"]["use"] != "lifting-npz":
        return []
    lifting(folder)
    return [f"data.keypoints.path={folder}", 'data.keypoints.test=["S9"]']


@pytest.mark.slow
@pytest.mark.parametrize("recipe", LIFTING)
def test_recipe_runs_two_steps_and_leaves_lifters_that_load(recipe: str, host: Host, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    small = shrunk(recipe, host, own_input(recipe, tmp_path / "in"))
    out = tmp_path / "run"
    results = runner.run(small, host, out)
    records = [record for record in results["records"] if record["split"] == "keypoints-test"]
    rows = {record["row"] for record in records}
    assert rows == {"flat depth", "true depth", "teacher", "student"}
    assert {record["protocol"] for record in records} == {*small.evaluation.protocols, "spread"}
    assert all(math.isfinite(record["value"]) for record in results["records"])
    folders = runner.stage_folders(out)
    method = host.build("method", {"use": small.method, **small.settings}, "settings", recipe=small, host=host)
    skeleton = method.data.keypoints(folders["data-keypoints"], "test").skeleton
    kept = read_tensors(out / "analysis" / "lifted-test.safetensors")["poses"]
    with np.load(out / "analysis" / "samples.npz", allow_pickle=False) as file:
        shown = {name: torch.from_numpy(file[name]) for name in ("images", "truth", "pred/student")}
    assert len(shown["images"]) == len(shown["truth"]) and torch.equal(shown["pred/student"][0], kept[0])
    assert "skeletons of sample 1" in runner.report(out, host).read_text(encoding="utf-8")
    student = method.trained("student", folders["student"], skeleton, torch.device("cpu"))
    points = next(iter(method.data.keypoints(folders["data-keypoints"], "test").batches(10_000)))
    assert torch.allclose(student(points), kept, atol=1e-4)
    again = runner.evaluate(out, host, "keypoints-test", "pa-mpjpe")["records"]
    before = {
        r["row"]: r["value"] for r in records if r["protocol"] == "pa-mpjpe" and r["row"] in ("teacher", "student")
    }
    after = {r["row"]: r["value"] for r in again if (r["protocol"], r["split"]) == ("pa-mpjpe", "keypoints-test")}
    assert after == pytest.approx(before, rel=1e-5)


@pytest.mark.slow
def test_a_run_is_scored_on_files_of_others(host: Host, tmp_path: Path) -> None:
    from sa3dhp_datasets.keypoint_example import lifting_arrays, write_lifting

    out, files = tmp_path / "run", tmp_path / "in"
    files.mkdir()
    runner.run(shrunk("ites-world", host), host, out)
    write_lifting(files, *lifting_arrays())
    records = runner.evaluate(out, host, str(files), "ites-mpjpe")["records"]
    splits = {str(files), *(f"{files}:{subject}" for subject in ("S1", "S5", "S9"))}
    scored = {(r["row"], r["split"]) for r in records if r["protocol"] == "ites-mpjpe"}
    assert scored == {(row, split) for row in ("teacher", "student") for split in splits}
    for wrong, message in (("keypoints-tset", "keypoints-test"), (str(tmp_path / "gone"), "neither data")):
        with pytest.raises(RecipeError, match=message):
            runner.evaluate(out, host, wrong, "ites-mpjpe")
    (files / "data_3d_toy.npz").unlink()
    with pytest.raises(DataError, match="no truth to score by"):
        runner.evaluate(out, host, str(files), "ites-mpjpe")


def test_the_recipe_as_published_has_the_published_sizes(host: Host) -> None:
    recipe = load_recipe("ites")
    settings = host.config("method", {"use": "ites", **recipe.settings}, "settings")
    teacher = host.config("lifter", settings.teacher, "teacher")
    student = host.config("lifter", settings.student, "student")
    assert (teacher.width, teacher.bottleneck, teacher.blocks, teacher.shapes) == (1024, 256, 6, 12)
    assert (student.width, student.blocks, student.head) == (128, 4, "depth")
    epoch = 6912 // 128
    assert (settings.teaching.steps, settings.learning.steps) == (50 * epoch, 40 * epoch)
    for training in (settings.teaching, settings.learning):
        assert (training.halve_every, training.rotations, training.batch) == (15 * epoch, 4, 128)
        assert (training.learning_rate, training.momentum, training.weight_decay) == (1e-3, 0.9, 5e-4)
    assert (settings.teaching.reprojection, settings.learning.distillation, settings.teaching.aligned) == (5, 5, 810)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no keypoints at {SHARED}")
def test_the_controls_on_the_real_set_are_the_published_ones(host: Host, tmp_path: Path) -> None:
    """Flat depth is 94.3 / 73.6 there with distortion; undone, the floor of the camera model is below 13 mm."""
    small = shrunk("ites", host, [f"data.keypoints.path={SHARED}", "data.keypoints.stride=5"])
    results = runner.run(small, host, tmp_path, only=["score-controls"])
    value = {(r["row"], r["protocol"]): r["value"] for r in results["records"] if r["split"] == "keypoints-test"}
    assert value["flat depth", "ites-mpjpe"] == pytest.approx(93.6, abs=1.0)
    assert value["flat depth", "ites-pa-mpjpe"] == pytest.approx(73.6, abs=1.0)
    assert value["true depth", "ites-mpjpe"] < 13 and value["true depth", "ites-pa-mpjpe"] < 10
