"""Criteria that each break one promise, beside one that keeps all."""

from __future__ import annotations

import torch

from sa3dhp_core.conformance import Subject
from sa3dhp_core.protocols.selection import Choice, Survey


class Farthest:
    """The largest distances first; a subclass breaks one thing."""

    reason = "it is far"

    def __call__(self, survey: Survey, size: int) -> tuple[Choice, ...]:
        return tuple(Choice(name, self.reason) for name in self.ordered(survey)[:size])

    def ordered(self, survey: Survey) -> list[str]:
        far = sorted(survey.relations, key=lambda one: (-(one.relative or 0.0), one.name))
        return [one.name for one in far]


class Repeating(Farthest):
    """The best one again and again."""

    def ordered(self, survey: Survey) -> list[str]:
        return super().ordered(survey)[:1] * len(survey.relations)


class Terse(Farthest):
    reason = ""


class Moody(Farthest):
    """Chooses at random."""

    def ordered(self, survey: Survey) -> list[str]:
        return [survey.relations[place].name for place in torch.randperm(len(survey.relations)).tolist()]


class Listed(Farthest):
    """The first ones of the recipe."""

    def ordered(self, survey: Survey) -> list[str]:
        return [one.name for one in survey.relations]


class Careless(Farthest):
    """Takes the networks for granted."""

    def ordered(self, survey: Survey) -> list[str]:
        return [one.name for one in sorted(survey.relations, key=lambda one: one.errors_mm.network)]  # type: ignore[union-attr]


def criterion(kind: type[Farthest], *claims: str) -> Subject:
    """A criterion with these claims."""
    return Subject.given(kind(), noun="relation_selection", capabilities=claims)


GOOD = [criterion(Farthest, "order-free"), criterion(Listed)]
BROKEN = {
    "chooses-as-many-as-asked": criterion(Repeating),
    "says-why": criterion(Terse),
    "repeats-itself": criterion(Moody),
    "does-not-mind-the-order": criterion(Listed, "order-free"),
    "says-what-it-lacks": criterion(Careless),
}
