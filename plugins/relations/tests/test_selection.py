"""Criteria choose as they promise, from surveys written by hand, and say why."""

from __future__ import annotations

import attrs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import PluginError, RecipeError, RunError
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.selection import Choice, ErrorsMm, RelationFigures, Residuals, Survey
from sa3dhp_relations.geometric import geometric
from sa3dhp_relations.selection import ByLatentDistance, PinsDown, check_size, proposed
from sa3dhp_relations.surveying import elements

BODY = skeleton()
LEAST = Residuals(0.1, 0.0, 0.5)


def figures(name: str, relative: float | None, expression: str = "") -> RelationFigures:
    matrices = elements(geometric(expression or name, BODY, name), BODY)
    assert matrices is not None
    plain = tuple(tuple(tuple(row) for row in one) for one in matrices.tolist())
    return RelationFigures(name, "z", plain, None, relative, relative, ErrorsMm(20.0, 200.0, 15.0), LEAST)


def survey_of(*known: RelationFigures, **redundancy: float) -> Survey:
    names = [one.name for one in known]
    shares = {a: {b: redundancy.get(f"{a}_{b}", 0.0) for b in names if b != a} for a in names}
    return Survey("test", BODY, known, LEAST, shares)


FLIP, TURN, NEAR, TILT = (
    figures("flip", 0.8),
    figures("rotate(50)", 0.5),
    figures("rotate(5)", 0.1),
    figures("tilt(10)", 0.4),
)
ALL = survey_of(FLIP, TURN, NEAR, TILT)


def names(choices: tuple[Choice, ...]) -> list[str]:
    return [choice.name for choice in choices]


def test_by_distance_the_farthest_come_first_and_say_so() -> None:
    choices = ByLatentDistance()(ALL, 3)
    assert names(choices) == ["flip", "rotate(50)", "tilt(10)"]
    assert "0.80" in choices[0].reason and "number 3" in choices[2].reason
    unmeasured = attrs.evolve(ALL, relations=(figures("flip", None), TURN))
    assert names(ByLatentDistance()(unmeasured, 2)) == ["rotate(50)", "flip"]


def test_pinning_down_prefers_what_closes_most() -> None:
    choices = PinsDown(0.3)(ALL, 4)
    assert names(choices) == ["rotate(50)", "tilt(10)", "flip", "rotate(5)"]
    assert "fixed poses 48 -> 16 (needles)" in choices[0].reason
    assert "16 -> 0 (none)" in choices[1].reason and "endless -> 2" in choices[1].reason
    assert "nearer than 0.3" in choices[3].reason and "nearer" not in choices[2].reason


def test_equal_relations_are_told_apart_by_redundancy_then_distance() -> None:
    other = figures("other", 0.45, "rotate(40)")
    known = (TURN, figures("tilt-a", 0.4, "tilt(10)"), figures("tilt-b", 0.5, "tilt(12)"), other)
    assert names(PinsDown(0.0)(survey_of(*known), 2)) == ["rotate(50)", "tilt-b"]
    repeated = survey_of(*known, **{"rotate(50)_tilt-b": 0.9})
    assert names(PinsDown(0.0)(repeated, 2)) == ["rotate(50)", "tilt-a"]


def test_what_no_matrix_describes_comes_last() -> None:
    odd = attrs.evolve(figures("odd", 2.0, "identity"), elements=None)
    choices = PinsDown(0.3)(survey_of(odd, FLIP), 2)
    assert names(choices) == ["flip", "odd"] and "no matrix" in choices[1].reason


def test_pinning_down_needs_every_network() -> None:
    lacking = attrs.evolve(ALL, relations=(attrs.evolve(FLIP, errors_mm=None), TURN))
    with pytest.raises(RunError, match="no network was trained for flip"):
        PinsDown(0.3)(lacking, 1)
    assert names(ByLatentDistance()(lacking, 1)) == ["flip"]


@given(st.permutations([FLIP, TURN, NEAR, TILT]), st.integers(1, 4))
def test_choices_are_different_and_do_not_depend_on_the_order(known: list[RelationFigures], size: int) -> None:
    for criterion in (ByLatentDistance(), PinsDown(0.3)):
        chosen = names(proposed(criterion, survey_of(*known), size))
        assert len(set(chosen)) == size and chosen == names(criterion(ALL, size))
        assert chosen == names(criterion(ALL, 4))[:size]


def test_a_criterion_is_held_to_its_promise() -> None:
    def twice(survey: Survey, size: int) -> tuple[Choice, ...]:
        return (Choice("flip", "good"),) * size

    def foreign(survey: Survey, size: int) -> tuple[Choice, ...]:
        return (Choice("flop", "good"),)

    with pytest.raises(PluginError, match="flip, flip"):
        proposed(twice, ALL, 2)
    with pytest.raises(RecipeError, match="did you mean 'flip'"):
        proposed(foreign, ALL, 1)
    for size in (0, 5):
        with pytest.raises(RecipeError, match="1 to 4"):
            check_size(size, tuple(one.name for one in ALL.relations))


def test_a_host_builds_the_criteria_from_their_tables() -> None:
    host = Host.load()
    built = host.build("relation_selection", {"use": "pins-down", "least_distance": 0.5}, "--by")
    assert built == PinsDown(0.5)
    assert host.build("relation_selection", {"use": "latent-distance"}, "--by") == ByLatentDistance()


def test_adding_relations_to_a_set_closes_what_was_open() -> None:
    sizes = [ALL.left_open([one.name for one in ALL.relations[:count]]).fixed_dimension for count in range(5)]
    assert sizes == [48, 26, 10, 10, 0]
    assert torch.tensor(ALL.of("flip").elements).shape == (1, 3, 3)
