"""Criteria that choose a set of relations from a survey. They compute with its numbers alone."""

from __future__ import annotations

import attrs

from sa3dhp_core.errors import PluginError, RecipeError, RunError
from sa3dhp_core.geometry import Ambiguity
from sa3dhp_core.protocols.selection import Choice, RelationFigures, RelationSelection, Survey
from sa3dhp_relations import config as keys


@attrs.frozen
class ByLatentDistance:
    """The largest latent distances (METHOD 1.3); in units of the distance of random pairs, z and v compare."""

    def __call__(self, survey: Survey, size: int) -> tuple[Choice, ...]:
        """See `RelationSelection`."""
        chosen = sorted(survey.relations, key=lambda one: (-_relative(one), one.name))[:size]
        places = range(1, size + 1)
        return tuple(
            Choice(
                one.name, f"latent distance {_relative(one):.2f} of that of random pairs, number {place} in that order"
            )
            for place, one in zip(places, chosen, strict=True)
        )


@attrs.frozen
class PinsDown:
    """Relations added one by one, each time the one that together with those before leaves least open.

    Least, in this order: fixed poses, invisible maps, what its network repeats of theirs; then the largest latent
    distance. Relations nearer than `least_distance` come after all others: what hardly moves an embedding pins it down
    in theory alone. So do relations that no matrix describes, for which there is no algebra.
    """

    least_distance: float

    def __call__(self, survey: Survey, size: int) -> tuple[Choice, ...]:
        """See `RelationSelection`; raises `RunError` where a relation has no network."""
        lacking = [one.name for one in survey.relations if one.errors_mm is None]
        if lacking:
            raise RunError(
                f"no network was trained for {', '.join(lacking)}",
                expected="networks of all relations, whose redundancy this criterion weighs",
                hint='networks = "all" in [settings], a [motion_prior] where time is moved, or --by latent-distance',
            )
        chosen: list[str] = []
        found: list[Choice] = []
        while len(found) < size:
            waiting = [one for one in survey.relations if one.name not in chosen]
            best = min(waiting, key=lambda one: self._order(survey, chosen, one))
            found.append(Choice(best.name, self._reason(survey, chosen, best)))
            chosen.append(best.name)
        return tuple(found)

    def _order(self, survey: Survey, chosen: list[str], one: RelationFigures) -> tuple[float | str, ...]:
        left = survey.left_open([*chosen, one.name])
        last = one.elements is None or _relative(one) < self.least_distance
        repeated = round(repetition(survey, chosen, one.name), 1)  # finer differences are chance
        return (last, left.fixed_dimension, left.turning, left.count or 0, repeated, -_relative(one), one.name)

    def _reason(self, survey: Survey, chosen: list[str], one: RelationFigures) -> str:
        if one.elements is None:
            return f"no matrix describes it, so only its latent distance counts: {_relative(one):.2f}"
        before, after = survey.left_open(chosen), survey.left_open([*chosen, one.name])
        parts = [f"fixed poses {before.fixed_dimension} -> {described_fixed(after)}"]
        parts.append(f"invisible maps {described_count(before)} -> {described_count(after)}")
        if chosen:
            parts.append(
                f"{100 * repetition(survey, chosen, one.name):.0f} % of what it changes follows from the others"
            )
        parts.append(f"latent distance {_relative(one):.2f}")
        if _relative(one) < self.least_distance:
            parts.append(f"nearer than {self.least_distance:g}, so after all others")
        return "; ".join(parts)


def check_size(size: int, names: tuple[str, ...]) -> None:
    """Raises `RecipeError` where so many relations cannot be chosen from `names`."""
    if not 1 <= size <= len(names):
        raise RecipeError(
            "the run has not so many relations",
            where="--size",
            found=size,
            expected=f"1 to {len(names)} ({', '.join(names)})",
        )


def proposed(criterion: RelationSelection, survey: Survey, size: int) -> tuple[Choice, ...]:
    """What a criterion chooses, held to its promise; raises `PluginError` where it breaks it."""
    choices = tuple(criterion(survey, size))
    names = [choice.name for choice in choices]
    if len(names) != size or len(set(names)) != size:
        raise PluginError(
            "a criterion that does not choose as many different relations as it is asked for",
            where=type(criterion).__name__,
            found=", ".join(names) or "none",
            expected=size,
        )
    for name in names:
        survey.of(name)
    return choices


def repetition(survey: Survey, chosen: list[str], name: str) -> float:
    """The largest share of what a relation's network changes that one of the chosen predicts."""
    return max((survey.redundancy[other][name] for other in chosen), default=0.0)


def described_fixed(left: Ambiguity) -> str:
    """``16 (needles)``."""
    return f"{left.fixed_dimension} ({left.fixed_kind})"


def described_count(left: Ambiguity) -> str:
    """How many invisible maps there are."""
    return "endless" if left.count is None else str(left.count)


def _relative(figures: RelationFigures) -> float:
    return -1.0 if figures.relative is None else figures.relative


def latent_distance(config: keys.SelectByDistance) -> ByLatentDistance:
    """Target of the component `latent-distance`."""
    return ByLatentDistance()


def pins_down(config: keys.SelectPinning) -> PinsDown:
    """Target of the component `pins-down`."""
    return PinsDown(config.least_distance)
