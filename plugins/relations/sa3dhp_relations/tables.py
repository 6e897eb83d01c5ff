"""A survey and a choice as tables on the console and as plain data. Computes nothing new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from sa3dhp_core.cli import console
from sa3dhp_core.geometry import Ambiguity
from sa3dhp_core.protocols.selection import Choice, RelationFigures, Survey
from sa3dhp_relations.selection import described_count, described_fixed

COLUMNS = (
    "relation",
    "space",
    "distance",
    "of random",
    "network mm",
    "identity mm",
    "floor mm",
    "least at a pose",
    "least in range",
    "fixed poses",
    "invisible maps",
    "depth reversal",
)
TRIVIAL = ("identity", "point reflection")
"""Maps that commute with every relation, and tell nothing about one."""


def ranked(survey: Survey) -> list[RelationFigures]:
    """The farthest first; what has no distance last."""
    return sorted(survey.relations, key=lambda one: -1.0 if one.relative is None else one.relative, reverse=True)


def print_survey(survey: Survey) -> None:
    """The relations, what they leave open together, and the redundancy matrix."""
    order = ranked(survey)
    title = f"relations by latent distance; held-out motion: {survey.split}"
    console.print_table(title, COLUMNS, (_cells(one) for one in order))
    print("\n" + "\n".join(together_lines(survey)))
    names = [one.name for one in order if one.name in survey.redundancy]
    if len(names) > 1:
        print()
        numbers = [str(number) for number in range(1, len(names) + 1)]
        title = "redundancy: how much of what a column's network changes follows from what a row's changes, per cent"
        console.print_table(title, ("", "relation", *numbers), _matrix(survey, names))


def together_lines(survey: Survey) -> Iterator[str]:
    """What all relations leave open together, a line a fact."""
    left = survey.left_open([one.name for one in survey.relations])
    yield f"all together: fixed poses {described_fixed(left)}; invisible maps {described_maps(left)}"
    least = survey.together
    yield "  all networks' mean move, in units of a random pair's distance:"
    yield f"  {least.mean:.3f} of held-out poses, {least.pose:.3f} of the pose that is moved least,"
    yield f"  {least.latent:.3f} of the embedding in the prior's range that is moved least"
    if other := [one.name for one in survey.relations if one.elements is None]:
        yield f"  no matrix describes {', '.join(other)}: the algebra leaves them out"
    if lacking := [one.name for one in survey.relations if one.errors_mm is None]:
        yield f"  no network was trained for {', '.join(lacking)}: networks = 'all' in [settings] trains them"


def described_maps(left: Ambiguity) -> str:
    """How many invisible maps there are, and those with a name that not every set has."""
    names = [name for name in left.invisible if name not in TRIVIAL]
    return described_count(left) + (f" ({', '.join(names)})" if names else "")


def print_choice(survey: Survey, choices: Sequence[Choice]) -> None:
    """Names with reasons, and what the set leaves open."""
    rows = [(number, choice.name, choice.reason) for number, choice in enumerate(choices, start=1)]
    console.print_table("", ("", "relation", "why"), rows)
    left = survey.left_open([choice.name for choice in choices])
    print(f"\nthe set leaves open: fixed poses {described_fixed(left)}; invisible maps {described_maps(left)}")


def as_plain(survey: Survey) -> dict[str, Any]:
    """The survey as JSON can hold it, the farthest first; the skeleton by its id."""
    plain = attrs.asdict(attrs.evolve(survey, relations=tuple(ranked(survey))))
    return plain | {"skeleton": survey.skeleton.id, "left_open": _open(survey, [one.name for one in survey.relations])}


def as_plain_choice(survey: Survey, by: str, choices: Sequence[Choice]) -> dict[str, Any]:
    """The choice as JSON can hold it."""
    names = [choice.name for choice in choices]
    return {"by": by, "chosen": [attrs.asdict(choice) for choice in choices], "left_open": _open(survey, names)}


def _open(survey: Survey, names: Sequence[str]) -> dict[str, Any]:
    return attrs.asdict(survey.left_open(names))


def _cells(one: RelationFigures) -> tuple[str, ...]:
    nothing, alone = (None, None, None), one.alone
    errors = nothing if one.errors_mm is None else attrs.astuple(one.errors_mm)
    least = nothing if one.residuals is None else attrs.astuple(one.residuals)
    return (
        one.name,
        one.space,
        _number(one.distance, 3),
        _number(one.relative, 2),
        *(_number(value, 1) for value in errors),
        *(_number(value, 3) for value in least[:2]),
        "–" if alone is None else described_fixed(alone),
        "–" if alone is None else described_count(alone),
        "–" if alone is None else ("invisible" if "depth reversal" in alone.invisible else "seen"),
    )


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _matrix(survey: Survey, names: Sequence[str]) -> Iterator[tuple[object, ...]]:
    for number, first in enumerate(names, start=1):
        row = survey.redundancy[first]
        yield number, first, *("" if second == first else f"{100 * row[second]:.0f}" for second in names)
