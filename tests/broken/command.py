"""Commands that each break one promise, beside one that keeps all."""

from __future__ import annotations

from typing import Annotated

import torch
import typer

from sa3dhp_core.components import Component
from sa3dhp_core.conformance import Subject

PLACE = "tests.broken.command"

good = typer.Typer(help="Count.")
mute = typer.Typer()
lenient = typer.Typer()
empty = typer.Typer()


@good.command()
def count(to: Annotated[int, typer.Option(help="Where to stop.")] = 3) -> None:
    """Count."""
    typer.echo(torch.arange(to).tolist())


@mute.command()
def say() -> None:
    typer.echo("…")


@mute.command()
def keep() -> None:
    """Say nothing."""


@lenient.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def anything() -> None:
    """Take anything."""


def offered(target: str, name: str = "", *claims: str) -> Subject:
    """A component with this application."""
    return Subject.offered(
        Component(
            "command",
            name or target,
            "a part of the tests",
            "tests.broken.keys:Keys",
            f"{PLACE}:{target}",
            frozenset(claims),
        )
    )


GOOD = [offered("good"), Subject.given(good, noun="command", id="given")]
BROKEN = {
    "is-a-typer-application": offered("empty"),
    "explains-every-command": offered("mute"),
    "refuses-unknown-options": offered("lenient"),
    "takes-no-name-of-the-core": offered("good", "run"),
    "helps-quickly": offered("good", "", "helps-quickly"),
}
