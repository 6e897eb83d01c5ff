"""Every recipe of the registry runs two steps at reduced size and leaves weights that load."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from sa3dhp_core import runner
from sa3dhp_core.atomic import read_json, read_tensors
from sa3dhp_core.cards import card_ids, registry_folder
from sa3dhp_core.engine.checkpoint import load_weights
from sa3dhp_core.errors import DataError, RecipeError
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import check, load_recipe
from tests.recipes.conftest import MOCAP
from tests.recipes.shrinking import by_name, shrunk
from tests.recipes.test_paper_settings import SETTINGS

ADAPTING = [
    recipe for recipe in card_ids("recipes") if load_recipe(recipe).method == "sa3dhp" and recipe not in SETTINGS
]
CONTROLS = sorted((Path(__file__).resolve().parents[2] / "benchmarks" / "controls").glob("*.toml"))


def own_input(recipe: str, footage: Path, recording: Path, lifting: Path) -> list[str]:
    """What a recipe that reads files of the user's is given here."""
    return {
        "sa3dhp-video": [f"data.target.path={footage}"],
        "sa3dhp-mocap-video": [
            f"data.target.path={footage}",
            f"data.poses.path={recording}",
            f"data.source.motion={recording}",
            "data.source.train_clips=2",
        ],
        "sa3dhp-mocap": [
            f"data.poses.path={recording}",
            f"data.source.motion={recording}",
            f"data.target.motion={recording}",
            "data.source.train_clips=2",
        ],
        "sa3dhp-lifted": [f"data.poses.run={lifting}"],
    }.get(recipe, [])


def stages(out: Path) -> dict[str, Path]:
    """Folders of a run's stages by name."""
    return {name: Path(place) for name, place in read_json(out / "stages.json").items()}


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """The encoder's weights that a row left."""
    state = read_tensors(folder / "weights.safetensors")
    return {key: value for key, value in state.items() if key.startswith("encoder.")}


def rows_scored(results: Mapping[str, Any], split: str) -> list[str]:
    """Names of the rows with a figure on a split, in order."""
    return list(dict.fromkeys(r["row"] for r in results["records"] if r["split"] == split))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ADAPTING)
def test_recipe_runs_two_steps_and_leaves_weights_that_load(
    recipe: str, host: Host, store: Path, footage: Path, recording: Path, lifting: Path, tmp_path: Path
) -> None:
    small = shrunk(recipe, host, own_input(recipe, footage, recording, lifting))
    results = runner.run(small, host, tmp_path, store=store)
    rows = [row["name"] for row in small.rows]
    assert rows_scored(results, "target-test") == rows
    assert rows_scored(results, "target-validation") == rows
    assert all(math.isfinite(record["value"]) for record in results["records"])
    trained = [row for row in small.rows if row["kind"] != "constant"]
    for row in trained:
        state = weights_of(place(tmp_path, row["name"]))
        assert state and all(bool(torch.isfinite(value).all()) for value in state.values())
    # evaluating loads every prior and encoder; the same data by the same weights give the same figures
    again = runner.evaluate(tmp_path, host, "target-test", "pa-mpjpe")["records"]
    before = {
        r["row"]: r["value"] for r in results["records"] if (r["split"], r["protocol"]) == ("target-test", "pa-mpjpe")
    }
    after = {r["row"]: r["value"] for r in again if r["protocol"] == "pa-mpjpe"}
    assert after == pytest.approx(before, rel=1e-5)


def place(out: Path, row: str) -> Path:
    """Folder of a row's stage, found by what the stage says of itself."""
    from sa3dhp_self_adaptation.method import row_stage

    return stages(out)[row_stage(row)]


def test_every_recipe_is_checked_and_says_what_it_is(host: Host) -> None:
    for recipe_id in card_ids("recipes"):
        recipe = load_recipe(recipe_id)
        check(recipe, host)
        assert recipe.id == recipe_id
        assert len(recipe.summary) > 20


