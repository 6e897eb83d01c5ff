"""The method: what rows may say, the graph of stages, and that keys hold what results depend on."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import torch

from sa3dhp_core.errors import RecipeError, UnknownComponent
from sa3dhp_core.geometry import average_over_time
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import Recipe, recipe_from
from sa3dhp_self_adaptation.method import (
    SelfAdaptation,
    loss_name,
    network_stage,
    row_stage,
    score_stage,
    slug,
    tracks_stage,
)
from sa3dhp_self_adaptation.row_stages import selected
from sa3dhp_self_adaptation.scoring import smooth_clips
from sa3dhp_self_adaptation.synthesis import SYNTHESISED
from sa3dhp_world.looks import look

HOST = Host.load()
SOURCE = {"name": "source-only", "kind": "source"}
ADAPT = {"name": "adapted", "kind": "adapt", "start": "source-only", "losses": ["turn", "rehearsal"]}


def content(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "small",
        "method": "sa3dhp",
        "data": {
            "source": {"use": "world", "role": "source"},
            "target": {"use": "world", "look": "mild"},
            "poses": {"use": "world-motion"},
        },
        "encoder": {"use": "latent-encoder", "backbone": {"use": "small-cnn"}},
        "pose_prior": {"use": "pose-aae"},
        "relations": [
            {"use": "flip", "name": "turn"},
            {"use": "in-plane-rotation", "name": "unused"},
        ],
        "losses": [{"use": "relation", "name": "turn", "relation": "turn"}, {"use": "rehearsal"}],
        "rows": list(rows),
        **more,
    }


def method(*rows: dict[str, Any], **more: Any) -> SelfAdaptation:
    recipe: Recipe = recipe_from(content(*rows, **more), "small.toml")
    return HOST.build("method", {"use": "sa3dhp", **recipe.settings}, "settings", recipe=recipe, host=HOST)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((SOURCE, SOURCE), "two rows have the same name"),
        (({"name": "a", "kind": "oracle"},), "needs an encoder to begin from"),
        (({"name": "a", "kind": "statistics"},), "needs an encoder to begin from"),
        ((SOURCE, {**ADAPT, "start": "source-olny"}), "did you mean 'source-only'"),
        ((ADAPT, SOURCE), "no earlier row"),
        ((SOURCE, {**ADAPT, "losses": ["trun"]}), "did you mean 'turn'"),
        ((SOURCE, {**ADAPT, "weights": {"rehearsl": 2.0}}), "did you mean 'rehearsal'"),
        ((SOURCE, {**ADAPT, "adaptation": {"learning_rates": {"trn": 1e-3}}}), "did you mean 'turn'"),
        ((SOURCE, {**ADAPT, "adaptation": {"learning_rates": {"turn": 1e-3}}}), "alternating"),
        (({"name": "a", "kind": "sorce"},), "rows[0].kind"),
        (({"name": "a", "kind": "source", "augmentaton": "strong"},), "did you mean 'augmentation'"),
        (({"kind": "source"},), "rows[0]"),
    ],
)
def test_wrong_rows_are_refused_with_their_place(rows: tuple[dict[str, Any], ...], said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        method(*rows)
    assert said in str(caught.value) and "rows[" in str(caught.value)


def test_a_missing_data_set_or_table_is_named() -> None:
    data = content()["data"]
    with pytest.raises(RecipeError, match=r"\[data.poses\]"):
        method(SOURCE, data={role: data[role] for role in ("source", "target")}).stages()
    with pytest.raises(RecipeError, match=r"\[encoder\]"):
        method(SOURCE, encoder=None).space.encoder()
    with pytest.raises(RecipeError, match=r"\[encoder.backbone\]"):
        method(SOURCE, encoder={"use": "latent-encoder"}).space.encoder()
    twice = [{"use": "flip", "name": "turn"}, {"use": "backward", "name": "turn"}]
    with pytest.raises(RecipeError, match="two relations have the same name"):
        method(SOURCE, relations=twice).stages()


def test_the_graph_of_stages() -> None:
    stages = {stage.name: stage for stage in method(SOURCE, ADAPT).stages()}
    networks = [name for name in stages if name.startswith("relation-")]
    assert networks == [network_stage("turn")], "networks that no row's loss asks for are not trained"
    assert [*stages][-1] == "analysis" and "motion_prior" not in stages
    assert set(stages["analysis"].requires) >= {score_stage("source-only"), score_stage("adapted"), "latent"}
    assert set(stages[row_stage("source-only")].requires) == {"pose_prior", "data-source"}, "it never sees the target"
    assert set(stages[score_stage("adapted")].requires) >= {row_stage("adapted"), "data-target", "pose_prior"}
    assert set(stages[row_stage("adapted")].requires) >= {row_stage("source-only"), *networks, "pose_prior"}
    assert stages["pose_prior"].requires == ("data-poses",), "priors see no image"
    known = set(stages)
    assert all(set(stage.requires) <= known for stage in stages.values())
    with_motion = method(SOURCE, ADAPT, motion_prior={"use": "motion-dct"}).stages()
    assert "motion_prior" in {stage.name for stage in with_motion}


def test_distillation_learns_from_the_tracks_of_the_row_it_begins_from() -> None:
    losses = [*content()["losses"], {"use": "distillation", "name": "tracks"}]
    later = {"name": "later", "kind": "adapt", "start": "adapted", "losses": ["tracks"]}
    again = {**later, "name": "again", "losses": ["tracks", "turn"]}
    stages = {stage.name: stage for stage in method(SOURCE, ADAPT, later, again, losses=losses).stages()}
    assert [name for name in stages if name.startswith("tracks-")] == [tracks_stage("adapted")]
    names = [*stages]
    assert names.index(row_stage("adapted")) < names.index(tracks_stage("adapted")) < names.index(row_stage("later"))
    assert set(stages[tracks_stage("adapted")].requires) == {row_stage("adapted"), "pose_prior", "data-target"}
    for row in ("later", "again"):
        assert tracks_stage("adapted") in stages[row_stage(row)].requires
    assert "data-target" not in stages[row_stage("source-only")].requires

    def moved(**tracks: Any) -> set[str]:
        after = keys(SOURCE, ADAPT, later, losses=losses, settings={"tracks": tracks})
        return {name for name, key in keys(SOURCE, ADAPT, later, losses=losses).items() if key != after[name]}

    assert moved(smooth=3) == {tracks_stage("adapted"), row_stage("later")}
    assert moved(images=7) == moved(rotation=3.0) == {row_stage("later")}


MADE = {"synthesis": {"images": 9, "by": {"use": "puppet", "pool": 40}}}


def test_synthesised_images_are_a_stage_that_reads_no_target() -> None:
    posed = {"name": "posed", "kind": "source", "start": "source-only", "synthesised": 0.25}
    rows = (SOURCE, posed, {**ADAPT, "synthesised": 0.5})
    stages = {stage.name: stage for stage in method(*rows, settings=MADE).stages()}
    assert stages[SYNTHESISED].requires == ("data-source", "data-poses")
    assert SYNTHESISED in stages[row_stage("posed")].requires and SYNTHESISED in stages[row_stage("adapted")].requires
    assert SYNTHESISED not in stages[row_stage("source-only")].requires
    assert "data-target" not in stages[row_stage("posed")].requires
    before, plain = keys(*rows, settings=MADE), keys(SOURCE, ADAPT)
    assert before[row_stage("source-only")] == plain[row_stage("source-only")], "rows without a share keep their keys"
    other = keys(SOURCE, {**posed, "synthesised": 0.3}, {**ADAPT, "synthesised": 0.5}, settings=MADE)
    assert {name for name in before if before[name] != other[name]} == {row_stage("posed")}
    more = {"synthesis": {**MADE["synthesis"], "images": 10}}
    assert {k for k, v in keys(*rows, settings=more).items() if before[k] != v} == {SYNTHESISED}


@pytest.mark.parametrize(
    ("row", "settings", "said"),
    [
        ({**SOURCE, "synthesised": 0.5}, {}, r"settings\.synthesis\.by"),
        ({"name": "a", "kind": "constant", "synthesised": 0.5}, MADE, "learns from no source images"),
        ({**SOURCE, "synthesised": 1.5}, MADE, r"rows\[0\]\.synthesised"),
    ],
)
def test_a_share_of_images_that_nobody_makes_is_refused(row: Any, settings: Any, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        method(row, settings=settings)


def test_a_component_that_nobody_offers_is_refused_with_its_place() -> None:
    wrong = {"synthesis": {"by": {"use": "pupet"}}}
    with pytest.raises(UnknownComponent, match=r"settings\.synthesis\.by(.|\n)*did you mean 'puppet'"):
        method(SOURCE, settings=wrong)


def keys(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {stage.name: stage.key for stage in method(*rows, **more).stages()}


def test_keys_change_with_what_a_stage_depends_on_and_with_nothing_else() -> None:
    before, row = keys(SOURCE, ADAPT), row_stage("adapted")

    def moved(after: dict[str, Any]) -> set[str]:
        return {name for name in before if before[name] != after[name]}

    assert moved(keys(SOURCE, ADAPT)) == set()
    assert moved(keys(SOURCE, ADAPT, settings={"source": {"steps": 7}})) == {row_stage("source-only")}
    assert moved(keys(SOURCE, ADAPT, settings={"source": {"latent": 0.0}})) == {row_stage("source-only")}
    assert moved(keys(SOURCE, ADAPT, settings={"adaptation": {"steps": 7}})) == {row}
    assert moved(keys(SOURCE, {**ADAPT, "weights": {"turn": 2.0}})) == {row}
    assert moved(keys(SOURCE, ADAPT, settings={"samples": 3})) == {"analysis"}
    assert moved(keys(SOURCE, ADAPT, settings={"rehearsal": {"rotation": 9.0}})) == {row}
    assert moved(keys(SOURCE, ADAPT, settings={"strong": {"rotation": 9.0}})) == set()
    scores = {score_stage("source-only"), score_stage("adapted")}
    assert moved(keys(SOURCE, ADAPT, evaluation={"protocols": ["mpjpe-root"]})) == scores
    assert moved(keys(SOURCE, {**ADAPT, "mirror_average": True})) == {score_stage("adapted")}
    assert moved(keys(SOURCE, {**ADAPT, "headline": True})) == set()
    other = [{"use": "relation", "name": "turn", "relation": "turn", "norm": "l2"}, {"use": "rehearsal"}]
    assert moved(keys(SOURCE, ADAPT, losses=other)) == {row}


def test_data_are_prepared_anew_when_a_looks_numbers_change(monkeypatch: pytest.MonkeyPatch) -> None:
    data = {**content()["data"], "target": {"use": "world", "look": "mild", "role": "target"}}

    def key() -> Any:
        return {stage.name: stage.key for stage in method(SOURCE, data=data).stages()}["data-target"]

    before = key()
    assert key() == before and before["fingerprint"]["clutter"] == look("mild").clutter
    monkeypatch.setattr("sa3dhp_world.data.look", lambda name, **more: attrs.evolve(look(name, **more), clutter=0.9))
    assert key() != before


def test_near_relations_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    measured = [{"relation": "turn", "relative": 0.8}, {"relation": "unused", "relative": 0.1}]

    def kept(least: float, **row: Any) -> list[str]:
        built = method(SOURCE, {**ADAPT, **row}, settings={"least_distance": least})
        return selected(built, built.rows[1], measured)

    assert kept(0.0) == kept(0.5) == ["turn", "rehearsal"] and not caplog.records
    assert kept(0.9) == ["rehearsal"]
    assert "'turn'" in caplog.text and "0.80 < 0.9" in caplog.text
    with pytest.raises(RecipeError, match=r"without a loss(.|\n)*at most 0\.80"):
        kept(0.9, losses=["turn"])
    assert moved_by_selection() == {row_stage("adapted")}


def moved_by_selection() -> set[str]:
    before, after = keys(SOURCE, ADAPT), keys(SOURCE, ADAPT, settings={"least_distance": 0.5})
    return {name for name in before if before[name] != after[name]}


def test_a_row_may_score_an_encoder_again() -> None:
    again = {"name": "averaged", "kind": "again", "start": "adapted", "mirror_average": True, "smooth": 5}
    stages = {stage.name: stage for stage in method(SOURCE, ADAPT, again).stages()}
    assert stages[row_stage("averaged")].requires == (row_stage("adapted"),)
    other = keys(SOURCE, ADAPT, {**again, "smooth": 7})
    assert {k for k, v in keys(SOURCE, ADAPT, again).items() if other[k] != v} == {score_stage("averaged")}
    with pytest.raises(RecipeError, match="needs an encoder to begin from"):
        method(SOURCE, {"name": "averaged", "kind": "again"})


def test_predictions_are_averaged_within_their_clips() -> None:
    poses, clips = torch.randn(9, 17, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0] * 5 + [1] * 4)
    out = smooth_clips(poses, clips, 3)
    alone = [average_over_time(part.flatten(1)[None], 3)[0] for part in (poses[:5], poses[5:])]
    assert torch.equal(out, torch.cat(alone).view_as(poses)) and not torch.equal(out, poses)
    assert torch.equal(smooth_clips(poses, clips, 0), poses)


def test_losses_are_called_what_they_are() -> None:
    assert loss_name({"use": "info-nce"}) == "lcr"
    assert loss_name({"use": "info-nce", "level": "motion"}) == "hcr"
    assert loss_name({"use": "relation", "relation": "flip"}) == "relation:flip"
    assert loss_name({"use": "rehearsal"}) == "rehearsal" and loss_name({"use": "x", "name": "mine"}) == "mine"


def test_names_become_folders_without_collisions() -> None:
    assert slug("source-only") == "source-only"
    names = ["+ LCR", "LCR", "lcr", "flip @ rotate(50)", "flip @ rotate(-50)", "flip-rotate-50"]
    assert len({slug(name) for name in names}) == len(names)
    assert all(set(slug(name)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)


def test_the_methods_keys_explain_themselves() -> None:
    from sa3dhp_self_adaptation import config

    for owner in (
        config.Settings,
        config.Row,
        config.Adaptation,
        config.SourceTraining,
        config.Viewpoints,
        config.Synthesis,
    ):
        assert [field.name for field in attrs.fields(owner) if not field.metadata.get("help")] == []


def test_a_loss_of_an_unknown_relation_is_refused_before_any_work() -> None:
    losses = [{"use": "relation", "name": "turn", "relation": "trun"}, {"use": "rehearsal"}]
    with pytest.raises(RecipeError, match=r"losses\[0\]\.relation(.|\n)*did you mean 'turn'"):
        method(SOURCE, losses=losses)


def test_one_key_of_the_strong_control_leaves_the_others_strong() -> None:
    settings = method(SOURCE, settings={"strong": {"rotation": 45.0}, "rehearsal": {"photometric": "strong"}}).config
    assert (settings.strong.photometric, settings.strong.rotation, settings.strong.mirror) == ("strong", 45.0, True)
    assert (settings.rehearsal.photometric, settings.rehearsal.rotation) == ("strong", 63.0)


def test_networks_of_unused_relations_are_learned_on_demand() -> None:
    def networks(**more: Any) -> list[str]:
        stages = (stage.name for stage in method(SOURCE, ADAPT, **more).stages())
        return [name for name in stages if name.startswith("relation-")]

    every, timed = {"networks": "all"}, {"relations": [*content()["relations"], {"use": "backward", "name": "back"}]}
    assert networks(settings=every) == [network_stage("turn"), network_stage("unused")]
    assert networks(settings=every, **timed) == networks(settings=every), "time needs a motion prior"
    assert networks(settings=every, motion_prior={"use": "motion-dct"}, **timed)[-1] == network_stage("back")
    assert keys(SOURCE, ADAPT, settings={"networks": "used"}) == keys(SOURCE, ADAPT)
    with pytest.raises(RecipeError, match="settings.networks"):
        networks(settings={"networks": "every"})
