"""``sa3dhp doctor``: what this machine and installation can do, and what to do about what is missing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer

from sa3dhp_core.cards import card_ids
from sa3dhp_core.cli import console
from sa3dhp_core.cli.session import session
from sa3dhp_core.components import BUILT_IN
from sa3dhp_core.host import Host

ROOM_GIB = 2.0
"""Free disk space below which a run may not fit."""


def doctor(context: typer.Context, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look over the installation: versions, hardware, plugins, decoders; suggests what to do."""
    facts = examine(session(context).host)
    if json:
        console.print_json(facts)
        return
    rows = [(name, _text(value)) for name, value in facts.items() if name not in ("broken", "suggestions")]
    console.print_table("", ("what", "found"), rows)
    for plugin in session(context).host.broken:
        print(f"BROKEN {plugin.render()}")
    print("\n".join(f"try: {line}" for line in facts["suggestions"]) or "nothing to do")


def examine(host: Host) -> dict[str, Any]:
    """The doctor's findings as plain data; imports torch."""
    from sa3dhp_core import environment

    facts = environment.describe_environment()
    del facts["command"]
    facts["disk_free_gib"] = round(shutil.disk_usage(Path.cwd()).free / 2**30, 1)
    facts["components"] = len(host.components())
    facts["recipes"] = list(card_ids("recipes"))
    decoders = environment.decoders()
    facts["decoders"] = [name for name, get in decoders.items() if get is None]
    facts["broken"] = [attrs.asdict(plugin) for plugin in host.broken]
    facts["suggestions"] = [
        *(f"{plugin.hint} ({plugin.distribution}: {plugin.problem})" for plugin in host.broken),
        *(
            f"rename the command {offer.component.id!r} of {offer.distribution}: the core has one of that name"
            for offer in host.components("command")
            if offer.component.id in BUILT_IN
        ),
        *(f"{get}, to read {name.partition(': ')[2]}" for name, get in decoders.items() if get is not None),
        *(['pip install "sa3dhp[all]", for the first-party plugins'] if not host.components() else []),
        *(["free some disk space"] if facts["disk_free_gib"] < ROOM_GIB else []),
        *(["a recipe for a CPU (quickstart); torch sees no accelerator"] if not facts["devices"] else []),
    ]
    return facts


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