@pytest.mark.parametrize("path", CONTROLS, ids=lambda path: path.stem)
def test_the_benchmarks_controls_fit_the_recipes_that_they_stand_beside(path: Path, host: Host) -> None:
    recipe, beside = load_recipe(path), load_recipe(path.stem)
    check(recipe, host)
    host.build("method", {"use": recipe.method, **recipe.settings}, "settings", recipe=recipe, host=host)
    assert recipe.data == beside.data and recipe.pose_prior == beside.pose_prior
    assert (recipe.encoder, recipe.settings) == (beside.encoder, beside.settings)


@pytest.mark.slow
def test_the_paper_adapts_res3_alone(host: Host, store: Path, tmp_path: Path) -> None:
    small = shrunk("sa3dhp-paper", host)
    runner.run(small, host, tmp_path, store=store)
    adaptation = small.settings["adaptation"]
    assert (adaptation["schedule"], list(adaptation["train_only"])) == ("alternating", ["res3"])
    before, after = (weights_of(place(tmp_path, row)) for row in ("source-only", "+ slow-backward"))
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved and all(key.startswith("encoder.backbone.model.encoder.stages.1.") for key in moved)
    heads = read_tensors(place(tmp_path, "+ slow-backward") / "weights.safetensors")
    assert {key.split(".")[1] for key in heads if key.startswith("losses.")} == {"0", "1"}


def test_the_paper_has_the_published_sizes(host: Host) -> None:
    recipe = load_recipe("sa3dhp-paper")
    assert recipe.encoder is not None
    config = host.config("backbone", recipe.encoder["backbone"], "encoder.backbone")
    assert config.options["depths"] == [3, 4, 6, 3] and config.stage == "stage3"
    adapt, source = recipe.settings["adaptation"], recipe.settings["source"]
    assert (adapt["clips"], recipe.settings["frames"], source["batch"]) == (8, 30, 128)
    assert (source["learning_rate"], adapt["learning_rate"]) == (1e-5, 1e-5)
    assert adapt["learning_rates"] == {"lcr": 2e-5, "hcr": 2e-5}
    final = by_name(recipe.rows)["+ slow-backward"]
    assert list(final["losses"]) == ["lcr", "hcr", "pose-relation", "flip-backward", "slow-backward"]
    assert {recipe.data[role]["size"] for role in ("source", "target")} == {224}


def test_mocap_shares_no_motion_between_prior_and_target() -> None:
    recipe = load_recipe("sa3dhp-mocap")
    assert recipe.data["poses"]["path"] == recipe.data["source"]["motion"]
    assert recipe.data["target"]["motion"] != recipe.data["source"]["motion"]


@pytest.mark.slow
@pytest.mark.skipif(not MOCAP.is_dir(), reason=f"no motion capture at {MOCAP}")
def test_mocap_runs_on_real_motion(host: Host, store: Path, tmp_path: Path) -> None:
    first, second = MOCAP / "bandai_namco_1.npz", MOCAP / "bandai_namco_2_part.npz"
    paths = [f"data.poses.path={first}", f"data.source.motion={first}", f"data.target.motion={second}"]
    results = runner.run(shrunk("sa3dhp-mocap", host, paths), host, tmp_path, store=store)
    assert "oracle" in rows_scored(results, "target-test")
    families = host.build("pose_data", load_recipe("sa3dhp-mocap", paths).data["poses"], "data.poses")
    assert "walk" in families.sequences(stages(tmp_path)["data-poses"], "train").families()


