"""Sinks that each break one promise, beside some that keep all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa3dhp_core.components import Component
from sa3dhp_core.conformance import Subject
from sa3dhp_core.sinks import ConsoleSink

PLACE = "tests.broken.sink"


class Lines:
    """Keeps results as lines, written on closing; a subclass breaks one thing."""

    def __init__(self, config: Any, *, folder: Path) -> None:
        self.folder, self.lines = folder, [""]

    def stage_started(self, stage: str, steps: int | None) -> None:
        pass

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        pass

    def stage_finished(self, stage: str, seconds: float, cached: bool) -> None:
        pass

    def result(self, record: Mapping[str, object]) -> None:
        self.lines.append(json.dumps(record))

    def close(self) -> None:
        if self.folder.is_dir():
            (self.folder / "lines.jsonl").write_text("\n".join(self.lines), encoding="utf-8")


class Single(Lines):
    """A second start of a stage is an error."""

    started: frozenset[str] = frozenset()

    def stage_started(self, stage: str, steps: int | None) -> None:
        if stage in self.started:
            raise RuntimeError("this stage has begun already")
        self.started |= {stage}


class Expectant(Lines):
    """Cannot close without a result."""

    def close(self) -> None:
        super().close()
        json.loads(self.lines[1])


class Exact(Lines):
    """Believes that every value fits an integer."""

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        self.lines += [str(round(value)) for value in scalars.values()]


class Homesick(Lines):
    """Cannot close without its folder."""

    def close(self) -> None:
        (self.folder / "lines.jsonl").write_text("\n".join(self.lines), encoding="utf-8")


class Straying(Lines):
    """A stage's name is a path to it."""

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        if stage.startswith("../"):
            (self.folder / stage).write_text(str(step), encoding="utf-8")


class Deaf(Lines):
    """Claims to keep results, and does not listen."""

    def result(self, record: Mapping[str, object]) -> None:
        pass


def console(config: Any, *, folder: Path) -> ConsoleSink:
    """The core's own sink for a terminal."""
    return ConsoleSink()


def offered(target: str, *claims: str) -> Subject:
    """A component with this target."""
    return Subject.offered(
        Component(
            "sink",
            target.lower(),
            "a part of the tests",
            "tests.broken.keys:Keys",
            f"{PLACE}:{target}",
            frozenset(claims),
        )
    )


GOOD = [offered("Lines", "keeps-results"), offered("console")]
BROKEN = {
    "takes-what-a-run-reports": offered("Single"),
    "closes-without-a-report": offered("Expectant"),
    "takes-odd-reports": offered("Exact"),
    "survives-a-vanished-folder": offered("Homesick"),
    "writes-in-its-folder-alone": offered("Straying"),
    "keeps-results": offered("Deaf", "keeps-results"),
}
