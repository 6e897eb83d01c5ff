"""Text files of words in lines: read, numbered, and named in errors. Knows no format."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import attrs

from sa3dhp_core.errors import DataError


def read_text(path: Path, what: str) -> str:
    """A file's text.

    Args:
        path: of the file.
        what: the format that it should have, for errors.

    Raises:
        DataError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("not a text file", where=str(path), found=str(error), expected=what) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error}", where=str(path)) from error


@attrs.frozen
class Line:
    """A line's words, and where it stands."""

    words: tuple[str, ...]
    where: str

    def word(self, place: int, expected: str) -> str:
        """The word at a place; raises `DataError` where the line ends before."""
        if place >= len(self.words):
            raise self.error("the line is too short", " ".join(self.words)[:60], expected)
        return self.words[place]

    def number(self, place: int, expected: str) -> float:
        """The word at a place as a finite number; raises `DataError` otherwise."""
        word = self.word(place, expected)
        try:
            value = float(word)
        except ValueError:
            raise self.error("not a number", word[:60], expected) from None
        if not math.isfinite(value):
            raise self.error("not a finite number", word[:60], expected)
        return value

    def numbers(self, place: int, expected: str) -> list[float]:
        """All words from a place on as finite numbers; raises `DataError` otherwise."""
        try:
            values = [float(word) for word in self.words[place:]]
        except ValueError:
            values = [math.nan]
        if all(map(math.isfinite, values)):
            return values
        return [self.number(each, expected) for each in range(place, len(self.words))]

    def vector(self, place: int, what: str) -> tuple[float, float, float]:
        """Three finite numbers from a place on; raises `DataError` otherwise."""
        expected = f"{what}: three numbers"
        return self.number(place, expected), self.number(place + 1, expected), self.number(place + 2, expected)

    def error(self, what: str, found: object, expected: str, hint: str | None = None) -> DataError:
        """An error at this line."""
        return DataError(what, where=self.where, found=found, expected=expected, hint=hint)


def lines_of(text: str, where: str) -> Iterator[Line]:
    """The lines that have words and are no comments (``# …``)."""
    for number, line in enumerate(text.splitlines(), 1):
        words = tuple(line.split())
        if words and not words[0].startswith("#"):
            yield Line(words, f"{where}: line {number}")
