"""`sa3dhp export` on real runs, made small: what the files compute is what the run predicts."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor

from sa3dhp_core import runner
from sa3dhp_core.atomic import read_json, read_tensors, write_json
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import load_recipe
from tests.recipes.conftest import Call
from tests.recipes.shrinking import by_name, shrunk

pytestmark = pytest.mark.slow

CLOSE_M = 2e-5
"""How far a file's coordinates may lie from those that the run predicts."""


@pytest.fixture
def call(sa3dhp: Call) -> Call:
    """``call("RUN", "--format", …)`` returns exit code, standard output and standard error of `sa3dhp export`."""
    return partial(sa3dhp, "export")


@pytest.fixture(scope="module")
def adapted(host: Host, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `quickstart`, two steps each, whose main row is scored as the mean over the crop's mirror image."""
    out = tmp_path_factory.mktemp("adapted") / "run"
    number = [row["name"] for row in load_recipe("quickstart").rows].index("adapted")
    small = shrunk("quickstart", host, [f"rows.{number}.mirror_average=true"])
    assert by_name(small.rows)["adapted"]["headline"]
    runner.run(small, host, out, only=["score-adapted", "score-source-only"], store=store)
    return out


def computed(path: Path, inputs: Tensor) -> Tensor:
    """What the file makes of inputs, run as its user would."""
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return torch.from_numpy(session.run(["poses"], {session.get_inputs()[0].name: inputs.numpy()})[0])
    poses: Tensor = torch.export.load(path).module()(inputs)
    return poses


def crops(run: Path, host: Host, split: str) -> Tensor:
    """All crops of a split of the run's target."""
    recipe = runner.recipe_of(run)
    data = host.build("image_data", recipe.data["target"], "data.target")
    return torch.cat(list(data.clips(runner.stage_folders(run)["data-target"], split).batches(64)))


@pytest.mark.parametrize(
    ("form", "row", "name"),
    [
        ("onnx", "adapted", "adapted.onnx"),
        ("torch-export", "adapted", "adapted.pt2"),
        ("torch-export", "source-only", "source-only.pt2"),
    ],
)
def test_a_row_computes_what_the_run_predicted_of_the_test_split(
    form: str, row: str, name: str, adapted: Path, host: Host, call: Call
) -> None:
    asked = ("--row", row) if row != "adapted" else ()
    code, printed, err = call(adapted, "--format", form, *asked)
    path = adapted / "export" / name
    assert code == 0 and f"row {row}" in printed and str(path) in printed and "at most" in printed, err
    expected = read_tensors(runner.stage_folders(adapted)[f"score-{row}"] / "predictions-test.safetensors")["poses"]
    images = crops(adapted, host, "test")
    torch.testing.assert_close(computed(path, images), expected, atol=CLOSE_M, rtol=0)
    torch.testing.assert_close(computed(path, images[:1]), expected[:1], atol=CLOSE_M, rtol=0)
    told = read_json(adapted / "export" / f"{name}.json")
    recipe = runner.recipe_of(adapted)
    assert told["made_by"]["digest"] == recipe.digest and told["made_by"]["recipe"] == "quickstart"
    assert told["row"] == row and told["mirror_average"] == (row == "adapted") and told["smooth_outside_frames"] == 0
    assert told["inputs"][0]["shape"] == ["batch", 3, *images.shape[-2:]]
    assert set(told["licences"]) == {"source", "target", "poses"} and "Apache-2.0" in told["licences"]["source"]
    before = path.read_bytes()
    code, _, err = call(adapted, "--format", form, *asked)
    assert code == 2 and "left as it is" in err and path.read_bytes() == before


@pytest.mark.parametrize(("form", "row"), [("onnx", "student"), ("onnx", "teacher"), ("torch-export", "student")])
def test_a_lifter_computes_poses_of_keypoints_whether_seen_or_not(
    form: str, row: str, lifting: Path, host: Host, call: Call, tmp_path: Path
) -> None:
    path = tmp_path / "new" / ("model.onnx" if form == "onnx" else "model.pt2")
    asked = ("--row", row) if row != "student" else ()
    code, printed, err = call(lifting, "--format", form, "--out", path, "--json", *asked)
    assert code == 0, err
    told = json.loads(printed)
    assert told == read_json(tmp_path / "new" / f"{path.name}.json") and told["row"] == row
    trained = runner.trained_lifter(lifting, host)
    keypoints = trained.keypoints("test")
    points = torch.cat(list(keypoints.batches(4096)))[:40].clone()
    points[torch.rand(points.shape[:2], generator=torch.Generator().manual_seed(3)) < 0.2] = torch.nan
    points[7] = points[8, 0] = points[9, 2, 1] = torch.nan
    expected = trained.lift(points) if row == "student" else _taught(lifting, host, points)
    assert expected.isfinite().all()
    torch.testing.assert_close(computed(path, points), expected, atol=CLOSE_M, rtol=CLOSE_M)
    torch.testing.assert_close(computed(path, points[7:8]), expected[7:8], atol=CLOSE_M, rtol=CLOSE_M)


def _taught(run: Path, host: Host, points: Tensor) -> Tensor:
    """The teacher's poses, its normalisation as it was trained and not folded."""
    recipe = runner.recipe_of(run)
    method = host.build("method", {"use": recipe.method, **recipe.settings}, "settings", recipe=recipe, host=host)
    folder = runner.stage_folders(run)["teacher"]
    lifter = method.trained("teacher", folder, runner.trained_lifter(run, host).skeleton, "cpu")
    poses: Tensor = lifter(points)
    return poses


def test_what_cannot_be_exported_is_named_and_nothing_is_written(
    adapted: Path, lifting: Path, call: Call, tmp_path: Path
) -> None:
    out = tmp_path / "a.pt2"
    half = tmp_path / "half"
    half.mkdir()
    shutil.copy(adapted / "recipe.toml", half)
    skipped = tmp_path / "skipped"
    shutil.copytree(adapted, skipped, ignore=shutil.ignore_patterns("export"))
    places = read_json(adapted / "stages.json")
    gone = Path(shutil.copytree(places["row-adapted"], tmp_path / "row"))
    write_json(gone / "skipped.json", {"row": "adapted", "reason": "there are no labels"})
    write_json(skipped / "stages.json", {**places, "row-adapted": str(gone)})
    for run, words, said in (
        (half, ["--format", "onnx"], ["is not done", f"sa3dhp resume {half}"]),
        (adapted, ["--format", "onnx", "--row", "adpted"], ["no such row", "did you mean 'adapted'"]),
        (lifting, ["--format", "torch-export", "--row", "studnt"], ["no such row", "did you mean 'student'"]),
        (adapted, ["--format", "onnx"], ["not named as its format asks", "ends in .onnx"]),
        (adapted, ["--format", "onxx"], ["no such format", "did you mean 'onnx'"]),
        (adapted, ["--format", "onnx", "--row", "oracle"], ["stage 'row-oracle' is not done"]),
        (skipped, ["--format", "onnx"], ["left row 'adapted' out: there are no labels", "another --row"]),
        (tmp_path / "nowhere", ["--format", "onnx"], ["not a run directory"]),
    ):
        code, printed, err = call(run, *words, "--out", out)
        assert code == 2 and not printed and "Traceback" not in err, err
        assert [part for part in said if part not in err] == []
    assert not list(tmp_path.glob("a.pt2*"))
