"""What a sink must keep: it takes whatever a run reports, never raises into training, writes in its folder alone."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.promises import BrokenPromise, check, must
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.results import Record, write_results

NOUN = "sink"
RUN = "run"
STAGES = ("data-source", "row-adapted")
ODD_NAMES = ("", "Größe 日本 🙂", "a/b", "../escape", "/absolute", "with\nline", "x" * 200, "[bold]rich[/]", "{brace}")
ODD_VALUES = (math.nan, math.inf, -math.inf, 1e308, -1e-320, 0.0, 10**30, True)
ROWS = ("row of the kit 7f3a", "another row 91c4")
"""Names of rows that no file holds by chance."""


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """A sink is handed the run directory; here it is the only thing in a folder of its own."""
    folder = bench.folder() / RUN
    folder.mkdir()
    return {"folder": folder}


def opened(subject: Subject, bench: Bench) -> tuple[Any, Path]:
    """The sink and its run directory; an empty one of a sink that was given built."""
    folder: Path = parts(bench, {})["folder"]
    return subject.make(bench, folder=folder), folder


def records() -> list[Record]:
    """What a run of two rows reports."""
    return [Record(row, "mpjpe-root", "target-test", 80.5 + n, "mm", 0, "ab12") for n, row in enumerate(ROWS)]


def play(sink: Any, folder: Path, steps: range = range(1, 6)) -> None:
    """Report a whole run as the runner does: stages begin twice, one is found done, results come last."""
    sink.stage_finished("pose_prior", 0.0, True)
    for stage in STAGES:
        sink.stage_started(stage, None)
        sink.stage_started(stage, steps.stop - 1)
        for step in steps:
            sink.progress(stage, step, {"loss/all": 1.0 / step, "lr": 1e-3})
        sink.stage_finished(stage, 1.5, False)
    write_results(folder, "kit", "ab12", 0, records())
    for record in records():
        sink.result(attrs.asdict(record))


def quietly(attempt: Callable[[], object], what: str) -> None:
    """Raise `BrokenPromise` where the attempt raises anything."""
    try:
        attempt()
    except Exception as error:
        raise BrokenPromise(f"raises into training: {what}", f"{type(error).__name__}: {error}") from error


@check(NOUN, "takes all that a run reports, in a run's order, and closes, once or twice")
def takes_what_a_run_reports(subject: Subject, bench: Bench) -> None:
    sink, folder = opened(subject, bench)
    quietly(partial(play, sink, folder), "an ordinary run")
    quietly(sink.close, "closing")
    quietly(sink.close, "closing a second time")


@check(NOUN, "raises nothing for a run that fails before it reports anything")
def closes_without_a_report(subject: Subject, bench: Bench) -> None:
    sink, _ = opened(subject, bench)
    quietly(sink.close, "closing at once")


@check(NOUN, "raises nothing for odd names and values: no number, infinite, huge, unicode, paths, stages never begun")
def takes_odd_reports(subject: Subject, bench: Bench) -> None:
    sink, _ = opened(subject, bench)
    values = {f"value {number}": value for number, value in enumerate(ODD_VALUES)}
    for name in ODD_NAMES:
        quietly(partial(sink.progress, name, 3, values), f"odd values in the stage {name!r}")
        quietly(partial(sink.progress, "stage", 0, {name: 1.0}), f"a scalar called {name!r}")
        quietly(partial(sink.stage_finished, name, math.inf, False), f"the end of {name!r}")
        record = attrs.asdict(attrs.evolve(records()[0], row=name, value=math.nan))
        quietly(partial(sink.result, record), f"a result of the row {name!r}")
    quietly(partial(sink.result, {}), "an empty record")
    quietly(partial(sink.progress, "stage", 1, {}), "a step without a scalar")
    quietly(sink.close, "closing")


@check(NOUN, "raises nothing where its folder vanishes in the middle of a run")
def survives_a_vanished_folder(subject: Subject, bench: Bench) -> None:
    sink, folder = opened(subject, bench)
    sink.stage_started("stage", 5)
    sink.progress("stage", 1, {"loss": 1.0})
    gone = folder.rename(folder.with_name("gone"))  # at once: a sink may still write there, in a thread of its own
    shutil.rmtree(gone, ignore_errors=True)
    loss = {"loss": 1.0}
    for step in range(2, 5):
        quietly(partial(sink.progress, "stage", step, loss), "a step without the folder")
    quietly(partial(sink.progress, "next", 1, loss), "another stage without the folder")
    quietly(partial(sink.stage_finished, "stage", 1.0, False), "the end of a stage without the folder")
    quietly(partial(sink.result, attrs.asdict(records()[0])), "a result without the folder")
    quietly(sink.close, "closing without the folder")


@check(NOUN, "writes inside the run directory alone, whatever stages are called, and changes nothing that is there")
def writes_in_its_folder_alone(subject: Subject, bench: Bench) -> None:
    sink, folder = opened(subject, bench)
    kept = folder / "recipe.toml"
    kept.write_text('id = "kit"\n', encoding="utf-8")
    for name in ODD_NAMES:
        sink.progress(name, 1, {"loss": 1.0})
    play(sink, folder)
    sink.close()
    beside = sorted(path.name for path in folder.parent.iterdir())
    must(beside == [RUN], "writes beside the run directory", beside, [RUN])
    must(kept.read_text(encoding="utf-8") == 'id = "kit"\n', "changes a file of the run", kept.name)


@check(NOUN, "keeps every result: once closed, a file of its own holds each row's name", ["keeps-results"])
def keeps_results(subject: Subject, bench: Bench) -> None:
    sink, folder = opened(subject, bench)
    play(sink, folder)
    sink.close()
    own = [path for path in folder.rglob("*") if path.is_file() and path.name != "results.json"]
    content = b"".join(path.read_bytes() for path in own)
    for row in ROWS:
        spelt = (row, row.replace(" ", "-"))
        kept = any(name.encode() in content for name in spelt)
        must(kept, f"no file holds the result of {row!r}", [path.name for path in own])
