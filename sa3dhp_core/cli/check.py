"""``sa3dhp plugins check``: runs the conformance kit on plugins and prints how each promise ended."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import attrs
import typer

from sa3dhp_core.cli import console
from sa3dhp_core.cli.session import session
from sa3dhp_core.errors import PluginError
from sa3dhp_core.host import Host
from sa3dhp_core.source_folder import SourceFolder

if TYPE_CHECKING:
    from sa3dhp_core.conformance.bench import Bench
    from sa3dhp_core.conformance.inspection import Inspection
    from sa3dhp_core.conformance.run import Outcome

LIBRARIES = ("hypothesis", "pytest")
"""What the kit needs beside the core's own requirements."""


def check(
    context: typer.Context,
    plugins: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PACKAGE-OR-PATH]…",
            help="Distributions or entry points that are installed, or source folders; all installed plugins if none.",
            show_default=False,
        ),
    ] = None,
    thorough: Annotated[bool, typer.Option("--thorough", help="Look ten times as hard; train in full.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print every outcome as JSON.")] = False,
) -> None:
    """Check that plugins keep what their nouns promise and what they claim; exit code 1 where one does not."""
    host, names = asked(session(context).host, plugins or ())
    _need_the_kit()
    from sa3dhp_core.conformance import PROFILES, Bench
    from sa3dhp_core.conformance.inspection import inspection

    wanted = inspection(host, names)
    profile = PROFILES["thorough" if thorough else "quick"]
    with contextlib.redirect_stdout(sys.stderr):  # a component that prints must not stand among the answers
        outcomes = [*wanted.refused, *_run(wanted, Bench(profile, host))]
    if json:
        console.print_json({"profile": profile.name, "outcomes": [attrs.asdict(outcome) for outcome in outcomes]})
    else:
        _show(outcomes, profile.name)
    if any(outcome.failed for outcome in outcomes):
        raise typer.Exit(1)


def asked(installed: Host, arguments: Sequence[str]) -> tuple[Host, frozenset[str] | None]:
    """A host with the source folders among the arguments, and the names of the plugins that they mean; None for all."""
    folders = [SourceFolder(Path(argument)) for argument in arguments if _is_path(argument)]
    names = [argument for argument in arguments if not _is_path(argument)]
    host = Host.load(folders=folders) if folders else installed
    return host, frozenset([*names, *(folder.name for folder in folders)]) if arguments else None


def _is_path(argument: str) -> bool:
    return "/" in argument or argument in (".", "..") or (Path(argument) / "pyproject.toml").is_file()


def _need_the_kit() -> None:
    for library in LIBRARIES:
        if find_spec(library) is None:
            raise PluginError(f"checking needs {library}, which is not installed", hint='pip install "sa3dhp[testing]"')


def _run(wanted: Inspection, bench: Bench) -> Iterator[Outcome]:
    """Run every check; on a terminal, say meanwhile which one."""
    from sa3dhp_core.conformance.run import outcome

    with console.progress() as say:
        for number, (each, subject) in enumerate(wanted.cases, 1):
            say(f"{number}/{len(wanted.cases)} {subject.name}: {each.name}")
            yield outcome(each, subject, bench)


def _show(outcomes: Sequence[Outcome], profile: str) -> None:
    from sa3dhp_core.conformance.inspection import tallies

    rows = [(t.subject, t.kept, t.known, t.broken, f"{t.seconds:.1f}") for t in tallies(outcomes)]
    console.print_table("", ("component", "kept", "known", "broken", "seconds"), rows)
    for status, title in (("broken", "BROKEN"), ("mended", "BROKEN"), ("known", "KNOWN TO FAIL")):
        for found in outcomes:
            if found.status == status:
                print(f"\n{title} {found.subject}: {found.check}\n  {found.promise}")
                print("\n".join(f"  {line}" for line in found.reason.splitlines()))
    failed = sum(outcome.failed for outcome in outcomes)
    print(f"\n{len(outcomes)} checks, profile {profile}")
    print(f"{failed} broken" if failed else "every promise is kept, or known to be broken")
