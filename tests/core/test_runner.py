"""The runner: stages in order, kept by key, resumed; run directories that are something else are refused."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch

from sa3dhp_core import runner
from sa3dhp_core.atomic import PARTIAL
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.errors import RunError
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.method import Stage, StageContext
from sa3dhp_core.recipe import Recipe, recipe_from

METHOD = """
    import attrs
    import torch
    from sa3dhp_core.components import Component
    from sa3dhp_core.hookspecs import hookimpl
    from sa3dhp_core.protocols.method import Stage
    from sa3dhp_core.runner import write_records

    RAN = []

    @attrs.frozen
    class Settings:
        data: int = 1
        prior: int = 1
        loss: int = 1
        fail: str = ""
        early_draws: int = 0

    class Method:
        def __init__(self, config, recipe, host):
            self.config = config
            torch.rand(config.early_draws)

        def stages(self):
            c = self.config
            return (  # not in order
                Stage("row", {"loss": c.loss}, ("data", "prior"), self.row),
                Stage("prior", {"prior": c.prior}, ("data",), self.keep),
                Stage("data", {"data": c.data}, (), self.keep),
            )

        def keep(self, context):
            RAN.append(context.name)
            (context.folder / "value").write_text(str(float(torch.rand(()))))
            if context.name == self.config.fail:
                raise RuntimeError("stopped here")

        def row(self, context):
            self.keep(context)
            value = float((context.of("prior") / "value").read_text())
            folder = context.folder / "analysis"
            folder.mkdir(exist_ok=True)
            (folder / "figure.json").write_text(str(self.config.loss))
            write_records(context.folder, [
                {"row": "adapted", "protocol": "p", "split": "target-test", "value": value, "unit": "mm"}])

    def build(config, *, recipe, host):
        return Method(config, recipe, host)

    @hookimpl
    def sa3dhp_methods():
        return [Component("method", "counting", "a method for tests", f"{__name__}:Settings", f"{__name__}:build")]
"""


@pytest.fixture
def ran(distribute: object, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the stages that ran, in order."""
    monkeypatch.setenv("SA3DHP_PLUGINS", "counting-plugin")
    distribute("counting-plugin", METHOD)  # type: ignore[operator]
    import counting_plugin  # type: ignore[import-not-found]

    found: list[str] = counting_plugin.RAN
    found.clear()
    return found


def recipe(seed: int = 0, id: str = "counting", engine: dict[str, object] | None = None, **settings: object) -> Recipe:
    table = {"device": "cpu", **(engine or {})}
    return recipe_from({"id": id, "method": "counting", "seed": seed, "settings": settings, "engine": table})


def go(out: Path, given: Recipe, only: Sequence[str] = (), store: Path | None = None) -> dict[str, object]:
    return runner.run(given, Host.load(), out, only=only, store=store)


