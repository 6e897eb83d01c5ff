"""`sa3dhp relations rank` and `sa3dhp relations select`. Arguments and printing; the work is imported on call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sa3dhp_core.cli import console
from sa3dhp_core.cli.session import session
from sa3dhp_core.errors import RecipeError

app = typer.Typer(help="What a run's relations pin down.", no_args_is_help=True, rich_markup_mode=None)
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("rank")
def rank(
    context: typer.Context,
    run: Run,
    json: Json = False,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Also draw it, as a page: FILE.html.")] = None,
) -> None:
    """Rank the relations of a run by latent distance, with what each and all together leave open."""
    if plot is not None and plot.suffix != ".html":
        raise RecipeError("a plot is a page", where="--plot", found=plot.name, expected="a file that ends in .html")
    from sa3dhp_core.runner import trained_latent
    from sa3dhp_relations.surveying import survey
    from sa3dhp_relations.tables import as_plain, print_survey

    found = survey(trained_latent(run, session(context).host))
    if plot is not None:
        from sa3dhp_relations.plot import write_page

        write_page(found, plot)
    console.print_json(as_plain(found)) if json else print_survey(found)
    if plot is not None and not json:
        print(f"plot: {plot}")


@app.command("select")
def select(
    context: typer.Context,
    run: Run,
    size: Annotated[int, typer.Option(min=1, help="How many relations.")] = 3,
    by: Annotated[str, typer.Option(metavar="ID", help="A component of noun relation_selection.")] = "pins-down",
    json: Json = False,
) -> None:
    """Propose a set of relations and say why."""
    host = session(context).host
    criterion = host.build("relation_selection", {"use": by}, "--by")
    from sa3dhp_core.runner import trained_latent
    from sa3dhp_relations.selection import check_size, proposed
    from sa3dhp_relations.surveying import survey
    from sa3dhp_relations.tables import as_plain_choice, print_choice

    latent = trained_latent(run, host)
    check_size(size, tuple(latent.relations))
    found = survey(latent)
    choices = proposed(criterion, found, size)
    console.print_json(as_plain_choice(found, by, choices)) if json else print_choice(found, choices)
