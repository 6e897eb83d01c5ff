"""What a method must keep: a graph of stages with honest keys, results that an interruption does not change.

A method's example is a whole recipe (without ``method``), small enough for a test: its stages are run by the runner.
"""

from __future__ import annotations

import contextlib
import graphlib
import io
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.nouns.lifter import PEOPLE, need_figure
from sa3dhp_core.conformance.promises import BrokenPromise, check, must
from sa3dhp_core.conformance.subject import Subject, example_table
from sa3dhp_core.conformance.symmetries import shape_error_mm, turn_error_mm
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.protocols.lifter import TrainedLifter
from sa3dhp_core.protocols.method import Stage
from sa3dhp_core.recipe import COMPONENT_LISTS, COMPONENTS, Recipe, recipe_from, to_plain
from sa3dhp_core.runner import DONE, run, stage_folders, trained_lifter

NOUN = "method"
FOLDER_NAME = re.compile(r"\w[\w.-]*")
OTHER_SEED = 4711


def keys(table: Mapping[str, Any]) -> dict[str, Any]:
    """The method's own keys: the recipe's settings."""
    return {"use": table["use"], **table.get("settings", {})}


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """A method is handed the recipe and the host in which it finds components."""
    rest = {name: value for name, value in table.items() if name != "use"}
    return {"recipe": recipe_from({"id": "conformance", **rest, "method": table["use"]}), "host": bench.host}


def planned(subject: Subject, bench: Bench) -> tuple[dict[str, Stage], Recipe]:
    """The stages by name, and the recipe."""
    recipe = recipe_of(subject, bench)
    return {stage.name: stage for stage in subject.make(bench, recipe=recipe).stages()}, recipe


def recipe_of(subject: Subject, bench: Bench) -> Recipe:
    """The recipe that the component's example makes."""
    assert subject.component is not None, "a method is checked as the component that a plugin offers"
    recipe: Recipe = parts(bench, example_table(subject.component, bench.folder()))["recipe"]
    return recipe


def own_keys(subject: Subject, bench: Bench, recipe: Recipe) -> dict[str, Any]:
    """The keys of all stages under another recipe."""
    return {stage.name: stage.key for stage in subject.make(bench, recipe=recipe).stages()}


@check(NOUN, "is made of stages with different names that are fit for folders")
def names_its_stages(subject: Subject, bench: Bench) -> None:
    stages = subject.make(bench, recipe=recipe_of(subject, bench)).stages()
    must(stages and all(isinstance(stage, Stage) for stage in stages), "stages are no `Stage` values", stages)
    names = [stage.name for stage in stages]
    must(len(set(names)) == len(names), "two stages have one name", sorted(names))
    unfit = [name for name in names if not FOLDER_NAME.fullmatch(name)]
    must(not unfit, "names that are no folder's", unfit, "letters, digits, underscores, dots and hyphens")


@check(NOUN, "requires stages that there are, and none that requires it in turn")
def requires_stages_that_there_are(subject: Subject, bench: Bench) -> None:
    stages, _ = planned(subject, bench)
    for stage in stages.values():
        missing = [name for name in stage.requires if name not in stages]
        must(not missing, f"the stage {stage.name!r} requires unknown stages", missing, sorted(stages))
    try:
        graphlib.TopologicalSorter({stage.name: stage.requires for stage in stages.values()}).prepare()
    except graphlib.CycleError as error:
        raise BrokenPromise("stages require one another in a circle", " -> ".join(error.args[1])) from error


@check(NOUN, "keys its stages by plain data: text, finite numbers, lists and tables")
def keys_are_plain_data(subject: Subject, bench: Bench) -> None:
    stages, _ = planned(subject, bench)
    for stage in stages.values():
        for path, value in _odd(stage.key, "key"):
            must(False, f"the stage {stage.name!r} has a key that is no plain data", f"{path} is {value!r}")


