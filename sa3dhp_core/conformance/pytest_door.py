"""The kit's door for pytest: one decorator, one test a check, readable ids, expected failures with their reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from sa3dhp_core.components import Component
from sa3dhp_core.conformance.bench import PROFILES, Bench, Profile
from sa3dhp_core.conformance.promises import Check
from sa3dhp_core.conformance.run import checks_for
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.host import Host, Offer


@attrs.frozen(eq=False)
class BoundCheck:
    """A check of one subject; call it."""

    check: Check
    subject: Subject
    bench: Bench

    def __call__(self) -> None:
        """Raises `BrokenPromise`, or whatever the component raises."""
        __tracebackhide__ = True
        self.check.run(self.subject, self.bench)


def parametrize_with_checks(
    subjects: Sequence[Any], *, host: Host | None = None, profile: Profile = PROFILES["quick"]
) -> pytest.MarkDecorator:
    """One test for every check that concerns each subject.

        @parametrize_with_checks([MyRelation(...)])
        def test_conformance(check):
            check()

    Args:
        subjects: built objects, components as a plugin's hook returns them, offers of a host, or `Subject` values where
            claims or a noun must be told.
        host: where components find the others that their tables name.
        profile: how hard to look.

    Raises:
        PluginError: a noun cannot be told, or a claim or an expected failure is unknown.
    """
    bench = Bench(profile, host or Host(()))
    cases = []
    for subject in map(as_subject, subjects):
        for check in checks_for(subject):
            reason = subject.expected_failures.get(check.name)
            marks = () if reason is None else (pytest.mark.xfail(reason=reason, strict=True),)
            cases.append(
                pytest.param(BoundCheck(check, subject, bench), id=f"{subject.name}:{check.name}", marks=marks)
            )
    return pytest.mark.parametrize("check", cases)


def as_subject(thing: Any) -> Subject:
    """A subject of whatever can be checked."""
    if isinstance(thing, Subject):
        return thing
    if isinstance(thing, Offer):
        return Subject.offered(thing.component)
    return Subject.offered(thing) if isinstance(thing, Component) else Subject.given(thing)
