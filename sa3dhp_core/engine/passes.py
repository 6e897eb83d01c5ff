"""Which frames are encoded together, when, and how long their activations are kept. It encodes and draws nothing.

Losses have their turns one after the other. A pass is encoded at the first turn that reads it and back-propagated after
the last one that wants its gradient, so what is kept at a time is far less than all that a step encodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import attrs

Frames = tuple[int, ...]

ENCODERS = ("stopped", "teacher", "student")
"""Who encodes, in the order of a turn."""


@attrs.frozen
class Sight:
    """What decides a frame's pixels and its encoder: a frame of equal sights is the same, whoever asks.

    Attributes:
        spatial: name of the spatial draw; empty for none.
        photometric: name of the photometric draw; empty for none.
        per_frame: whether the spatial element is drawn for each frame.
        by: ``student``, ``stopped`` or ``teacher``.
    """

    spatial: str
    photometric: str
    per_frame: bool
    by: str

    @property
    def learning(self) -> Sight:
        """The same as the student sees it with gradient."""
        return Sight(self.spatial, self.photometric, self.per_frame, "student")


@attrs.frozen
class Orbit:
    """Frames of one sight that are encoded together."""

    sight: Sight
    frames: Frames

    @property
    def by(self) -> str:
        """Who encodes."""
        return self.sight.by


@attrs.frozen
class Pass:
    """One call of an encoder.

    Attributes:
        by: who encodes.
        first: the turn that reads it first; it is encoded then.
        last: the turn after which it is back-propagated; `first` where it has no gradient.
        orbits: frames of target windows.
        labelled: names of the labelled images that are encoded beside.
    """

    by: str
    first: int
    last: int
    orbits: tuple[Orbit, ...]
    labelled: tuple[str, ...]

    @property
    def frames(self) -> int:
        """Frames of each window; labelled images are not counted."""
        return sum(len(orbit.frames) for orbit in self.orbits)


_Span = tuple[int, int]


def planned(
    asked: Sequence[Sequence[tuple[Sight, Frames]]], labelled: Sequence[Sequence[str]], shared: bool
) -> tuple[Pass, ...]:
    """The passes that give every turn what it reads, in their order, each frame once.

    Args:
        asked: of each turn, the frames that it reads, by sight.
        labelled: of each turn, the names of the labelled images that it reads.
        shared: whether those who ask for a frame without gradient are given what the student learns from, if it does.
    """
    spans: dict[Sight, dict[int, _Span]] = {}
    for turn, views in enumerate(asked):
        for sight, frames in views:
            known = spans.setdefault(sight, {})
            known |= {frame: (known.get(frame, (turn, turn))[0], turn) for frame in frames}
    if shared:
        _serve(spans)
    groups: dict[tuple[int, int, int], tuple[dict[Sight, list[int]], list[str]]] = {}
    for sight, known in spans.items():
        for frame, (first, last) in known.items():
            span = (first, ENCODERS.index(sight.by), last if sight.by == "student" else first)
            groups.setdefault(span, ({}, []))[0].setdefault(sight, []).append(frame)
    for name, (first, last) in _named(labelled).items():
        groups.setdefault((first, ENCODERS.index("student"), last), ({}, []))[1].append(name)
    return tuple(_pass(span, *groups[span]) for span in sorted(groups))


def _serve(spans: dict[Sight, dict[int, _Span]]) -> None:
    """Take from the stopped sights what the student sees with gradient anyway; who reads it first has it made."""
    for sight in [sight for sight in spans if sight.by == "stopped"]:
        seen = spans.get(sight.learning, {})
        for frame in [frame for frame in spans[sight] if frame in seen]:
            first, last = seen[frame]
            seen[frame] = (min(first, spans[sight].pop(frame)[0]), last)


def _named(labelled: Sequence[Sequence[str]]) -> dict[str, _Span]:
    found: dict[str, _Span] = {}
    for turn, names in enumerate(labelled):
        found |= {name: (found.get(name, (turn, turn))[0], turn) for name in names}
    return found


def _pass(span: tuple[int, int, int], frames: dict[Sight, list[int]], labelled: list[str]) -> Pass:
    first, encoder, last = span
    orbits = tuple(Orbit(sight, tuple(sorted(chosen))) for sight, chosen in frames.items())
    return Pass(ENCODERS[encoder], first, last, orbits, tuple(labelled))


def merged(made: Sequence[Pass]) -> tuple[Pass, ...]:
    """Fewer and larger passes: a student's passes of one first turn are joined where no more frames are kept at a time.

    An encoder is quicker with more images at once; labelled images stay apart, because the peak does not count them.
    """
    most = peak(made)
    for one, other in combinations(made, 2):
        if one.by == other.by == "student" and one.first == other.first and not (one.labelled or other.labelled):
            rest = [each for each in made if each not in (one, other)]
            tried = sorted([*rest, _joined(one, other)], key=_span)
            if peak(tried) <= most:
                return merged(tried)
    return tuple(made)


def _joined(one: Pass, other: Pass) -> Pass:
    frames: dict[Sight, list[int]] = {}
    for orbit in (*one.orbits, *other.orbits):
        frames.setdefault(orbit.sight, []).extend(orbit.frames)
    return _pass(max(_span(one), _span(other)), frames, [])


def _span(one: Pass) -> tuple[int, int, int]:
    return one.first, ENCODERS.index(one.by), one.last


def peak(made: Sequence[Pass]) -> int:
    """The most frames of a window whose activations are kept at a time."""
    students = [one for one in made if one.by == "student"]
    alive = [sum(o.frames for o in students if o.first <= one.first <= o.last) for one in students]
    return max(alive, default=0)
