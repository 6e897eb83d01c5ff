"""The method on keypoints of a few poses: its stages, what they leave, what is scored, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from sa3dhp_core import runner
from sa3dhp_core.atomic import read_tensors
from sa3dhp_core.cards import skeleton
from sa3dhp_core.components import Component
from sa3dhp_core.conformance.strategies import random_poses
from sa3dhp_core.engine.checkpoint import WEIGHTS
from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_core.host import Host
from sa3dhp_core.keypoint_store import ArrayKeypoints, read_truth, write_keypoints
from sa3dhp_core.recipe import Recipe, recipe_from
from sa3dhp_core.runner import stage_folders
from sa3dhp_core.store import split_file
from sa3dhp_core.types import FrameFacts
from sa3dhp_ites import plugin
from sa3dhp_ites.scoring import score, symmetries, whole

BODY = skeleton()
PROTOCOLS = ["ites-mpjpe", "ites-pa-mpjpe", "mpjpe-root", "pck-150"]


class Seen:
    """`KeypointData` of random poses 4.5 m away; test has two subjects and truth, `bare` no truth."""

    splits = ("train", "test", "bare")

    def __init__(self, config: Any, *, host: Host) -> None:
        self.config = config

    def prepare(self, folder: Path) -> None:
        for number, split in enumerate(self.splits):
            if split_file(folder, split).exists():
                continue
            poses = random_poses(BODY, number, 40).float()
            points = poses[..., :2] / (poses[..., 2:] + 4.5)
            points[::5, BODY.index("left_wrist")] = torch.nan
            facts: dict[str, Any] = {"fps": 50.0, "licence": "own work", "groups": ("S1", "S2")}
            truth = None if split == "bare" else poses
            write_keypoints(folder, split, points=points, starts=torch.tensor([0, 15, 40]), poses=truth, **facts)

    def keypoints(self, folder: Path, split: str) -> ArrayKeypoints:
        return ArrayKeypoints(folder, split)

    def truth(self, folder: Path, split: str) -> torch.Tensor | None:
        return read_truth(folder, split)


def stranger(config: Any, *, skeleton: Any) -> torch.nn.Module:
    """A lifter that is none of this plugin's."""
    return torch.nn.Identity()


EMPTY = "sa3dhp_core.engine_config:EngineConfig"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    """This plugin, keypoints and a stranger's lifter."""
    import sys

    monkeypatch.setitem(sys.modules, "ites_toys", sys.modules[__name__])
    toys = [
        Component("keypoint_data", "seen", "random poses", EMPTY, "ites_toys:Seen"),
        Component("lifter", "stranger", "does nothing", EMPTY, "ites_toys:stranger"),
    ]
    return Host.of([*plugin.sa3dhp_lifters(), *plugin.sa3dhp_methods(), *toys])


def recipe(**settings: Any) -> Recipe:
    """Three steps each, small lifters."""
    few = {"steps": 3, "batch": 8}
    usual: dict[str, Any] = {
        "teacher": {"use": "ites-mlp", "width": 16, "bottleneck": 8, "blocks": 1},
        "student": {"use": "ites-graph", "width": 8, "blocks": 1},
        "teaching": {**few, "aligned": 2},
        "learning": few,
    }
    table = {"use": "seen"}
    whole = {"id": "toy", "method": "ites", "data": {"keypoints": table}, "evaluation": {"protocols": PROTOCOLS}}
    return recipe_from({**whole, "settings": {**usual, **settings}, "engine": {"device": "cpu"}})


