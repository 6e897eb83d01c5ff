"""A typer application as the command that is called: quick to start, and its help whole. Knows no command by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer


def command_of(app: typer.Typer) -> Any:
    """The application as a command of the click library, with what typer leaves out.

    A list of commands shows their whole first sentences, which plain help would cut after one line. Every ``--help``
    gets a default, without which typer imports pydantic to find out what it means that nobody asked for help.
    """
    command = typer.main.get_command(app)
    for each in _tree(command):
        each.short_help = each.short_help or (each.help or "").partition("\n\n")[0]
        option = each.get_help_option(typer.Context(each, **each.context_settings))
        if option is not None:
            option.default = False
    return command


def _tree(command: Any) -> Iterator[Any]:
    yield command
    for child in getattr(command, "commands", {}).values():
        yield from _tree(child)
