"""Errors say what, where, found, expected and what to try."""

from __future__ import annotations

import pytest

from sa3dhp_core import errors


def test_message_holds_every_fact_on_its_own_line() -> None:
    error = errors.RecipeError("unknown key", where="a.toml: x", found="y", expected="z", hint="w")
    assert str(error).splitlines() == ["a.toml: x: unknown key", "  found: y", "  expected: z", "  try: w"]


def test_facts_that_are_not_there_leave_no_line() -> None:
    assert str(errors.DataError("empty")) == "empty"
    assert "found: 0" in str(errors.DataError("too few", found=0))


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_is_for_users_and_ends_with_a_code_that_is_not_success(kind: type[errors.Sa3dhpError]) -> None:
    assert issubclass(kind, errors.Sa3dhpError)
    assert kind.exit_code not in (0, 1)


def test_nearest_names_a_close_choice_or_all() -> None:
    assert errors.nearest("mirorr", ["mirror", "slow"]) == "did you mean 'mirror'?"
    assert errors.nearest("zzz", ["slow", "mirror"]) == "one of: mirror, slow"
    assert errors.nearest("zzz", []) is None
