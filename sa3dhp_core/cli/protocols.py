"""``sa3dhp protocols``: list and show the registry's evaluation protocols."""

from __future__ import annotations

from typing import Annotated

import typer

from sa3dhp_core.cards import card_ids, read_card, registry_folder
from sa3dhp_core.cli import console

app = typer.Typer(no_args_is_help=True, help="List and show evaluation protocols.")
KEYS = ("id", "name", "unit", "oracle_inputs", "source")


@app.command("list")
def list_(json: Annotated[bool, typer.Option("--json", help="Print JSON, the whole cards.")] = False) -> None:
    """List the registry's evaluation protocols with what each reads of the truth."""
    cards = [read_card("protocols", card_id) for card_id in card_ids("protocols")]
    if json:
        console.print_json({"protocols": cards})
        return
    rows = [[", ".join(card.get(key, ())) if key == "oracle_inputs" else card[key] for key in KEYS] for card in cards]
    console.print_table("", ("protocol", "name", "unit", "enters from the truth", "source"), rows)


@app.command()
def show(
    protocol: Annotated[str, typer.Argument(metavar="ID", help="A protocol's id.", show_default=False)],
) -> None:
    """Print a protocol's card, with the comment that says in words what the number is."""
    read_card("protocols", protocol)
    print((registry_folder() / "protocols" / f"{protocol}.toml").read_text(encoding="utf-8"), end="")
