"""Runs checks on subjects and says how each ended. Prints nothing and raises nothing of a component's."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence

import attrs

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.promises import BrokenPromise, Check, checks_of
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.errors import PluginError, nearest

KEPT, BROKEN, KNOWN, MENDED = "kept", "broken", "known", "mended"
_EXAMPLE = re.compile(r"(?:Falsifying example|Failing test case): \w+\((.*)\)", re.DOTALL)
FAILED = (BROKEN, MENDED)
"""What a check must not end as: broken, or kept although it was expected to be broken."""


@attrs.frozen
class Outcome:
    """How one check of one subject ended.

    Attributes:
        subject: ``noun:id``.
        check: its name.
        promise: its sentence.
        status: ``kept``, ``broken``, ``known`` (broken, as expected) or ``mended`` (expected to be broken, but kept).
        reason: what was found, or why it was expected.
        seconds: how long it took.
    """

    subject: str
    check: str
    promise: str
    status: str
    reason: str
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether something is to be done."""
        return self.status in FAILED


def checks_for(subject: Subject) -> tuple[Check, ...]:
    """The checks that concern a subject.

    Raises:
        PluginError: it expects to fail a check that there is not.
    """
    found = checks_of(subject.noun)
    known = {check.name for check in found}
    for name in subject.expected_failures:
        if name not in known:
            raise PluginError(f"{subject.name} expects to fail an unknown check", found=name, hint=nearest(name, known))
    return tuple(check for check in found if check.concerns(subject))


def run_checks(subjects: Sequence[Subject], bench: Bench) -> Iterator[Outcome]:
    """Run every check that concerns each subject, in order."""
    for subject in subjects:
        for check in checks_for(subject):
            yield outcome(check, subject, bench)


def outcome(check: Check, subject: Subject, bench: Bench) -> Outcome:
    """Run one check."""
    began = time.perf_counter()
    reason = ""
    try:
        check.run(subject, bench)
    except (Exception, SystemExit) as error:  # whatever a stranger's component does
        reason = told(error)
    expected = subject.expected_failures.get(check.name)
    if expected is None:
        status = BROKEN if reason else KEPT
    else:
        status, reason = (KNOWN, expected) if reason else (MENDED, f"expected to fail ({expected}), but it is kept")
    return Outcome(subject.name, check.name, check.promise, status, reason, time.perf_counter() - began)


def told(error: BaseException) -> str:
    """The error in words, with the example that a property found."""
    words = str(error) if isinstance(error, BrokenPromise) else f"{type(error).__name__}: {error}"
    examples = [match[1] for note in getattr(error, "__notes__", ()) if (match := _EXAMPLE.match(str(note)))]
    return "\n".join([words.strip(), *(f"  example: {_one_line(text)}" for text in examples[:1])])


def _one_line(arguments: str) -> str:
    """Hypothesis writes one argument a line, some with a comment."""
    lines = (line.partition("  #")[0].strip() for line in arguments.splitlines())
    return " ".join(line for line in lines if line).rstrip(",")
