"""``sa3dhp data``: the data sets that recipes can name, and the registry's cards of data sets."""

from __future__ import annotations

from typing import Annotated

import typer

from sa3dhp_core.cards import card_ids, read_card
from sa3dhp_core.cli import console, data_files, plugins
from sa3dhp_core.cli.session import session

app = typer.Typer(no_args_is_help=True, help="List, show, check and pack data sets.")
app.command("check")(data_files.check)
app.command("pack")(data_files.pack)
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
    """Show a data set's card (layout, units, joints, splits, known defects) and its keys."""
    host, card = session(context).host, _card_of(data)
    if card is not None:
        import tomlkit

        print(tomlkit.dumps(read_card("datasets", card)), end="")
    read = any(offer.component.id == data for noun in NOUNS for offer in host.components(noun))
    for offer in plugins.find_offers(host, data, NOUNS) if read or card is None else ():
        print()
        plugins.show_offer(offer)


def _card_of(data: str) -> str | None:
    """The card of this id, else one that names the component."""
    cards = card_ids("datasets")
    if data in cards:
        return data
    return next((card for card in cards if data in read_card("datasets", card).get("components", ())), None)
