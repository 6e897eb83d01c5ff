"""``sa3dhp doctor``: what this machine and installation can do, what limits it, what to do about what is missing."""

from __future__ import annotations

import shutil
import time
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer

from sa3dhp_core.cards import card_ids
from sa3dhp_core.cli import console
from sa3dhp_core.cli.session import session
from sa3dhp_core.components import BUILT_IN
from sa3dhp_core.errors import UnknownComponent
from sa3dhp_core.host import Host

ROOM_GIB = 2.0
"""Free disk space below which a run may not fit."""

READS = "people"
"""What a component claims that reads films."""

CROPS, ENOUGH_S = 32, 3.0
"""Crops of a film a time, and after how many seconds a measurement ends."""


def doctor(
    context: typer.Context,
    measure: Annotated[bool, typer.Option("--measure", help="Measure the device, some seconds long.")] = False,
    video: Annotated[
        Path | None, typer.Option("--video", metavar="FILE", help="Measure how fast this video is decoded, too.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look over machine and installation: what is there, what limits training, keys that suit it, what to do."""
    facts = examine(session(context).host, measure, video)
    if json:
        console.print_json(facts)
        return
    apart = ("broken", "suggestions", "engine", "reasons")
    console.print_table("", ("what", "found"), [(k, _text(v)) for k, v in facts.items() if k not in apart])
    for plugin in session(context).host.broken:
        print(f"BROKEN {plugin.render()}")
    print("[engine]  # keys that suit this machine")
    for key, value in facts["engine"].items():
        print(f"{f'{key} = {dumps(value)}':26}# {facts['reasons'][key]}")
    print("\n".join(f"try: {line}" for line in facts["suggestions"]) or "nothing to do")


def examine(host: Host, measure: bool = False, video: Path | None = None) -> dict[str, Any]:
    """The doctor's findings as plain data; imports torch.

    Args:
        host: with the plugins.
        measure: what the device reaches, too.
        video: a film whose decoding is measured, too.
    """
    from sa3dhp_core import environment, hardware

    facts = environment.describe_environment()
    del facts["command"]
    facts["disk_free_gib"] = round(shutil.disk_usage(Path.cwd()).free / 2**30, 1)
    facts["components"] = len(host.components())
    facts["recipes"] = list(card_ids("recipes"))
    decoders = environment.decoders()
    facts["decoders"] = [name for name, get in decoders.items() if get is None]
    machine = hardware.here()
    rates = {**(hardware.measured(machine) if measure else {}), **(_decoding(host, video) if video else {})}
    facts["memory_free_gib"] = machine.free_gib
    if rates:
        facts["measured"] = rates
    videos = not any(name.startswith("av:") and get for name, get in decoders.items())
    facts["limits"] = hardware.limits(machine, rates, videos)
    suggested = hardware.suggested(machine, rates)
    facts["engine"] = {one.key: one.value for one in suggested}
    facts["reasons"] = {one.key: one.why for one in suggested}
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


def _decoding(host: Host, video: Path) -> dict[str, float]:
    """Crops a second of a film, by the first component that reads films; decoding and cropping together.

    Raises:
        DataError: no such file, or it cannot be read.
        UnknownComponent: nothing that is installed reads films.
    """
    reader = next((o.component.id for o in host.components("image_data") if READS in o.component.capabilities), None)
    if reader is None:
        raise UnknownComponent(
            "nothing that is installed reads films", where="--video", hint="pip install sa3dhp-datasets"
        )
    film = host.build("image_data", {"use": reader, "path": str(video)}, "--video").people(video)
    began, count = time.perf_counter(), 0
    for crops in film.crops(CROPS):
        count += len(crops.images)
        if time.perf_counter() - began > ENOUGH_S:
            break
    return {"decoding_crops_per_s": round(count / (time.perf_counter() - began), 1)}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, list):
        return ("; " if any("," in str(item) for item in value) else ", ").join(map(str, value)) or "none"
    return str(value)
