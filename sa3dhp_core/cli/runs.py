"""The commands that compute: run, resume, eval, predict, report. They call the runner, which is imported only here."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from sa3dhp_core.cli import console
from sa3dhp_core.cli.session import interruptible, session
from sa3dhp_core.ranks import is_first

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print results.json on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Strict = Annotated[bool, typer.Option("--strict-plugins", help="Refuse to go on with a broken plugin.")]


def add_to(app: typer.Typer) -> None:
    """Add the five commands to the application."""
    app.command("run")(run)
    app.command("resume")(resume)
    app.command("eval")(evaluate)
    app.command("predict")(predict)
    app.command("report")(report)


def run(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe's id or file.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The run directory.", show_default=False)],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value: losses.0.weight=0.5")
    ] = None,
    json: Json = False,
    debug: Debug = False,
    strict_plugins: Strict = False,
) -> None:
    """Run a recipe into a directory, or go on with it there."""
    from sa3dhp_core.recipe import check, load_recipe

    host = session(context).settle(debug, strict_plugins)
    resolved = load_recipe(recipe, set_ or ())
    check(resolved, host)
    with interruptible(out):
        from sa3dhp_core import runner

        _show(runner.run(resolved, host, out), out, json)


def resume(
    context: typer.Context, out: Folder, json: Json = False, debug: Debug = False, strict_plugins: Strict = False
) -> None:
    """Go on with a run that was interrupted."""
    host = session(context).settle(debug, strict_plugins)
    with interruptible(out):
        from sa3dhp_core import runner

        _show(runner.resume(out, host), out, json)


def evaluate(
    context: typer.Context,
    out: Folder,
    data: Annotated[
        str, typer.Option("--data", metavar="FOLDER-OR-ID", help="A folder, or a data set's id.", show_default=False)
    ],
    protocol: Annotated[str, typer.Option("--protocol", metavar="ID", help="An evaluation protocol.")] = "mpjpe-root",
    json: Json = False,
    debug: Debug = False,
    strict_plugins: Strict = False,
) -> None:
    """Evaluate a finished run on other data."""
    host = session(context).settle(debug, strict_plugins)
    from sa3dhp_core import runner

    results = runner.evaluate(out, host, data, protocol)
    console.print_json(results) if json else console.print_results(results)


def predict(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", show_default=False)],
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="A video; for a run that lifts, an npz file of 2D keypoints or its folder.",
            show_default=False,
        ),
    ],
    folder: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where poses go; new or empty.", show_default=False)
    ],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of what reads INPUT: fps=25")
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option("--boxes", metavar="FILE", help="Boxes of the people in a video; the same as --set boxes=FILE."),
    ] = None,
    smooth: Annotated[
        float | None,
        typer.Option("--smooth", metavar="HZ", help="Smooth over time: cutoff at rest, hertz; 1.0 is a good start."),
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Of a film: overlay.mp4 and index.html too.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print index.json on standard output.")] = False,
    debug: Debug = False,
    strict_plugins: Strict = False,
) -> None:
    """Take a run's 3D poses of a video or of 2D keypoints home: as npz, JSON and BVH."""
    host = session(context).settle(debug, strict_plugins)
    from sa3dhp_core import runner
    from sa3dhp_core.predictions import need_empty, smoothed, write_predictions

    need_empty(folder)
    recipe = runner.recipe_of(out)
    made_by = {"run": str(out), "recipe": recipe.id, "digest": recipe.digest, "seed": recipe.seed, "input": str(source)}
    changes = [*(set_ or ()), *([f"boxes={dumps(str(boxes))}"] if boxes else ())]
    clips = runner.predict(out, host, source, changes)
    if smooth is not None:
        clips, made_by = smoothed(clips, smooth), {**made_by, "smooth_hz": smooth}
    index = write_predictions(folder, clips, made_by, pictures)
    console.print_json(index) if json else console.print_predictions(index, folder)


def report(context: typer.Context, out: Folder, debug: Debug = False, strict_plugins: Strict = False) -> None:
    """Rebuild the report of a finished run."""
    host = session(context).settle(debug, strict_plugins)
    from sa3dhp_core import runner

    print(runner.report(out, host))


def _show(results: dict[str, object], out: Path, json: bool) -> None:
    if json:
        console.print_json(results)
        return
    console.print_results(results)
    if not is_first():
        return
    for name, path in (("results", out / "results.json"), ("report", out / "report.html")):
        if path.is_file():
            print(f"{name}: {path}")
