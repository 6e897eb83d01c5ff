"""The command that takes a run's model home. The runner and the formats are imported only when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from sa3dhp_core.cli import console
from sa3dhp_core.cli.runs import Debug, Strict
from sa3dhp_core.cli.session import session


def export(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", show_default=False)],
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="onnx or torch-export.", show_default=False)],
    row: Annotated[str | None, typer.Option("--row", metavar="NAME", help="A row; the main result if absent.")] = None,
    file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A new file; in RUN's folder `export` if absent.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what the JSON beside the file says.")] = False,
    debug: Debug = False,
    strict_plugins: Strict = False,
) -> None:
    """Write a run's model as ONNX or by torch.export, checked against the model itself."""
    host = session(context).settle(debug, strict_plugins)
    from sa3dhp_core import runner
    from sa3dhp_core.export import format_of, place_in, write_model

    format_of(form)
    recipe, model = runner.recipe_of(out), runner.exportable(out, host, row)
    made_by = {"run": out.resolve().name, "recipe": recipe.id, "digest": recipe.digest, "seed": recipe.seed}
    path = file or place_in(out, model.row, form)
    told = write_model(path, form, model, made_by)
    console.print_json(told) if json else _show(told, path)


def _show(told: Mapping[str, Any], path: Path) -> None:
    ports = [*told["inputs"], *told["outputs"]]
    rows = [(port["name"], f"({', '.join(map(str, port['shape']))})", port["meaning"]) for port in ports]
    console.print_table(f"row {told['row']}", ("name", "shape", "what it is"), rows)
    check = told["checked"]
    batches = ", ".join(map(str, check["batches"]))
    apart, most = 1000 * check["largest_difference_m"], 1000 * check["absolute_tolerance_m"]
    print(
        f"checked with {check['with']} on batches of {batches}: at most {apart:.2g} mm from the model "
        f"(allowed: {most:g} mm + {check['relative_tolerance']:g} of the coordinate)"
    )
    print(f"model ({told['format']}, {told['bytes'] / 1e6:.1f} MB): {path}")
    print(f"what it is: {path}.json")
