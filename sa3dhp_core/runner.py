"""The runner: turns a method's stages into a run directory, each stage keyed by what it depends on.

A run directory holds ``recipe.toml`` (resolved), ``environment.json``, ``stages/<name>-<key>/`` (with ``done.json``
written last), ``metrics.jsonl``, ``analysis/`` (copied from the stages that have one), ``results.json`` and the report.
Stages of other keys stay where they are, so going back to an earlier setting costs nothing. The runner names no plugin.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from sa3dhp_core import __version__
from sa3dhp_core.atomic import PARTIAL, read_json, remove_partial, seeded, write_atomic, write_json, write_text
from sa3dhp_core.engine.devices import alone, need
from sa3dhp_core.engine.memory import explained
from sa3dhp_core.engine.quiet import QuietEngine
from sa3dhp_core.engine.watching import watched
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.environment import describe_environment
from sa3dhp_core.errors import RunError
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.exportable import Exportable
from sa3dhp_core.protocols.latent import TrainedLatent
from sa3dhp_core.protocols.lifter import TrainedLifter
from sa3dhp_core.protocols.method import Method, Stage
from sa3dhp_core.protocols.prediction import PosedClip
from sa3dhp_core.ranks import is_first
from sa3dhp_core.recipe import Recipe, check, load_recipe, to_toml
from sa3dhp_core.results import RESULTS, Record, as_results, read_results, write_results
from sa3dhp_core.sinks import ConsoleSink, JsonLinesSink, SinkBoard

if TYPE_CHECKING:
    from sa3dhp_core.engine import Engine

DONE = "done.json"
STAGES = "stages.json"
RECORDS = "records.json"
ANALYSIS = "analysis"
LOCK = ".lock"
READS = "a run that trained an image encoder, which reads a video, or a lifter, which reads an npz file of 2D keypoints"


@attrs.frozen
class Context:
    """What a stage is handed (`sa3dhp_core.protocols.method.StageContext`)."""

    folder: Path
    name: str
    seed: int
    engine: Engine
    sinks: SinkBoard
    run: Path
    _folders: Mapping[str, Path]

    def of(self, stage: str) -> Path:
        """Folder of a required stage's result.

        Raises:
            RunError: the stage was not declared as required.
        """
        if stage not in self._folders:
            raise RunError(
                f"stage {self.name!r} reads the result of {stage!r} without requiring it",
                expected=f"one of {sorted(self._folders)}",
            )
        return self._folders[stage]


def run(
    recipe: Recipe, host: Host, out: Path, *, only: Sequence[str] = (), store: Path | None = None
) -> dict[str, Any]:
    """Run a recipe into `out`, or go on with it there; returns the content of `results.json`.

    Args:
        recipe: resolved.
        host: with the plugins.
        out: the run directory; created, or one of the same recipe.
        only: names of stages to stop after (with what they require); all if empty.
        store: folder of stages shared with other runs; ``out/stages`` if None.

    Raises:
        RunError: `out` belongs to another recipe or is in use by another process.
        RecipeError: this machine has no such devices.
    """
    from sa3dhp_core.engine import Engine

    check(recipe, host)
    need(recipe.engine)
    with _claimed(out, recipe):
        method: Method = host.build(
            "method", {"use": recipe.method, **recipe.settings}, "settings", recipe=recipe, host=host
        )
        stages = _ordered(method.stages(), only)
        keys = _keys(stages, recipe)
        folders = {name: (store or out / "stages") / f"{name}-{key[:12]}" for name, key in keys.items()}
        board = _open_sinks(recipe, host, out)
        try:
            engine = Engine(recipe.engine, recipe.seed, board)
            with watched(engine.fabric, out):
                if engine.fabric.is_global_zero:
                    write_text(out / "recipe.toml", to_toml(recipe))
                    write_json(out / "environment.json", describe_environment())
                    write_json(out / STAGES, {name: str(path) for name, path in folders.items()})
                engine.fabric.barrier()
                for stage in stages:
                    _run_stage(stage, folders, recipe, engine, board, out)
                results = collect(recipe, out, [folders[stage.name] for stage in stages], engine.fabric.is_global_zero)
                for record in results["records"]:
                    board.result(record)
        finally:
            board.close()
    return results


def resume(out: Path, host: Host) -> dict[str, Any]:
    """Go on with the run in `out` to the results that an uninterrupted run would have."""
    return run(recipe_of(out), host, out)


def recipe_of(out: Path) -> Recipe:
    """The resolved recipe of a run directory."""
    path = out / "recipe.toml"
    if not path.is_file():
        raise RunError(
            "not a run directory", where=str(out), found="no recipe.toml", hint="sa3dhp run RECIPE --out FOLDER"
        )
    return load_recipe(str(path), ())


def collect(recipe: Recipe, out: Path, folders: Sequence[Path], write: bool = True) -> dict[str, Any]:
    """Gather the stages' records, in their order, into `results.json`, and their ``analysis`` into the run's.

    Args:
        recipe: resolved.
        out: the run directory.
        folders: of the stages, in their order.
        write: whether this process writes; the others of its group only read.
    """
    records: list[Record] = []
    for folder in folders:
        path = folder / RECORDS
        if path.is_file():
            records += [Record(seed=recipe.seed, recipe_digest=recipe.digest, **row) for row in read_json(path)]
        for source in sorted((folder / ANALYSIS).glob("*")) if write else ():
            write_atomic(out / ANALYSIS / source.name, partial(shutil.copyfile, source))
    if not write:
        return as_results(recipe.id, recipe.digest, recipe.seed, records)
    return write_results(out, recipe.id, recipe.digest, recipe.seed, records)


def write_records(folder: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """What a stage calls to report numbers: rows of row, protocol, split, value, unit."""
    write_json(folder / RECORDS, [dict(row) for row in rows])


def evaluate(out: Path, host: Host, data: str, protocol: str) -> dict[str, Any]:
    """Evaluate a run's rows on other data; asks the run's method, which knows how to predict.

    Raises:
        RunError: the run's method cannot evaluate, or the run is not finished.
    """
    recipe = recipe_of(out)
    method = _method_that(recipe, host, out, "evaluate", "evaluation on other data")
    if not (out / RESULTS).is_file():
        raise RunError("the run is not finished", where=str(out), hint=f"sa3dhp resume {out}")
    rows = method.evaluate(stage_folders(out), _quiet_engine(recipe), data, protocol)
    records = [Record(seed=recipe.seed, recipe_digest=recipe.digest, **row) for row in rows]
    return as_results(recipe.id, recipe.digest, recipe.seed, records)


def trained_latent(out: Path, host: Host) -> TrainedLatent:
    """The latent space of a run, whose rows need not be finished; asks the run's method, which knows how to load it.

    Raises:
        RunError: `out` is no run, its method offers no latent space, or a stage of it is not done.
    """
    recipe = recipe_of(out)
    method = _method_that(recipe, host, out, "latent_space", "trained latent space")
    latent: TrainedLatent = method.latent_space(_finished(out), _quiet_engine(recipe))
    return latent


def trained_lifter(out: Path, host: Host) -> TrainedLifter:
    """The lifter of a run, which need not be scored; asks the run's method, which knows how to load it.

    Raises:
        RunError: `out` is no run, its method offers no lifter, or a stage of it is not done.
    """
    recipe = recipe_of(out)
    method = _method_that(recipe, host, out, "trained_lifter", "trained lifter")
    lifter: TrainedLifter = method.trained_lifter(_finished(out), _quiet_engine(recipe))
    return lifter


def predict(out: Path, host: Host, source: Path, changes: Sequence[str] = ()) -> Iterator[PosedClip]:
    """Poses of every clip of files that the run was not made with; asks the run's method, which knows what it reads.

    Args:
        out: the run directory; its rows need not be scored.
        host: with the plugins.
        source: a file or folder.
        changes: ``key=value`` for the component that reads it.

    Raises:
        RunError: `out` is no run, its method does not predict from files, or a stage of it is not done.
        DataError: the files are of another kind than the run reads.
    """
    recipe = recipe_of(out)
    method = _method_that(recipe, host, out, "predict", "prediction from files", READS)
    clips: Iterator[PosedClip] = method.predict(_finished(out), _quiet_engine(recipe), source, changes)
    return clips


def exportable(out: Path, host: Host, row: str | None = None) -> Exportable:
    """The model of a run's row, to be taken home; asks the run's method. It is loaded on the CPU, wherever it learned.

    Args:
        out: the run directory; its rows need not be scored.
        host: with the plugins.
        row: a name; the method's main result if None.

    Raises:
        RunError: `out` is no run, its method exports nothing, or a stage of it is not done.
        RecipeError: there is no such row.
    """
    recipe = recipe_of(out)
    method = _method_that(recipe, host, out, "exportable", "model to export")
    engine = QuietEngine(EngineConfig(device="cpu"), recipe.seed, SinkBoard(()))
    found: Exportable = method.exportable(_finished(out), engine, row)
    return found


def _finished(out: Path) -> _Finished:
    folders = stage_folders(out) if (out / STAGES).is_file() else {}
    return _Finished({name: folder for name, folder in folders.items() if (folder / DONE).is_file()}, run=out)


class _Finished(dict[str, Path]):
    """Folders of finished stages; looking up another one says how to finish it."""

    def __init__(self, folders: Mapping[str, Path], run: Path) -> None:
        super().__init__(folders)
        self._run = run

    def __missing__(self, stage: str) -> Path:
        raise RunError(f"stage {stage!r} is not done", where=str(self._run), hint=f"sa3dhp resume {self._run}")


def _method_that(recipe: Recipe, host: Host, out: Path, does: str, what: str, expected: str | None = None) -> Any:
    """The run's method, which must have the optional `does`; raises `RunError` naming `what` it lacks."""
    check(recipe, host)
    method = host.build("method", {"use": recipe.method, **recipe.settings}, "settings", recipe=recipe, host=host)
    if not hasattr(method, does):
        raise RunError(f"method {recipe.method!r} offers no {what}", where=str(out), expected=expected)
    return method