def test_requirements_come_first_and_results_last(ran: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    results = go(out, recipe())
    assert ran == ["data", "prior", "row"]
    assert json.loads((out / "results.json").read_text()) == results
    assert [record["row"] for record in results["records"]] == ["adapted"]  # type: ignore[attr-defined]
    for name, folder in runner.stage_folders(out).items():
        assert json.loads((folder / runner.DONE).read_text())["stage"] == name
    assert (out / "environment.json").is_file() and (out / "analysis" / "figure.json").read_text() == "1"


def test_nothing_runs_twice_and_a_change_runs_what_depends_on_it(ran: list[str], tmp_path: Path) -> None:
    first = go(tmp_path / "run", recipe())
    steps: list[tuple[dict[str, Any], list[str]]] = [
        ({}, []),
        ({"loss": 2}, ["row"]),
        ({"prior": 2}, ["prior", "row"]),
        ({"data": 2}, ["data", "prior", "row"]),
        ({"loss": 2}, []),
    ]
    for settings, expected in steps:
        ran.clear()
        go(tmp_path / "run", recipe(**settings))
        assert ran == expected, settings
    assert go(tmp_path / "run", recipe()) == first
    assert ran == [], "going back costs nothing"
    assert (tmp_path / "run" / "analysis" / "figure.json").read_text() == "1", (
        "nor does it show the other setting's figures"
    )


def test_seed_and_precision_are_part_of_every_key_but_devices_are_not(ran: list[str], tmp_path: Path) -> None:
    go(tmp_path / "run", recipe())
    for given, again in [
        (recipe(engine={"threads": 1, "checkpoint_every": 7}), False),
        (recipe(seed=1), True),
        (recipe(engine={"precision": "bf16-mixed"}), True),
    ]:
        ran.clear()
        go(tmp_path / "run", given)
        assert bool(ran) == again


def test_a_stage_begins_alike_whatever_came_before(ran: list[str], tmp_path: Path) -> None:
    torch.manual_seed(1)
    whole = go(tmp_path / "whole", recipe())
    torch.manual_seed(2)
    with pytest.raises(RuntimeError, match="stopped here"):
        go(tmp_path / "halves", recipe(fail="prior"))
    assert ran[3:] == ["data", "prior"]
    ran.clear()
    halves = go(tmp_path / "halves", recipe(early_draws=5))
    assert ran == ["prior", "row"]
    assert halves["records"][0]["value"] == whole["records"][0]["value"]  # type: ignore[index]


def test_stages_can_be_shared_and_chosen(ran: list[str], tmp_path: Path) -> None:
    go(tmp_path / "one", recipe(), only=("prior",), store=tmp_path / "store")
    assert ran == ["data", "prior"]
    ran.clear()
    go(tmp_path / "other", recipe(), store=tmp_path / "store")
    assert ran == ["row"]


def test_a_stage_reads_only_what_it_requires(ran: list[str], tmp_path: Path) -> None:
    go(tmp_path / "run", recipe())
    context = runner.Context(tmp_path, "row", 0, None, None, tmp_path, {"data": tmp_path})  # type: ignore[arg-type]
    assert context.of("data") == tmp_path
    with pytest.raises(RunError, match="without requiring it"):
        context.of("prior")


def stage(name: str, *requires: str) -> Stage:
    def run(context: StageContext) -> None:
        raise AssertionError("nothing runs here")

    return Stage(name, {}, requires, run)


def test_order_keeps_the_given_one_where_it_can() -> None:
    stages = [stage("c", "a"), stage("b"), stage("a")]
    assert [s.name for s in runner._ordered(stages, ())] == ["a", "c", "b"]
    assert [s.name for s in runner._ordered(stages, ("b",))] == ["b"]


@pytest.mark.parametrize(
    ("stages", "only", "complaint"),
    [
        ([stage("a", "b"), stage("b", "c"), stage("c", "a")], (), "circle"),
        ([stage("a", "a")], (), "circle"),
        ([stage("a", "lost")], (), "stage 'a' requires an unknown stage"),
        ([stage("a")], ("lost",), "the run requires an unknown stage"),
    ],
)
def test_circles_and_unknown_requirements_are_refused(
    stages: list[Stage], only: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(RunError, match=complaint):
        runner._ordered(stages, only)


def test_keys_follow_requirements() -> None:
    def keys(key: int, seed: int = 0, **engine: object) -> dict[str, str]:
        def work(context: StageContext) -> None:
            raise AssertionError

        stages = (Stage("a", {"key": key}, (), work), Stage("b", {}, ("a",), work), Stage("c", {}, (), work))
        given = Recipe("r", "m", seed=seed, engine=EngineConfig(**engine))  # type: ignore[arg-type]
        return runner._keys(stages, given)

    one, other = keys(1), keys(2)
    assert {name for name in one if one[name] != other[name]} == {"a", "b"}
    assert keys(1) == one == keys(1, precision="32-true", devices=2)
    assert not set(keys(1, seed=1).values()) & set(one.values())
    assert not set(keys(1, precision="64-true").values()) & set(one.values())


def test_a_directory_of_something_else_is_left_alone(ran: list[str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(RunError, match="is a file"):
        go(file, recipe())
    assert file.read_text() == "mine"
    with pytest.raises(RunError, match="not a run directory"):
        go(tmp_path, recipe())
    assert [path.name for path in tmp_path.iterdir() if path.name != "site"] == ["file"]
    out = tmp_path / "run"
    go(out, recipe(), only=("data",))
    before = (out / "recipe.toml").read_bytes()
    with pytest.raises(RunError, match="belongs to another recipe") as caught:
        go(out, recipe(id="other"))
    assert "counting" in str(caught.value) and (out / "recipe.toml").read_bytes() == before
    with pytest.raises(RunError, match="not a run directory"):
        runner.resume(tmp_path / "nowhere", Host.load())


def test_what_a_kill_in_the_first_moment_left_is_no_obstacle(ran: list[str], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / runner.LOCK).touch()
    left = tmp_path / "run" / f".recipe.toml.1{PARTIAL}"
    left.write_text("id = ")
    go(tmp_path / "run", recipe())
    assert ran and not left.exists()


def test_a_directory_in_use_is_refused(ran: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    go(out, recipe(), only=("data",))
    with (out / runner.LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="another process"):
            go(out, recipe())
    go(out, recipe())
    assert ran == ["data", "prior", "row"]


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "SLURM_PROCID"])
def test_only_the_first_rank_claims(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    out = tmp_path / "run"
    monkeypatch.setenv(name, "1")
    with runner._claimed(out, recipe()):
        assert not out.exists()
    monkeypatch.setenv(name, "0")
    with runner._claimed(out, recipe()):
        assert (out / "recipe.toml").is_file()


def test_evaluation_elsewhere_needs_a_method_that_offers_it(ran: list[str], tmp_path: Path) -> None:
    go(tmp_path / "run", recipe())
    with pytest.raises(RunError, match="offers no evaluation"):
        runner.evaluate(tmp_path / "run", Host.load(), "target-test", "mpjpe-root")


LATENT = """
    import counting_plugin
    from sa3dhp_core.components import Component
    from sa3dhp_core.hookspecs import hookimpl
    from sa3dhp_core.protocols.exportable import Exportable
    from sa3dhp_core.protocols.latent import TrainedLatent
    from sa3dhp_core.protocols.lifter import TrainedLifter

    ID = "latent"

    class Method(counting_plugin.Method):
        def latent_space(self, folders, engine):
            found = (folders["prior"] / "value").read_text()
            return TrainedLatent(None, None, 6, {}, {}, None, None, found, engine.device)

        def trained_lifter(self, folders, engine):
            return TrainedLifter(None, None, ("train",), None, {"weights": (folders["prior"] / "value").read_text()})

        def exportable(self, folders, engine, row):
            weights = (folders["prior"] / "value").read_text()
            return Exportable(None, (), None, None, "camera", row or "main", {}, {"weights": weights})

    def build(config, *, recipe, host):
        return Method(config, recipe, host)

    @hookimpl
    def sa3dhp_methods():
        return [Component("method", ID, "a method with a space", "counting_plugin:Settings", f"{__name__}:build")]
"""


def test_a_latent_space_and_a_lifter_are_had_before_the_rows_are_done(
    ran: list[str], distribute: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out, lost = tmp_path / "run", tmp_path / "lost"
    with pytest.raises(RunError, match="not a run directory"):
        runner.trained_latent(out, Host.load())
    go(out, recipe())
    with pytest.raises(RunError, match="offers no trained latent space"):
        runner.trained_latent(out, Host.load())
    with pytest.raises(RunError, match="offers no trained lifter"):
        runner.trained_lifter(out, Host.load())
    with pytest.raises(RunError, match="offers no prediction from files(.|\n)*an npz file of 2D keypoints"):
        runner.predict(out, Host.load(), tmp_path / "keypoints.npz")
    with pytest.raises(RunError, match="offers no model to export"):
        runner.exportable(out, Host.load())
    distribute("latent-plugin", LATENT)  # type: ignore[operator]
    monkeypatch.setenv("SA3DHP_PLUGINS", "counting-plugin,latent-plugin")
    given = attrs.evolve(recipe(fail="row"), method="latent", id="latent")
    with pytest.raises(RuntimeError, match="stopped here"):
        go(lost, given)
    elsewhere = (lost / "recipe.toml").read_text().replace('device = "cpu"', 'device = "tpu"')
    assert elsewhere.count('"tpu"') == 1
    (lost / "recipe.toml").write_text(elsewhere)  # as if trained where there is one
    latent = runner.trained_latent(lost, Host.load())
    assert 0 < float(latent.split) < 1 and latent.device.type == "cpu"
    assert runner.trained_lifter(lost, Host.load()).identity == {"weights": latent.split}
    models = [runner.exportable(lost, Host.load(), row) for row in (None, "other")]
    assert [model.row for model in models] == ["main", "other"] and models[0].facts == {"weights": latent.split}
    (runner.stage_folders(lost)["prior"] / runner.DONE).unlink()
    with pytest.raises(RunError, match=f"stage 'prior' is not done(.|\n)*sa3dhp resume {lost}"):
        runner.trained_latent(lost, Host.load())
    with pytest.raises(RunError, match="stage 'prior' is not done"):
        runner.trained_lifter(lost, Host.load())
    with pytest.raises(RunError, match="stage 'prior' is not done"):
        runner.exportable(lost, Host.load())
    (lost / runner.STAGES).unlink()
    with pytest.raises(RunError, match="stage 'prior' is not done"):
        runner.trained_latent(lost, Host.load())
