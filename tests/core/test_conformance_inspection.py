"""What is to be checked of which plugins, and how outcomes are summed up."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sa3dhp_core.components import Component
from sa3dhp_core.conformance import Outcome
from sa3dhp_core.conformance.inspection import LOADS, Tally, inspection, tallies
from sa3dhp_core.errors import PluginError
from sa3dhp_core.host import BrokenPlugin, Host, Offer


def sink(id: str, distribution: str, expected_failures: Mapping[str, str] | None = None) -> Offer:
    component = Component(
        noun="sink",
        id=id,
        summary="a sink",
        config="sa3dhp_core.engine_config:EngineConfig",
        target="os:getcwd",
        expected_failures=expected_failures or {},
    )
    return Offer(component, distribution, "1.0", f"point-{distribution}")


BROKEN = BrokenPlugin("sad", "point-sad", "1.0", "cannot be loaded", "mend it")
HOST = Host((sink("one", "ant"), sink("two", "bee")), (BROKEN,))


def subjects(names: set[str] | None) -> set[str]:
    found = inspection(HOST, names)
    return {subject.name for _, subject in found.cases} | {outcome.subject for outcome in found.refused}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (None, {"sink:one", "sink:two", "plugin:sad"}),
        ({"ant"}, {"sink:one"}),
        ({"point-bee", "sad"}, {"sink:two", "plugin:sad"}),
    ],
)
def test_plugins_are_chosen_by_distribution_or_entry_point(names: set[str] | None, expected: set[str]) -> None:
    assert subjects(names) == expected


def test_what_the_host_refused_is_a_broken_promise_with_its_hint() -> None:
    (refused,) = inspection(HOST, {"sad"}).refused
    assert refused.failed and refused.check == LOADS and refused.reason == "cannot be loaded\n  try: mend it"


def test_an_unknown_expected_failure_is_a_broken_promise_of_its_component() -> None:
    found = inspection(Host((sink("one", "ant", expected_failures={"no-such-check": "why"}),)))
    assert not found.cases and [outcome.subject for outcome in found.refused] == ["sink:one"]
    assert "no-such-check" in found.refused[0].reason


@pytest.mark.parametrize(("host", "names"), [(HOST, {"ante"}), (Host(()), None), (Host(()), {"ant"})])
def test_nothing_to_check_is_an_error(host: Host, names: set[str] | None) -> None:
    with pytest.raises(PluginError, match="installed"):
        inspection(host, names)


def test_outcomes_are_summed_up_by_subject() -> None:
    outcomes = [
        Outcome(subject, status, "", status, "", 0.5)
        for subject, statuses in (("a", ("kept", "known", "broken", "mended")), ("b", ("kept",)))
        for status in statuses
    ]
    assert list(tallies(outcomes)) == [Tally("a", 1, 1, 2, 2.0), Tally("b", 1, 0, 0, 0.5)]