def _odd(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """What is no plain data, with its place."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _odd(item, f"{path}.{name}") if isinstance(name, str) else [(path, name)]
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _odd(item, f"{path}[{number}]")
    elif not (value is None or isinstance(value, (str, int)) or isinstance(value, float) and math.isfinite(value)):
        yield path, value


@check(NOUN, "plans alike for one recipe: the same names, keys and requirements at every build")
def plans_alike(subject: Subject, bench: Bench) -> None:
    first, second = ({n: (s.key, s.requires) for n, s in planned(subject, bench)[0].items()} for _ in range(2))
    must(first == second, "two builds of one recipe plan differently", sorted(set(first) ^ set(second)))


@check(NOUN, "leaves keys alone that a change does not touch: the seed is the runner's, one table is not every stage's")
def keys_tell_what_changes(subject: Subject, bench: Bench) -> None:
    _, recipe = planned(subject, bench)
    before = own_keys(subject, bench, recipe)
    for what, other in {
        "the summary": attrs.evolve(recipe, summary="other words"),
        "the seed, which the runner adds,": attrs.evolve(recipe, seed=OTHER_SEED),
        "how often is logged": attrs.evolve(recipe, engine=attrs.evolve(recipe.engine, log_every=7)),
    }.items():
        must(own_keys(subject, bench, other) == before, f"{what} changes keys")
    for place, other in changed_tables(recipe):
        try:
            after = own_keys(subject, bench, other)
        except RecipeError:  # that number cannot be changed so
            continue
        touched = [name for name in before if after.get(name) != before[name]]
        must(touched or not place.startswith("data"), f"another {place} changes no key, so old results would be kept")
        must(len(before) == 1 or len(touched) < len(before), f"another {place} changes every stage's key", touched)


def changed_tables(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    """Recipes in which one number of one component's table is larger by one, with its place."""
    plain = to_plain(recipe)
    places = [("data", role) for role in plain.get("data", {})]
    places += [(name, None) for name in COMPONENTS if name in plain]
    places += [(name, n) for name in COMPONENT_LISTS if name != "sinks" for n in range(len(plain.get(name, ())))]
    for name, inner in places:
        table = plain[name] if inner is None else plain[name][inner]
        number = next((key for key, value in table.items() if type(value) in (int, float)), None)
        if number is None:
            continue
        other = to_plain(recipe)
        (other[name] if inner is None else other[name][inner])[number] += 1
        yield ".".join(str(part) for part in (name, inner, number) if part is not None), recipe_from(other)


def ran(recipe: Recipe, bench: Bench, folder: Path, only: tuple[str, ...] = ()) -> dict[str, Any]:
    """The results of a run, whose progress nobody sees."""
    with contextlib.redirect_stderr(io.StringIO()):
        return run(recipe, bench.host, folder, only=only)


def whole_run(subject: Subject, bench: Bench) -> tuple[Path, dict[str, Any]]:
    """An uninterrupted run of the recipe, made once on a bench, and its results."""

    def make() -> tuple[Path, dict[str, Any]]:
        folder = bench.folder()
        return folder, ran(planned(subject, bench)[1], bench, folder)

    found: tuple[Path, dict[str, Any]] = bench.once(("run", subject), make)
    return found


@check(NOUN, "runs, and reports finite numbers with row, protocol, split and unit")
def reports_numbers(subject: Subject, bench: Bench) -> None:
    _, results = whole_run(subject, bench)
    must(results["records"], "a whole run reports no number")
    for record in results["records"]:
        told = all(isinstance(record[name], str) and record[name] for name in ("row", "protocol", "split"))
        must(told and isinstance(record["unit"], str), "a number does not say what it is", record)
        must(math.isfinite(record["value"]), "a number is not finite", record)


@check(NOUN, "ends alike where it is stopped between stages, and where stages are called again in their folders")
def ends_alike_after_interruptions(subject: Subject, bench: Bench) -> None:
    _, wanted = whole_run(subject, bench)
    stages, recipe = planned(subject, bench)
    folder = bench.folder()
    ran(recipe, bench, folder, tuple(stages)[: max(1, len(stages) // 2)])
    must(ran(recipe, bench, folder)["records"] == wanted["records"], "a run that was stopped half-way ends differently")
    for place in stage_folders(folder).values():
        (place / DONE).unlink()
    again = ran(recipe, bench, folder)["records"]
    must(again == wanted["records"], "stages that are called again, as after a kill, end differently")


@check(NOUN, "lets a stage write into its own folder alone: nothing there changes once the stage is done")
def writes_in_its_own_folder_alone(subject: Subject, bench: Bench) -> None:
    folder, _ = whole_run(subject, bench)
    for name, place in stage_folders(folder).items():
        done = (place / DONE).stat().st_mtime_ns
        late = [path.name for path in place.rglob("*") if path.stat().st_mtime_ns > done]
        must(not late, f"the folder of {name!r} is written to after the stage is done", late)


def lifter_of(subject: Subject, bench: Bench) -> tuple[TrainedLifter, Tensor]:
    """The lifter that the whole run trained, and keypoints ``(N, J, 2)`` of the last split of its data."""
    folder, _ = whole_run(subject, bench)
    trained = trained_lifter(folder, bench.host)
    points = torch.cat(list(trained.keypoints(trained.splits[-1]).batches(PEOPLE)))
    return trained, points[:PEOPLE]


@check(
    NOUN, "trains a lifter that lifts people who turned as turned, up to its figure", ["trained-turn-equivariant-mm"]
)
def trains_a_lifter_that_turns(subject: Subject, bench: Bench) -> None:
    trained, points = lifter_of(subject, bench)
    apart_mm = turn_error_mm(trained.lift, points, trained.skeleton, bench.generator("turns"))
    need_figure(apart_mm, subject, "trained-turn-equivariant-mm", "poses do not turn with their people")


@check(
    NOUN, "learns canonical shapes that stay however they are turned, up to its figure", ["trained-shape-invariant-mm"]
)
def learns_canonical_shapes_that_stay(subject: Subject, bench: Bench) -> None:
    trained, points = lifter_of(subject, bench)
    shapes = trained.canonical_shape
    must(shapes is not None, "the trained lifter tells no canonical shape", expected="`canonical_shape`")
    assert shapes is not None
    apart_mm = shape_error_mm(shapes, trained.lift, points, trained.skeleton, bench.generator("turns"))
    need_figure(apart_mm, subject, "trained-shape-invariant-mm", "canonical shapes change as they are turned")