def test_a_run_scores_both_roles_beside_the_controls(host: Host, tmp_path: Path) -> None:
    results = runner.run(recipe(), host, tmp_path)
    records = results["records"]
    assert all(math.isfinite(record["value"]) for record in records)
    scored = {(r["row"], r["split"]) for r in records if r["protocol"] == "ites-mpjpe"}
    splits = ("keypoints-test", "keypoints-test:S1", "keypoints-test:S2")
    rows = ("flat depth", "true depth", "teacher", "student")
    assert scored == {(row, split) for row in rows for split in splits}
    value = {(r["row"], r["protocol"]): r["value"] for r in records if r["split"] == "keypoints-test"}
    assert value["true depth", "ites-mpjpe"] < 0.2 * value["flat depth", "ites-mpjpe"]
    kept = {(r["row"], r["protocol"]) for r in records if r["split"] == "keypoints-train"}
    assert {("teacher, untrained", "invariance"), ("teacher", "invariance"), ("student", "equivariance")} <= kept
    lifted = read_tensors(tmp_path / "analysis" / "lifted-bare.safetensors")
    assert lifted["poses"].shape == (40, len(BODY), 3) and lifted["clips"].bincount().tolist() == [15, 25]
    assert bool(lifted["poses"].isfinite().all())


def test_a_protocol_may_select_frames_that_the_data_tell_apart() -> None:
    truth = random_poses(BODY, 0, 6)
    groups = {"all": torch.ones(6, dtype=torch.bool), "all:S1": torch.arange(6) < 2, "all:S11": torch.arange(6) > 3}
    facts = FrameFacts(["S1", "S1", "S9", "S9", "S11", "S11"])
    records = score("row", truth + 0.1, truth, groups, ["h36m-videopose3d-1"], BODY, facts)
    assert [record["split"] for record in records if record["protocol"] != "spread"] == ["all", "all:S11"]
    with pytest.raises(DataError, match=r"frames\.subjects"):
        score("row", truth, truth, groups, ["h36m-videopose3d-1"], BODY)
    with pytest.raises(DataError, match="nothing to evaluate"):
        score("row", truth, truth, groups, ["h36m-videopose3d-1"], BODY, FrameFacts(["S1"] * 6))


def test_a_run_repeats_and_reuses_what_a_change_does_not_touch(host: Host, tmp_path: Path) -> None:
    first = runner.run(recipe(), host, tmp_path / "a")
    again = runner.run(recipe(), host, tmp_path / "b")
    assert first["records"] == again["records"]
    runner.run(recipe(learning={"steps": 4, "batch": 8}), host, tmp_path / "a")
    made = sorted(path.name.rpartition("-")[0] for path in (tmp_path / "a" / "stages").iterdir())
    assert made.count("teacher") == 1 and made.count("student") == 2


def test_a_student_settles_after_its_last_step_alike_if_it_is_interrupted(host: Host, tmp_path: Path) -> None:
    """Its weights are those without; a run that lost its mark of being done settles again, to the same."""
    found = {}
    for settle in (0, 2):
        settled = recipe(learning={"steps": 3, "batch": 8, "settle": settle})
        runner.run(settled, host, tmp_path, only=["student"])
        place = stage_folders(tmp_path)["student"]
        found[settle] = read_tensors(place / WEIGHTS)
    apart = {name for name, value in found[0].items() if not torch.equal(value, found[2][name])}
    assert apart and all("running" in name or "tracked" in name for name in apart)
    (place / "done.json").unlink()
    runner.run(settled, host, tmp_path, only=["student"])
    assert all(torch.equal(value, found[2][name]) for name, value in read_tensors(place / WEIGHTS).items())


@pytest.mark.parametrize("use", ["ites-mlp", "ites-graph"])
def test_lifters_change_roles_by_recipe(use: str, host: Host, tmp_path: Path) -> None:
    small = {"use": use, "width": 8, "blocks": 1}
    swapped = recipe(teacher={**small, "head": "dictionary"}, student={**small, "head": "depth"})
    assert runner.run(swapped, host, tmp_path, only=["score-student"])["records"]


def test_units_come_from_the_training_split_alone(host: Host, tmp_path: Path) -> None:
    runner.run(recipe(), host, tmp_path, only=["teacher"])
    data = ArrayKeypoints(runner.stage_folders(tmp_path)["data-keypoints"], "train")
    state = read_tensors(runner.stage_folders(tmp_path)["teacher"] / "weights.safetensors")
    points = next(iter(data.batches(100)))
    length = (points[:, BODY.index("head")] - points[:, BODY.index("pelvis")]).norm(dim=-1).mean()
    assert float(state["lifter.units.scale"]) == pytest.approx(1 / (5 * float(length)), rel=1e-5)


