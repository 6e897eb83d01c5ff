"""``sa3dhp data``: the data sets that recipes can name, and the registry's cards of data sets."""

from __future__ import annotations

from typing import Annotated

import typer

from sa3dhp_core.cards import card_ids, read_card
from sa3dhp_core.cli import console, plugins
from sa3dhp_core.cli.session import session

app = typer.Typer(no_args_is_help=True, help="List and show data sets.")
NOUNS = ("image_data", "pose_data", "keypoint_data")


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the data sets that plugins can read, and the cards of the registry."""
    host = session(context).host
    rows = [(o.component.id, o.component.noun, o.component.summary) for noun in NOUNS for o in host.components(noun)]
    rows += [(card, "card", str(read_card("datasets", card).get("name", ""))) for card in card_ids("datasets")]
    console.print_table("", ("id", "kind", "summary"), rows)


@app.command()
def show(
    context: typer.Context,
    data: Annotated[str, typer.Argument(metavar="ID", help="A data set's id.", show_default=False)],
) -> None:
    """Show a data set's keys, or its card."""
    if data in card_ids("datasets"):
        import tomlkit

        print(tomlkit.dumps(read_card("datasets", data)), end="")
        return
    for offer in plugins.find_offers(session(context).host, data, NOUNS):
        plugins.show_offer(offer)
