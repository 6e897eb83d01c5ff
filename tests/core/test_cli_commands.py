"""A typer application as a command: its help is whole, and a call that gives no value imports no pydantic."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from sa3dhp_core.cli.commands import command_of

LONG = "Look over one thing, another thing and a third thing; say what was found, and what to do about all of it."


def application() -> typer.Typer:
    inner = typer.Typer(help=LONG, rich_markup_mode=None)
    inner.command("look", help=f"{LONG}\n\nMore about it.")(lambda: print("looked"))
    inner.command("listen", help="Listen.", context_settings={"help_option_names": []})(lambda: print("heard"))
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.add_typer(inner, name="inner")
    return app


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    command_of(application()).main(args=list(arguments), prog_name="it", standalone_mode=False)
    return " ".join(capsys.readouterr().out.split())


def test_the_list_of_commands_shows_whole_first_paragraphs(capsys: pytest.CaptureFixture[str]) -> None:
    assert LONG in printed(capsys, "--help")
    inner = printed(capsys, "inner", "--help")
    assert inner.count(LONG) == 2 and "More about it" not in inner
    assert "More about it" in printed(capsys, "inner", "look", "--help")


def test_commands_run_and_the_option_help_stays_what_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "inner", "look") == "looked"
    assert printed(capsys, "inner", "listen") == "heard"
    assert "--help Show this message and exit." in printed(capsys, "inner", "look", "--help")
    with pytest.raises(Exception, match="--help"):
        printed(capsys, "inner", "listen", "--help")


def test_a_call_without_values_imports_no_pydantic() -> None:
    code = (
        "import sys, typer\n"
        "from sa3dhp_core.cli.commands import command_of\n"
        "app = typer.Typer(add_completion=False)\n"
        "app.command()(lambda: None)\n"
        "command_of(app).main(args=[], standalone_mode=False)\n"
        "print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