@pytest.mark.slow
def test_tracks_are_what_the_encoder_sees_averaged_over_mirror_and_time(
    host: Host, store: Path, tmp_path: Path
) -> None:
    small = shrunk("quickstart", host)
    runner.run(small, host, tmp_path, store=store)
    folders = stages(tmp_path)
    method = host.build("method", {"use": small.method, **small.settings}, "settings", recipe=small, host=host)
    prior = method.space.load_pose_prior(folders["pose_prior"], torch.device("cpu"))
    encoder = method.space.encoder().eval()
    load_weights(folders["row-relations"], {"encoder": encoder})
    clips = method.data["target"].clips(folders["data-target"], "train")
    images = torch.cat(list(clips.batches(64)))
    with torch.no_grad():
        seen = prior.decode(encoder(images).z)
        mirrored = prior.decode(encoder(images.flip(-1)).z)
    seen = 0.5 * (seen + mirrored[:, list(prior.skeleton.mirror)] * torch.tensor([-1.0, 1.0, 1.0]))
    reach, index = (method.config.tracks.smooth + 1) / 2, clips.clip_index()
    expected = torch.empty_like(seen)
    for frame in range(len(seen)):
        near = [k for k in range(len(seen)) if index[k] == index[frame] and abs(k - frame) < reach]
        weights = torch.tensor([0.5 + 0.5 * math.cos(math.pi * (k - frame) / reach) for k in near])
        expected[frame] = torch.einsum("k,kji->ji", weights / weights.sum(), seen[near])
    tracks = read_tensors(folders["tracks-relations"] / "tracks.safetensors")["poses"]
    assert (tracks - expected).abs().max() < 1e-4 and not torch.allclose(tracks, seen, atol=1e-3)


def documented_swap(page: str) -> list[str]:
    """The overrides of the command in a page's ``sh`` block."""
    text = (registry_folder().parent / "docs" / page).read_text(encoding="utf-8")
    (command,) = re.findall(r"```sh\n(sa3dhp run quickstart .*?)```", text, re.DOTALL)
    words = shlex.split(command.replace("\\\n", " "))
    return [words[place + 1] for place, word in enumerate(words) if word == "--set"]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["backbones.md", "alignment.md"])
def test_the_documented_swap_takes_two_lines(page: str, host: Host, store: Path, tmp_path: Path) -> None:
    overrides = documented_swap(page)
    assert len(overrides) == 2
    small = shrunk("quickstart", host, overrides)
    encoder = small.encoder or {}
    assert small.relations != load_recipe("quickstart").relations or encoder["backbone"]["name"] == "convnext"
    results = runner.run(small, host, tmp_path, store=store)
    assert "adapted" in rows_scored(results, "target-test")
    assert weights_of(place(tmp_path, "adapted"))


@pytest.mark.slow
def test_footage_without_ground_truth_is_adapted_to_and_says_so(
    host: Host, store: Path, footage: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in footage.iterdir():
        if not path.name.endswith(".truth.npz"):
            (bare / path.name).symlink_to(path)
    out = tmp_path / "run"
    results = runner.run(shrunk("sa3dhp-video", host, [f"data.target.path={bare}"]), host, out, store=store)
    assert "row 'oracle' is left out" in caplog.text and "no ground truth" in caplog.text
    assert rows_scored(results, "target-test") == []
    assert {"adapted", "source-only"} <= set(rows_scored(results, "source-test"))
    assert "oracle" not in rows_scored(results, "source-test")
    assert weights_of(place(out, "adapted"))
    assert runner.report(out, host).read_text().startswith("<!doctype html")
    # a run without scores can be evaluated on footage that has truth, and says why where there is none
    elsewhere = runner.evaluate(out, host, str(footage), "mpjpe-root")["records"]
    assert {r["row"] for r in elsewhere} == {r["row"] for r in results["records"] if r["split"] == "source-test"}
    assert {r["split"] for r in elsewhere} == {str(footage)}
    with pytest.raises(DataError, match="no ground truth"):
        runner.evaluate(out, host, "target-test", "mpjpe-root")
    with pytest.raises(DataError, match="no ground truth"):
        runner.evaluate(out, host, str(bare), "mpjpe-root")
    with pytest.raises(RecipeError, match="target-test"):
        runner.evaluate(out, host, "target-tset", "mpjpe-root")
    with pytest.raises(RecipeError, match="mpjpe-root"):
        runner.evaluate(out, host, str(footage), "mpjpe-rot")
    accelerations = runner.evaluate(out, host, str(footage), "accel")["records"]
    assert {r["unit"] for r in accelerations if r["protocol"] == "accel"} == {"mm/frame^2"}
