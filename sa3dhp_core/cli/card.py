"""``sa3dhp plugins card``: the card of a plugin, as the registry holds it."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path
from typing import Annotated

import typer

from sa3dhp_core.cli.check import asked
from sa3dhp_core.cli.session import session
from sa3dhp_core.errors import PluginError, nearest
from sa3dhp_core.source_folder import SourceFolder, same_name


def card(
    context: typer.Context,
    plugin: Annotated[
        str,
        typer.Argument(
            metavar="PACKAGE-OR-PATH",
            help="An installed distribution or entry point, or a source folder.",
            show_default=False,
        ),
    ],
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep", metavar="FILE", help="An earlier card: what it says by hand is kept.", show_default=False
        ),
    ] = None,
) -> None:
    """Print a plugin's card: what it offers and claims, as TOML; add by hand what it cannot do."""
    from sa3dhp_core.cards import read_toml
    from sa3dhp_core.plugin_cards import card_of, card_text

    host, names = asked(session(context).host, [plugin])
    offers = [offer for offer in host.offers if {offer.distribution, offer.entry_point} & (names or set())]
    if not offers:
        hint = nearest(plugin, {offer.distribution for offer in host.offers}) or 'pip install "sa3dhp[all]"'
        raise PluginError(f"no plugin {plugin!r} is installed, or it offers nothing", hint=hint)
    name = offers[0].distribution
    folder = Path(plugin)
    is_folder = folder.is_dir() and same_name(name, SourceFolder(folder).name)
    source = SourceFolder(folder) if is_folder else distribution(name)
    components = [offer.component for offer in offers if offer.distribution == name]
    written = read_toml(keep) if keep is not None else None
    print(card_text(card_of(source, components, written=written)), end="")
