"""The conformance kit: what a plugin promises, held to it by one command or one decorator. Needs `sa3dhp[testing]`.

    @parametrize_with_checks([MyRelation(...)])
    def test_conformance(check):
        check()

or, for everything that a distribution offers, ``sa3dhp plugins check PACKAGE-OR-PATH``.
"""

from sa3dhp_core.conformance.bench import PROFILES, Bench, Profile, profile
from sa3dhp_core.conformance.promises import BrokenPromise, Check, check, checks_of, must
from sa3dhp_core.conformance.pytest_door import BoundCheck, parametrize_with_checks
from sa3dhp_core.conformance.run import Outcome, checks_for, run_checks
from sa3dhp_core.conformance.subject import Subject

__all__ = [
    "PROFILES",
    "Bench",
    "BoundCheck",
    "BrokenPromise",
    "Check",
    "Outcome",
    "Profile",
    "Subject",
    "check",
    "checks_for",
    "checks_of",
    "must",
    "parametrize_with_checks",
    "profile",
    "run_checks",
]
