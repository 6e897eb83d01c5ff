"""Errors that a person reads: what went wrong, where, what was found, what was expected, what to try.

Every error that bad input can cause is a `Sa3dhpError`; the CLI prints it without a traceback and exits with its code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Sa3dhpError(Exception):
    """Base of all errors meant for a user.

    Args:
        what: one sentence that says what is wrong.
        where: the file, key or place, if any (``recipe.toml: losses[2].weight``).
        found: what was there.
        expected: what should have been there.
        hint: what to try, for example the nearest valid choice.
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        found: object | None = None,
        expected: object | None = None,
        hint: str | None = None,
    ) -> None:
        self.what, self.where, self.found, self.expected, self.hint = what, where, found, expected, hint
        super().__init__(self.render())

    def render(self) -> str:
        """The whole message, one line a fact."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        facts = (("found", self.found), ("expected", self.expected), ("try", self.hint))
        return "\n".join([head, *(f"  {name}: {value}" for name, value in facts if value is not None)])


class RecipeError(Sa3dhpError):
    """A recipe, a `--set` or a registry card has an unknown key, a wrong type or a value out of range."""


class PluginError(Sa3dhpError):
    """A plugin cannot be loaded, or offers something other than it promises."""


class UnknownComponent(PluginError):
    """No installed plugin offers the component that was asked for."""


class DataError(Sa3dhpError):
    """Input data is missing, empty, truncated, mislabelled or does not fit its declared format."""


class RunError(Sa3dhpError):
    """A run directory is not what it should be (another recipe's, damaged, in use)."""


class TrainingError(Sa3dhpError):
    """Training cannot go on, for example because a loss is no longer finite."""

    exit_code = 3


class GroupError(Sa3dhpError):
    """A process of a run's group is gone."""

    exit_code = 5


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice closest to `name`, as a hint (``did you mean 'mirror'?``), or all of them if none is close."""
    known = sorted(choices)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"one of: {', '.join(known)}" if known else None
