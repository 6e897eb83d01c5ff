"""The kit's frame: subjects, outcomes, expected failures, the door for pytest, and the strategies."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from sa3dhp_core.atomic import read_json, write_json
from sa3dhp_core.components import Component
from sa3dhp_core.conformance import (
    Bench,
    BrokenPromise,
    Subject,
    check,
    checks_for,
    checks_of,
    profile,
    promises,
    run_checks,
)
from sa3dhp_core.conformance.figures import picture
from sa3dhp_core.conformance.pytest_door import as_subject, parametrize_with_checks
from sa3dhp_core.conformance.reference import MatrixRelation
from sa3dhp_core.conformance.strategies import HOUSE, clips, motions, relations
from sa3dhp_core.conformance.tolerance import need_equal
from sa3dhp_core.errors import PluginError
from sa3dhp_core.geometry import bone_lengths, rotation_z
from sa3dhp_core.protocols.relation import Relation
from tests.broken.relation import Faulty, Growing, OneSided

BENCH = Bench()
few = settings(max_examples=10, deadline=None)
TURN = MatrixRelation(rotation_z(math.radians(50.0)), HOUSE, name="turn")


def broken(subject: Subject) -> list[str]:
    return [outcome.check for outcome in run_checks([subject], BENCH) if outcome.failed]


@parametrize_with_checks([TURN, Subject.given(Faulty(), capabilities=["involution"], id="mirror")])
def test_the_door_makes_a_test_of_every_check(check: object) -> None:
    assert callable(check)
    check()


def test_the_doors_ids_are_readable_and_expected_failures_are_strict() -> None:
    one_sided = Subject.given(
        OneSided(), id="one-sided", capabilities=["geometric"], expected_failures={"exchanges-mirror-pairs": "known"}
    )
    (_, cases) = parametrize_with_checks([one_sided]).args
    by_id = {case.id: case for case in cases}
    (mark,) = by_id["relation:one-sided:exchanges-mirror-pairs"].marks
    assert mark.name == "xfail" and mark.kwargs == {"reason": "known", "strict": True}
    assert by_id["relation:one-sided:is-differentiable"].marks == ()
    assert "relation:one-sided:keeps-bone-lengths" not in by_id  # it does not claim that


def test_only_what_is_claimed_is_checked() -> None:
    silent, growing = Subject.given(Growing()), Subject.given(Growing(), capabilities=["keeps-bones"])
    assert "keeps-bone-lengths" not in {found.name for found in checks_for(silent)}
    assert broken(silent) == [] and broken(growing) == ["keeps-bone-lengths"]


def test_a_failure_says_what_was_promised_found_and_the_example() -> None:
    (outcome,) = [o for o in run_checks([Subject.given(Growing(), capabilities=["keeps-bones"])], BENCH) if o.failed]
    assert outcome.status == "broken" and "keeps every bone" in outcome.promise
    assert "a bone changes its length" in outcome.reason
    assert "found: a difference of" in outcome.reason and "example: seed=0" in outcome.reason


def test_an_expected_failure_is_known_and_one_that_is_mended_is_a_failure() -> None:
    known = Subject.given(Growing(), capabilities=["keeps-bones"], expected_failures={"keeps-bone-lengths": "it grows"})
    (outcome,) = [o for o in run_checks([known], BENCH) if o.status != "kept"]
    assert (outcome.status, outcome.reason, outcome.failed) == ("known", "it grows", False)
    mended = attrs.evolve(known, make=lambda bench: Faulty())
    (outcome,) = [o for o in run_checks([mended], BENCH) if o.status != "kept"]
    assert outcome.status == "mended" and outcome.failed and "it grows" in outcome.reason


def test_an_expected_failure_of_an_unknown_check_names_the_nearest() -> None:
    with pytest.raises(PluginError, match="unknown check") as caught:
        checks_for(Subject.given(Growing(), expected_failures={"keeps-bone-length": "?"}))
    assert caught.value.hint == "did you mean 'keeps-bone-lengths'?"


def test_a_component_that_raises_is_broken_and_the_others_go_on() -> None:
    def explode(bench: Bench) -> None:
        raise SystemExit("bye")

    outcomes = list(run_checks([Subject("relation", "bomb", explode), Subject.given(TURN)], BENCH))
    assert {o.reason for o in outcomes if o.subject == "relation:bomb" and o.failed} == {"SystemExit: bye"}
    assert not any(o.failed for o in outcomes if o.subject == "relation:turn")


def test_the_noun_of_an_object_is_told_by_its_attributes() -> None:
    assert as_subject(TURN).name == "relation:turn"
    assert as_subject(Faulty()).capabilities == frozenset()
    with pytest.raises(PluginError, match="noun of object"):
        as_subject(object())


def test_an_unknown_claim_is_refused_with_the_nearest() -> None:
    with pytest.raises(PluginError, match="cannot claim 'geometrical'") as caught:
        Subject.given(TURN, capabilities=["geometrical"])
    assert caught.value.hint == "did you mean 'geometric'?"
    with pytest.raises(PluginError, match="cannot claim 'speed'"):
        Subject.given(TURN, figures={"speed": 1.0})


def test_every_check_sees_a_copy_of_its_own() -> None:
    class Counting(Faulty):
        calls = 0

        def temporal(self, frames: int) -> object:  # type: ignore[override]
            self.calls += 1
            assert self.calls < 100
            return super().temporal(frames)

    thing = Counting()
    list(run_checks([Subject.given(thing)], BENCH))
    assert thing.calls == 0


def test_a_component_is_built_from_its_example() -> None:
    component = Component(
        "relation", "part", "a part", "tests.core.test_conformance:Angle", "tests.core.test_conformance:build"
    )
    assert Subject.offered(component).make(BENCH).name == "angle 10"
    with_example = attrs.evolve(component, example="tests.core.test_conformance:example")
    assert Subject.offered(with_example).make(BENCH).name == "angle 20"


@attrs.frozen
class Angle:
    angle: float = attrs.field(default=10.0, metadata={"help": "degrees"})


def build(config: Angle, skeleton: object) -> MatrixRelation:
    return attrs.evolve(TURN, name=f"angle {config.angle:g}")


def example(folder: object) -> dict[str, float]:
    return {"angle": 20.0}


def test_a_check_may_need_only_what_its_noun_can_claim() -> None:
    with pytest.raises(ValueError, match="cannot claim"):
        check("relation", "turns the world", ["turning"])
    with pytest.raises(PluginError, match="unknown noun"):
        checks_of("relations")


def test_a_profile_is_known_by_name() -> None:
    assert profile("thorough").examples > profile("quick").examples
    with pytest.raises(PluginError, match="no profile"):
        profile("quik")


def test_comparisons_look_at_shapes_first() -> None:
    with pytest.raises(BrokenPromise, match="shape"):
        need_equal(torch.zeros(3, 1), torch.zeros(3), "differs")
    with pytest.raises(BrokenPromise, match="differs"):
        need_equal(torch.tensor([math.nan]), torch.zeros(1), "differs")


def test_the_pages_examples_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "conformance.md"
    door, spoilt, law, own = re.findall(
        r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    monkeypatch.setattr(promises, "_CHECKS", dict(promises._CHECKS))
    shown: dict[str, Any] = {
        "write_fixture": lambda folder: write_json(folder / "poses.json", {"joints": list(range(200))}),
        "read_all": lambda folder: read_json(folder / "poses.json"),
    }
    for block in (door, spoilt, law, own):
        exec(block, shown)
    (mark,) = shown["test_conformance"].pytestmark
    assert "relation:template-tilt:commutes-with-rendering" in {case.id for case in mark.args[1]}
    shown["test_spoilt_folders_are_read_or_refused"](tmp_path)
    shown["test_a_turn_keeps_the_bones"]()
    long = attrs.evolve(TURN, name="a name " * 10)
    assert broken(Subject.given(long)) == ["has-a-short-name"] and broken(Subject.given(TURN)) == []


@few
@given(relations())
def test_drawn_relations_are_relations_that_keep_what_they_claim(relation: MatrixRelation) -> None:
    assert isinstance(relation, Relation)
    identity = relation.matrix @ relation.matrix.mT
    assert torch.allclose(identity, torch.eye(3, dtype=torch.float64))


@few
@given(motions())
def test_drawn_motions_move_and_keep_their_bones(motion: Tensor) -> None:
    lengths = bone_lengths(motion, HOUSE)
    assert torch.allclose(lengths, lengths[:1].expand_as(lengths)) and float((motion[0] - motion[-1]).abs().max()) > 0


@few
@given(clips())
def test_drawn_clips_are_images(clip: Tensor) -> None:
    assert clip.shape == (2, 3, 3, 24, 24) and 0 <= float(clip.min()) and float(clip.max()) <= 1


def test_the_benchs_renderer_shows_the_nearer_limb() -> None:
    """Two bones cross: the one in front hides the other, and a mirror image shows the same picture mirrored."""
    body = attrs.evolve(HOUSE, id="cross")
    pose = torch.zeros(len(body), 3, dtype=torch.float64)
    front, back = body.index("left_wrist"), body.index("head")
    pose[front], pose[back] = torch.tensor([0.5, 0.0, -0.5]), torch.tensor([0.0, -0.5, 0.5])
    camera = torch.tensor([[60.0, 0, 16], [0, 60.0, 16], [0, 0, 1]], dtype=torch.float64)
    image = picture(pose + torch.tensor([0.0, 0.0, 4.0]), camera, 32, body)
    assert image.shape == (3, 32, 32) and float(image.max()) > 0.3 and float(image[:, 0, 0].max()) < 1e-3
    mirrored = torch.tensor([-1.0, 1.0, 1.0]) * pose[list(body.mirror)]
    assert torch.allclose(picture(mirrored + torch.tensor([0.0, 0.0, 4.0]), camera, 32, body), image.flip(-1))
