"""``sa3dhp plugins new``: writes a plugin to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sa3dhp_core.cli.session import session


def new(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Of the distribution and its component: my-relation.", show_default=False),
    ],
    kind: Annotated[str, typer.Option("--kind", metavar="NOUN", help="What it offers.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="A new or empty folder.", show_default=False)],
) -> None:
    """Write a small distribution with one component, which passes the conformance kit as it is."""
    from sa3dhp_core.new_plugin import write_plugin

    for path in write_plugin(name, kind, out, session(context).host):
        print(path)
