"""The application: mounts the commands, those of plugins too, and turns every error into one message."""

from __future__ import annotations

import errno
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, NoReturn

import typer

from sa3dhp_core import __version__
from sa3dhp_core.cli import console, data, doctor, export, plugins, protocols, recipes, runs
from sa3dhp_core.cli.commands import command_of
from sa3dhp_core.cli.session import Session, session
from sa3dhp_core.components import BUILT_IN, Component
from sa3dhp_core.errors import Sa3dhpError
from sa3dhp_core.host import Host
from sa3dhp_core.ranks import is_first

DISK_FULL = 4
"""Exit code where the disk is full."""

PATIENCE_S = 10.0
"""How long a further rank that failed waits for the first one to say why."""


def make_app(host: Host) -> typer.Typer:
    """The typer application with the commands of the core and of the host's `command` components."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help="Adapt a 3D human pose model to a domain without labels; every part is a plugin.",
    )
    app.callback(invoke_without_command=True)(_options)
    app.add_typer(recipes.app, name="recipes")
    runs.add_to(app)
    app.command("export")(export.export)
    app.add_typer(plugins.app, name="plugins")
    app.add_typer(protocols.app, name="protocols")
    app.add_typer(data.app, name="data")
    app.command("doctor")(doctor.doctor)
    for offer in host.components("command"):
        if offer.component.id not in BUILT_IN:
            _mount(app, offer.component)
    return app


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Console script; always ends the process with the exit code."""
    call: Session | None = None
    parent = os.getppid()
    try:
        call = Session(Host.load(), debug="--debug" in (sys.argv[1:] if arguments is None else arguments))
        command = command_of(make_app(call.host))
        command.main(args=None if arguments is None else list(arguments), prog_name="sa3dhp", obj=call)
        sys.exit(0)
    except BrokenPipeError:
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        sys.exit(_explain(error, debug=call is not None and call.debug, silent=_first_rank_spoke(parent)))
    finally:
        _flush()


def _flush() -> None:
    """Write what is buffered now; a reader that has gone is no error, and the interpreter must not stumble over it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    session(context).debug |= debug
    if version:
        print(f"sa3dhp {__version__}")
        raise typer.Exit()
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit()


def _mount(app: typer.Typer, component: Component) -> None:
    """Mount a plugin's typer application; it is imported when it is called, with the rest of the line as arguments."""

    def call(context: typer.Context) -> None:
        command = command_of(component.load_target())
        command.main(args=list(context.args), prog_name=f"sa3dhp {component.id}", obj=session(context))

    app.command(
        component.id,
        help=component.summary,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    )(call)


def _first_rank_spoke(parent: int) -> bool:
    """Whether the process that started this one as a further rank has ended by itself, given some seconds.

    What goes wrong on one rank mostly does on all. The first one says it; if a further one ended before, the launcher
    would kill the first while it speaks.
    """
    if is_first():
        return False
    limit = time.monotonic() + PATIENCE_S
    while os.getppid() == parent and time.monotonic() < limit:
        time.sleep(0.05)
    return os.getppid() != parent


def _explain(error: Exception, debug: bool, silent: bool) -> int:
    """Say on stderr what went wrong, unless another rank has; returns the exit code."""
    if debug and not silent:
        traceback.print_exception(error)
    say: Callable[[str], None] = (lambda text: None) if silent else console.err().print
    if isinstance(error, Sa3dhpError):
        say(error.render())
        return error.exit_code
    if _disk_is_full(error):
        place = getattr(error, "filename", None)
        say(f"{place}: the disk is full" if place else "the disk is full")
        say("  try: free some space, then sa3dhp resume DIR; nothing already written is damaged")
        return DISK_FULL
    say(f"{type(error).__name__}: {error}")
    if not debug:
        say("  try: the same with --debug shows where")
    return 2 if isinstance(error, OSError) else 1


def _disk_is_full(error: BaseException | None) -> bool:
    """Whether the error or what caused it is a full disk; safetensors tells it in words only."""
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC or "os error 28" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
