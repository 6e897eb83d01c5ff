"""The range of host versions that a distribution declares. Reads its requirements; imports and installs nothing of it.

Most requirements say by their look alone that this host will do; only the others are worth the import of `packaging`,
which takes as long as all plugins together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HOST = "sa3dhp"
_OURS = re.compile(rf"\s*{HOST}(?![\w.-]).*")
_OF_AN_EXTRA = re.compile(r"""[^;]*;\s*extra\s*==\s*("[\w.-]+"|'[\w.-]+')\s*""")
_AT_LEAST = re.compile(rf"\s*{HOST}\s*>=\s*(\d+(?:\.\d+)*)\s*")
_RELEASE = re.compile(r"\d+(\.\d+)*")


def missed_range(requirements: Iterable[str], version: str) -> str | None:
    """The declared range that `version` of the host lies outside of, such as ``>=2``; None where there is no such.

    Args:
        requirements: of the distribution, as in its metadata; those of extras and those that cannot be read do not
            count.
        version: of the host.
    """
    doubtful = [line for line in requirements if _OURS.fullmatch(line) and not _fits_at_sight(line, version)]
    return _missed(doubtful, version) if doubtful else None


def _fits_at_sight(line: str, version: str) -> bool:
    if _OF_AN_EXTRA.fullmatch(line):
        return True
    least = _AT_LEAST.fullmatch(line)
    return least is not None and _RELEASE.fullmatch(version) is not None and _parts(least[1]) <= _parts(version)


def _parts(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))


def _missed(requirements: Iterable[str], version: str) -> str | None:
    """The same, of every requirement, by the book; None where `packaging` is missing."""
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError:
        return None
    for line in requirements:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        applies = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if wanted.name == HOST and applies and not wanted.specifier.contains(version, prereleases=True):
            return str(wanted.specifier)
    return None
