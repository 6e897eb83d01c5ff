"""What a relation score must keep: one finite number, zero where nothing moves, an error for what cannot be scored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.promises import BrokenPromise, check, must
from sa3dhp_core.conformance.strategies import dtypes, seeds
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.conformance.tolerance import TOLERANCE

NOUN = "relation_score"
PAIRS = 64

widths = st.integers(1, 12)


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """A score is built from its keys alone."""
    return {}


def embeddings(bench: Bench, seed: int, width: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Anchors, and as many vectors that have nothing to do with them, ``(N, width)``."""
    first, second = torch.randn(2, PAIRS, width, generator=bench.generator("pairs", seed), dtype=torch.float64)
    return first.to(dtype), second.to(dtype)


@check(NOUN, "is one finite number for embeddings of every width and precision")
def is_a_finite_number(subject: Subject, bench: Bench) -> None:
    score = subject.make(bench)

    @bench.for_all(seed=seeds, width=widths, dtype=dtypes)
    def holds(seed: int, width: int, dtype: torch.dtype) -> None:
        value = score(*embeddings(bench, seed, width, dtype))
        must(isinstance(value, float) and math.isfinite(value), "is no finite float", repr(value))


@check(NOUN, "is zero where partners lie at their anchors, and above zero where they have nothing to do with them")
def is_zero_where_nothing_moves(subject: Subject, bench: Bench) -> None:
    score = subject.make(bench)

    @bench.for_all(seed=seeds, width=widths)
    def holds(seed: int, width: int) -> None:
        anchor, other = embeddings(bench, seed, width)
        must(score(anchor, anchor) == 0, "is not zero where nothing moves", score(anchor, anchor))
        must(score(anchor, other) > 0, "is not above zero for unrelated partners", score(anchor, other))


@check(NOUN, "does not fall where every partner moves straight away from its anchor: larger means less local")
def grows_with_distance(subject: Subject, bench: Bench) -> None:
    score = subject.make(bench)

    @bench.for_all(seed=seeds, width=widths)
    def holds(seed: int, width: int) -> None:
        anchor, away = embeddings(bench, seed, width, torch.float64)
        found = [score(anchor, anchor + share * away) for share in (0.1, 0.5, 1.0, 3.0)]
        must(found == sorted(found), "falls where partners move away", found)
        must(found[0] < found[-1], "is the same near and far", found)


@check(NOUN, "is the same with anchors and partners exchanged", ["symmetric"])
def is_symmetric(subject: Subject, bench: Bench) -> None:
    score = subject.make(bench)

    @bench.for_all(seed=seeds, width=widths)
    def holds(seed: int, width: int) -> None:
        anchor, partner = embeddings(bench, seed, width)
        there, back = score(anchor, partner), score(partner, anchor)
        close = math.isclose(there, back, rel_tol=TOLERANCE[anchor.dtype])
        must(close, "exchanging anchors and partners changes it", back, there)


@check(NOUN, "refuses embeddings of different shapes by an error, never by a number")
def refuses_shapes_that_differ(subject: Subject, bench: Bench) -> None:
    score = subject.make(bench)
    anchor, partner = embeddings(bench, 0, 4)
    for wrong in (partner[:1], partner[:-1], partner[:, :1], partner[:, :-1]):
        try:
            value = score(anchor, wrong)
        except Exception:  # the promise is an error, of whatever kind
            continue
        raise BrokenPromise(f"scores {tuple(anchor.shape)} against {tuple(wrong.shape)}", value, "an error")


@check(NOUN, "answers anchors that are all alike by a number or an error, never by NaN")
def never_answers_nan(subject: Subject, bench: Bench) -> None:
    score = subject.make(bench)
    alike, partner = torch.ones(PAIRS, 4), embeddings(bench, 0, 4)[1]
    for anchors, partners in ((alike, alike), (alike, partner), (alike[:1], partner[:1])):
        try:
            value = score(anchors, partners)
        except Exception:  # the promise is an error, of whatever kind
            continue
        must(math.isfinite(value), "answers what it cannot score", value, "a finite number or an error")


@check(NOUN, "draws nothing, keeps nothing and leaves what it is given as it was")
def answers_the_same_question_alike(subject: Subject, bench: Bench) -> None:
    score = subject.make(bench)
    pair, other = embeddings(bench, 0, 4), embeddings(bench, 1, 4)
    kept, state = [side.clone() for side in pair], torch.get_rng_state()
    first = score(*pair)
    score(*other)
    must(score(*pair) == first, "answers the same question differently", score(*pair), first)
    must(torch.equal(state, torch.get_rng_state()), "draws from the global generator")
    must(all(torch.equal(a, b) for a, b in zip(pair, kept, strict=True)), "changes what it is given")
