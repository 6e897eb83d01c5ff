"""The tester tested: every check rejects a component made to break it, and passes the good ones."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

from sa3dhp_core.components import NOUNS
from sa3dhp_core.conformance import Bench, Subject, checks_for, checks_of, run_checks
from sa3dhp_core.conformance.promises import ANY, Check

BENCH = Bench()


def examples(noun: str) -> ModuleType:
    """The good and the broken components of a noun."""
    return importlib.import_module(f"tests.broken.{noun}")


ROOMS = [ANY, "relation", "keypoint_data"]
OWN = {noun: [check for check in checks_of(noun) if check.noun == noun] for noun in ROOMS}
CASES = [(check, examples(noun).BROKEN[check.name]) for noun in ROOMS for check in OWN[noun]]
GOOD = [subject for noun in ROOMS for subject in examples(noun).GOOD]


@pytest.mark.parametrize("noun", ROOMS)
def test_every_check_has_a_broken_component_and_no_other_has(noun: str) -> None:
    assert OWN[noun] and sorted(examples(noun).BROKEN) == sorted(check.name for check in OWN[noun])


@pytest.mark.parametrize(("check", "subject"), CASES, ids=[f"{check.noun}:{check.name}" for check, _ in CASES])
def test_a_check_rejects_the_component_made_to_break_it(check: Check, subject: Subject) -> None:
    assert check in checks_for(subject), "the component does not claim what the check is about"
    with pytest.raises(Exception) as caught:  # a promise broken, or whatever the component raises
        check.run(subject, BENCH)
    assert str(caught.value)


@pytest.mark.parametrize("subject", GOOD, ids=[subject.name for subject in GOOD])
def test_good_components_pass_every_check(subject: Subject) -> None:
    assert [(o.check, o.reason) for o in run_checks([subject], BENCH) if o.status != "kept"] == []


@pytest.mark.parametrize("noun", ROOMS)
def test_every_check_says_what_it_promises(noun: str) -> None:
    for check in OWN[noun]:
        assert 10 < len(check.promise) < 130 and not check.promise.endswith("."), check.name
    assert noun in (*NOUNS, ANY)
