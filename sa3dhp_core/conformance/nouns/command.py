"""What a command must keep: a typer application that explains itself, under a name that the core does not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer
from typer.testing import CliRunner

from sa3dhp_core.components import BUILT_IN
from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.nouns.component import need_light
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.subject import Subject

NOUN = "command"
NO_OPTION = "--no-such-option-anywhere"
HEAVY = ("torch", "lightning", "transformers", "scipy", "av", "plotly")
"""Libraries that a help text must not wait for."""


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """A command's target is its application; nothing is handed to it."""
    return {}


def application(subject: Subject, bench: Bench) -> Any:
    """The typer application."""
    return subject.make(bench) if subject.component is None else subject.component.load_target()


def commands(subject: Subject, bench: Bench) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Words that lead to each command below the application, itself first, and the command of the click library."""

    def walk(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
        yield words, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk((*words, name), inner)

    yield from walk((), typer.main.get_command(application(subject, bench)))


def called(app: Any, words: tuple[str, ...]) -> Any:
    """How a call ended, its errors kept."""
    return CliRunner().invoke(app, list(words))


@check(NOUN, "is a typer application with at least one command")
def is_a_typer_application(subject: Subject, bench: Bench) -> None:
    app = application(subject, bench)
    must(isinstance(app, typer.Typer), "is no typer application", type(app).__name__, "typer.Typer")
    must(app.registered_commands or app.registered_groups, "has no command")


@check(NOUN, "explains itself and every command with --help: a text, exit code 0")
def explains_every_command(subject: Subject, bench: Bench) -> None:
    app = application(subject, bench)
    for words, command in commands(subject, bench):
        must(words == () or command.help or command.short_help, f"`{' '.join(words)}` has no help text")
        ended = called(app, (*words, "--help"))
        must(ended.exit_code == 0, f"`{' '.join(words)} --help` fails", ended.exit_code, 0)


@check(NOUN, "refuses an unknown option with exit code 2")
def refuses_unknown_options(subject: Subject, bench: Bench) -> None:
    app = application(subject, bench)
    for words, _ in commands(subject, bench):
        ended = called(app, (*words, NO_OPTION))
        must(ended.exit_code == 2, f"`{' '.join(words)} {NO_OPTION}` is not refused", ended.exit_code, 2)


@check(NOUN, "has a name that no command of the core has")
def takes_no_name_of_the_core(subject: Subject, bench: Bench) -> None:
    must(subject.id not in BUILT_IN, "has the name of a command of the core, and would be left out", subject.id)


@check(NOUN, "explains itself without torch or another heavy library", ["helps-quickly"])
def helps_quickly(subject: Subject, bench: Bench) -> None:
    if (component := subject.component) is None:
        return
    need_light(component.target.partition(":")[0], HEAVY)
