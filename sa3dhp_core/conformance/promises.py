"""Checks: one promise each, by noun. A check takes a subject and a bench, and raises `BrokenPromise`. Runs nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import attrs

from sa3dhp_core.components import CAPABILITIES, FIGURES, NOUNS
from sa3dhp_core.errors import PluginError, nearest

if TYPE_CHECKING:
    from sa3dhp_core.conformance.bench import Bench
    from sa3dhp_core.conformance.subject import Subject

ANY = "component"
"""Noun of the checks that every component must pass."""

Body = Callable[["Subject", "Bench"], None]


class BrokenPromise(AssertionError):
    """A component does not do what its noun promises, or what it claims.

    Args:
        what: the promise, as it was broken.
        found: what was there.
        expected: what should have been there.
    """

    def __init__(self, what: str, found: object | None = None, expected: object | None = None) -> None:
        self.what = what
        facts = (("found", found), ("expected", expected))
        super().__init__("\n".join([what, *(f"  {name}: {value}" for name, value in facts if value is not None)]))


def must(kept: object, what: str, found: object | None = None, expected: object | None = None) -> None:
    """Raise `BrokenPromise` unless `kept`."""
    if not bool(kept):
        raise BrokenPromise(what, found, expected)


@attrs.frozen
class Check:
    """One promise.

    Attributes:
        noun: of the components that must keep it, or `ANY`.
        name: words joined by hyphens, unique within the noun.
        promise: one sentence, as documents and `sa3dhp plugins check` say it.
        run: raises where the promise is broken.
        needs: capabilities and figures that a component must claim for the check to concern it.
    """

    noun: str
    name: str
    promise: str
    run: Body
    needs: frozenset[str] = frozenset()

    def concerns(self, subject: Subject) -> bool:
        """Whether the subject claims what this check is about."""
        return self.needs <= subject.claims


_CHECKS: dict[tuple[str, str], Check] = {}


def check(noun: str, promise: str, needs: Iterable[str] = ()) -> Callable[[Body], Body]:
    """Register a function as a check; its name, with hyphens, is the check's.

    Args:
        noun: of the components that must keep it, or `ANY`.
        promise: one sentence.
        needs: capabilities or figures of the noun that a component must claim for the check to concern it.

    Raises:
        ValueError: a need is no capability or figure of the noun, or the name is taken.
    """
    wanted = frozenset(needs)
    if unknown := wanted - set(CAPABILITIES.get(noun, {})) - set(FIGURES.get(noun, {})):
        raise ValueError(f"a {noun} cannot claim {sorted(unknown)}")

    def register(body: Body) -> Body:
        name = body.__name__.strip("_").replace("_", "-")
        if (noun, name) in _CHECKS and _CHECKS[noun, name].run.__module__ != body.__module__:
            raise ValueError(f"two checks of {noun} are called {name!r}")
        _CHECKS[noun, name] = Check(noun, name, promise, body, wanted)
        return body

    return register


def checks_of(noun: str) -> tuple[Check, ...]:
    """What a component of this noun must pass: the checks of every component, then those of the noun.

    Raises:
        PluginError: there is no such noun.
    """
    if noun != ANY and noun not in NOUNS:
        raise PluginError(f"unknown noun {noun!r}", expected=f"one of {', '.join(NOUNS)}", hint=nearest(noun, NOUNS))
    for name in (ANY, noun):
        room(name)
    return tuple(found for found in _CHECKS.values() if found.noun in (ANY, noun))


def room(noun: str) -> Any:
    """The module that holds a noun's checks and the parts that its components are built from."""
    return importlib.import_module(f"sa3dhp_core.conformance.nouns.{noun}")
