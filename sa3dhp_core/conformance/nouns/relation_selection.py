"""What a criterion that chooses relations must keep: as many as asked for, each with its reason, from numbers alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import torch
from hypothesis import strategies as st

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.strategies import seeds
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.errors import RunError
from sa3dhp_core.geometry import ambiguity, mirror_matrix, rotation_x, rotation_z
from sa3dhp_core.protocols.selection import Choice, ErrorsMm, RelationFigures, Residuals, Survey

NOUN = "relation_selection"


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """A criterion is built from its keys alone."""
    return {}


def survey(bench: Bench, seed: int) -> Survey:
    """Six relations, one of them of motions and one that no matrix describes, with figures drawn at random."""
    turn, tilt = rotation_z(math.radians(50.0)), rotation_x(math.radians(5.0))
    known = {"flip": mirror_matrix(), "turn": turn, "flip-turn": mirror_matrix() @ turn, "tilt": tilt}
    matrices = {name: one.double()[None] for name, one in known.items()}
    matrices["backward"] = torch.eye(3, dtype=torch.float64)[None]
    draws = torch.rand(6, 8, generator=bench.generator("survey", seed), dtype=torch.float64).tolist()
    names = (*matrices, "exchange")
    figures = tuple(_figures(bench, name, matrices.get(name), row) for name, row in zip(names, draws, strict=True))
    shares = torch.rand(6, 6, generator=bench.generator("redundancy", seed), dtype=torch.float64).tolist()
    redundancy = {one: {other: shares[a][b] for b, other in enumerate(names) if b != a} for a, one in enumerate(names)}
    return Survey("test", bench.skeleton, figures, Residuals(0.1, 0.01, 0.5), redundancy)


def _figures(bench: Bench, name: str, matrices: torch.Tensor | None, drawn: list[float]) -> RelationFigures:
    return RelationFigures(
        name=name,
        space="v" if name == "backward" else "z",
        elements=None if matrices is None else tuple(tuple(tuple(row) for row in one) for one in matrices.tolist()),
        alone=None if matrices is None else ambiguity(matrices, bench.skeleton),
        distance=2 * drawn[0],
        relative=drawn[0],
        errors_mm=ErrorsMm(network=20 + 30 * drawn[1], identity=100 + 100 * drawn[2], floor=20 * drawn[3]),
        residuals=Residuals(pose=drawn[4], latent=drawn[5] * drawn[4], mean=1 + drawn[6]),
    )


def without_networks(full: Survey) -> Survey:
    """The same of a run that trained none: distances alone are known."""
    bare = tuple(attrs.evolve(one, errors_mm=None, residuals=None) for one in full.relations)
    return attrs.evolve(full, relations=bare, redundancy={})


@check(NOUN, "chooses exactly as many different relations of the survey as it is asked for, from one to all")
def chooses_as_many_as_asked(subject: Subject, bench: Bench) -> None:
    criterion = subject.make(bench)

    @bench.for_all(seed=seeds, size=st.integers(1, 6))
    def holds(seed: int, size: int) -> None:
        given = survey(bench, seed)
        names = [choice.name for choice in criterion(given, size)]
        known = {figures.name for figures in given.relations}
        must(len(names) == size == len(set(names)), "a wrong number of relations", names, f"{size} different ones")
        must(set(names) <= known, "chooses what the survey does not have", sorted(set(names) - known), sorted(known))


@check(NOUN, "gives a reason for each, one line without a full stop")
def says_why(subject: Subject, bench: Bench) -> None:
    for choice in subject.make(bench)(survey(bench, 0), 3):
        must(isinstance(choice, Choice), "is no Choice", repr(choice))
        reason = choice.reason.strip()
        must(reason and "\n" not in reason and not reason.endswith("."), f"{choice.name}: no reason", repr(reason))


@check(NOUN, "gives the same choice for the same survey, and draws nothing")
def repeats_itself(subject: Subject, bench: Bench) -> None:
    criterion, given, state = subject.make(bench), survey(bench, 1), torch.get_rng_state()
    first = tuple(criterion(given, 4))
    criterion(survey(bench, 2), 2)
    must(tuple(criterion(given, 4)) == first, "answers the same question differently")
    must(torch.equal(state, torch.get_rng_state()), "draws from the global generator")


@check(NOUN, "does not mind the order in which a recipe lists its relations", ["order-free"])
def does_not_mind_the_order(subject: Subject, bench: Bench) -> None:
    criterion = subject.make(bench)

    @bench.for_all(seed=seeds, size=st.integers(1, 6), order=st.permutations(range(6)))
    def holds(seed: int, size: int, order: list[int]) -> None:
        given = survey(bench, seed)
        other = attrs.evolve(given, relations=tuple(given.relations[place] for place in order))
        found, wanted = ([choice.name for choice in criterion(s, size)] for s in (other, given))
        must(found == wanted, "another order of the recipe changes the choice", found, wanted)


@check(NOUN, "where figures that it needs are missing, raises RunError with a hint; else it chooses")
def says_what_it_lacks(subject: Subject, bench: Bench) -> None:
    criterion = subject.make(bench)
    try:
        names = {choice.name for choice in criterion(without_networks(survey(bench, 0)), 3)}
    except RunError as error:
        must(error.hint, "the error says nothing of what to do", error)
    else:
        must(len(names) == 3, "a wrong number of relations", sorted(names), 3)