BEST = {"reprojection": 0, "cycle": 0, "plausibility": 0.05, "bones": 20, "equivariance": 1, "learn_tilt": True}
DENSITY = {"steps": 3, "batch": 8, "components": 6, "layers": 2, "width": 8}


def best(**teaching: Any) -> Recipe:
    """A teacher of depths that is judged from other sides."""
    few = {"steps": 3, "batch": 8, "optimizer": "adamw", "rotations": 1}
    deep = {
        "use": "ites-mlp",
        "width": 16,
        "bottleneck": 8,
        "blocks": 1,
        "norm": "none",
        "head": "depth",
        "centred": True,
    }
    return recipe(teacher=deep, teaching={**few, **BEST, **teaching}, density=DENSITY)


def test_a_teacher_of_depths_is_judged_by_a_density(host: Host, tmp_path: Path) -> None:
    records = runner.run(best(), host, tmp_path)["records"]
    assert all(math.isfinite(record["value"]) for record in records)
    folders = runner.stage_folders(tmp_path)
    assert "density" in folders
    tilt = read_tensors(folders["teacher"] / "weights.safetensors")["horizon.tilt"]
    assert float(tilt) != 0 and abs(float(tilt)) < 0.1


def test_equivariance_is_measured_about_the_vertical_that_was_learned(host: Host, tmp_path: Path) -> None:
    """Of both lifters, trained and untrained, the student's vertical being the teacher's."""
    made = best()
    records = runner.run(made, host, tmp_path, only=["student"])["records"]
    found = {r["row"]: r["value"] for r in records if r["protocol"] == "equivariance"}
    folders, table = runner.stage_folders(tmp_path), {"use": made.method, **made.settings}
    method: Any = host.build("method", table, "settings", recipe=made, host=host)
    tilt = read_tensors(folders["teacher"] / "weights.safetensors")["horizon.tilt"]
    points = whole(ArrayKeypoints(folders["data-keypoints"], "train"))
    for role in ("teacher", "student"):
        trained = method.trained(role, folders[role], BODY, "cpu")
        untrained = method.lifter(role, BODY)
        untrained.units.fit(points)
        for row, one in ((role, trained), (f"{role}, untrained", untrained)):
            about, level = (symmetries(row, "", one, points, some)[0]["value"] for some in (tilt, None))
            assert found[row] == about != level


def test_cameras_stay_level_unless_that_is_learned(host: Host, tmp_path: Path) -> None:
    runner.run(best(learn_tilt=False), host, tmp_path, only=["teacher"])
    assert float(read_tensors(runner.stage_folders(tmp_path)["teacher"] / "weights.safetensors")["horizon.tilt"]) == 0


def test_a_density_is_learned_where_it_is_used_alone(host: Host, tmp_path: Path) -> None:
    runner.run(best(plausibility=0.0), host, tmp_path, only=["teacher"])
    assert "density" not in runner.stage_folders(tmp_path)


def test_what_cannot_be_trained_is_refused(host: Host, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="all losses have the weight 0"):
        runner.run(best(plausibility=0, bones=0, equivariance=0), host, tmp_path / "none")
    with pytest.raises(RecipeError, match="canonical shapes"):
        runner.run(recipe(teacher={"use": "ites-graph", "width": 8, "blocks": 1}), host, tmp_path / "a")
    with pytest.raises(RecipeError, match="cannot be trained"):
        runner.run(recipe(student={"use": "stranger"}), host, tmp_path / "b")
    with pytest.raises(RecipeError, match="names no such data"):
        bare = recipe_from({"id": "toy", "method": "ites"})
        runner.run(bare, host, tmp_path / "c")