def _quiet_engine(recipe: Recipe) -> QuietEngine:
    """For what one process does, however many trained the run, and on whatever device."""
    return QuietEngine(alone(recipe.engine), recipe.seed, SinkBoard(()))


def stage_folders(out: Path) -> dict[str, Path]:
    """Where each stage of a run keeps its result."""
    return {name: Path(path) for name, path in read_json(out / STAGES).items()}


def report(out: Path, host: Host) -> Path:
    """Rebuild the report of a finished run with the sink named ``report``; returns its path."""
    read_results(out)
    recipe_of(out)
    sink = host.build("sink", {"use": "report"}, "report", folder=out)
    sink.close()
    return out / "report.html"


def _open_sinks(recipe: Recipe, host: Host, out: Path) -> SinkBoard:
    """Console and JSON lines always, then the recipe's own; ranks other than the first stay quiet."""
    board = SinkBoard()
    if not is_first():
        return board
    board.add("console", ConsoleSink)
    board.add("jsonl", lambda: JsonLinesSink(out))
    for number, table in enumerate(recipe.sinks):
        path = f"sinks[{number}]"
        board.add(table["use"], partial(host.build, "sink", table, path, folder=out))
    return board


def _run_stage(
    stage: Stage, folders: Mapping[str, Path], recipe: Recipe, engine: Engine, board: SinkBoard, out: Path
) -> None:
    folder = folders[stage.name]
    if (folder / DONE).is_file():
        board.stage_finished(stage.name, 0.0, True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    required = {name: folders[name] for name in stage.requires}
    short_of_memory = explained(stage.name, None, engine.device, recipe.engine, None, folder)
    with short_of_memory, seeded(recipe.seed, stage.name):  # a stage begins alike, whatever this process did before
        stage.run(Context(folder, stage.name, recipe.seed, engine, board, out, required))
    engine.fabric.barrier()
    seconds = time.perf_counter() - began
    if engine.fabric.is_global_zero:
        write_json(folder / DONE, {"stage": stage.name, "seconds": round(seconds, 3)})
    engine.fabric.barrier()
    board.stage_finished(stage.name, seconds, False)


def _ordered(stages: Sequence[Stage], only: Sequence[str]) -> tuple[Stage, ...]:
    """Requirements first, otherwise in the given order.

    Raises:
        RunError: a requirement is unknown or circular.
    """
    by_name = {stage.name: stage for stage in stages}
    order: list[Stage] = []
    state: dict[str, str] = {}

    def visit(name: str, wanted_by: str) -> None:
        if name not in by_name:
            raise RunError(f"{wanted_by} requires an unknown stage", found=name, expected=f"one of {sorted(by_name)}")
        if state.get(name) == "open":
            raise RunError("stages require one another in a circle", found=f"{wanted_by} -> {name}")
        if name not in state:
            state[name] = "open"
            for requirement in by_name[name].requires:
                visit(requirement, f"stage {name!r}")
            state[name] = "done"
            order.append(by_name[name])

    for stage_name in only or tuple(by_name):
        visit(stage_name, "the run")
    return tuple(order)


def _keys(stages: Sequence[Stage], recipe: Recipe) -> dict[str, str]:
    """Digest of each stage: its own key, the seed, the digests of what it requires, and the numbers' precision."""
    keys: dict[str, str] = {}
    usual, engine = EngineConfig(), recipe.engine
    other = [
        [name, getattr(engine, name)]
        for name in ("precision", "matmul_precision")
        if getattr(engine, name) != getattr(usual, name)
    ]
    for stage in stages:
        content: list[Any] = [__version__, stage.name, recipe.seed, stage.key, [keys[name] for name in stage.requires]]
        if other:
            content.append(other)
        keys[stage.name] = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
    return keys


@contextmanager
def _claimed(out: Path, recipe: Recipe) -> Iterator[None]:
    """Hold the run directory for this recipe: one process group at a time; the first of a group speaks for all.

    Raises:
        RunError: `out` is a file, a folder with other content, the run of a recipe with another id, or in use.
    """
    if not is_first():
        yield
        return
    _refuse_foreign(out, recipe)
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(
                "another process is writing this run directory", where=str(out), hint="wait for it, or another --out"
            ) from error
        _refuse_foreign(out, recipe)  # it may have become another's since
        remove_partial(out)
        if not (out / "recipe.toml").is_file():
            write_text(out / "recipe.toml", to_toml(recipe))
        yield


def _refuse_foreign(out: Path, recipe: Recipe) -> None:
    if out.exists() and not out.is_dir():
        raise RunError("the run directory is a file", where=str(out), hint="name a folder")
    if not out.is_dir() or all(path.name == LOCK or path.name.endswith(PARTIAL) for path in out.iterdir()):
        return
    earlier = recipe_of(out)
    if earlier.id != recipe.id:
        raise RunError(
            "this run directory belongs to another recipe",
            where=str(out),
            found=earlier.id,
            expected=recipe.id,
            hint="another --out",
        )
