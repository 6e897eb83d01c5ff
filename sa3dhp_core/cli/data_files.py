"""``sa3dhp data check`` and ``sa3dhp data pack``: the user's own files, read as a data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer

from sa3dhp_core.cli import console
from sa3dhp_core.cli.session import session
from sa3dhp_core.errors import DataError, UnknownComponent, nearest
from sa3dhp_core.host import Host
from sa3dhp_core.overrides import override

if TYPE_CHECKING:
    from sa3dhp_core.protocols.data_files import BoneCheck, CameraCheck, DataCheck

NOUNS = ("image_data", "keypoint_data", "pose_data")
"""In the order asked: images can show what they see."""

CAMERA_HEADS = ("camera", "recordings", "tracks", "frames", "fps", "3D on 2D, median px", "worst px")
BONE_HEADS = ("bone to", "median m", "shortest subject", "longest subject", "varies within one")

MOST = 12
"""Names listed after one another; of more, the first are followed by a count."""

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the files lie.", show_default=False)]
Id = Annotated[str, typer.Option("--as", metavar="ID", help="The data set that they are.", show_default=False)]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of what reads them: fps=10")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]


def check(
    context: typer.Context,
    folder: Folder,
    id: Id,
    set_: Changes = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE.png", help="Draw crops with skeletons into this file.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Which crops are drawn.")] = 0,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Look at a folder as a data set: recordings, cameras, projection errors, bones. Exits with 1 at a problem."""
    data = built(session(context).settle(debug, False), id, folder, set_ or ())
    from sa3dhp_core.protocols.data_files import ChecksFiles, DrawsSheet

    if not isinstance(data, ChecksFiles):
        raise DataError(f"{id} cannot check files", where=str(folder), hint="sa3dhp run checks them as it reads them")
    found = data.check()
    tiles = _sheet(data, sheet, seed, id) if sheet and isinstance(data, DrawsSheet) else []
    if sheet and not isinstance(data, DrawsSheet):
        raise DataError(f"{id} has no pictures to draw", where=str(sheet), hint="check without --sheet")
    if json:
        console.print_json({**attrs.asdict(found), "sheet": tiles})
    else:
        _print(found, sheet)
    if found.problems:
        raise typer.Exit(1)


def pack(
    context: typer.Context,
    folder: Folder,
    id: Id,
    out: Annotated[
        Path, typer.Option("--out", metavar="SHARDS", help="Where shards go; new, or to go on.", show_default=False)
    ],
    set_: Changes = None,
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="Shards written at once.", min=1)] = 2,
    frames: Annotated[int, typer.Option("--frames", metavar="N", help="Crops after which a shard is full.", min=1)] = (
        8192
    ),
    quality: Annotated[int, typer.Option("--quality", help="Of the JPEG crops.", min=1, max=95)] = 95,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a data set's person crops, cameras and labels as webdataset shards; run again, it goes on."""
    data = built(session(context).settle(debug, False), id, folder, set_ or ())
    from sa3dhp_core.protocols.data_files import PacksShards

    if not isinstance(data, PacksShards):
        raise DataError(f"{id} has no pictures to pack", where=str(folder), hint="an image data set: sa3dhp data list")
    with console.progress() as show:
        told = data.pack(
            out,
            workers=workers,
            frames=frames,
            quality=quality,
            progress=lambda done, every: show(f"{done} of {every} crops"),
        )
    if json:
        console.print_json(told)
        return
    splits: Any = told["splits"]
    for split, shards in splits.items():
        print(f"{split}: {len(shards)} shard{'s' if len(shards) > 1 else ''}")
    print(f"{told['crops']} crops of {told['size']} pixels: {out}")


def built(host: Host, id: str, folder: Path, changes: Iterable[str]) -> Any:
    """The data component of this id over a folder.

    Raises:
        UnknownComponent: there is none of this id.
        RecipeError: a change names no key of it, or its value does not fit.
    """
    offers = [offer.component for noun in NOUNS for offer in host.components(noun)]
    component = next((component for component in offers if component.id == id), None)
    if component is None:
        known = {component.id for component in offers}
        raise UnknownComponent(f"no data set is called {id!r}", hint=nearest(id, known) or "sa3dhp data list")
    table: dict[str, Any] = {"use": id, "path": str(folder)}
    keys = [field.name for field in attrs.fields(component.load_config()) if field.name != "path"]
    for change in changes:
        table = override(table, change, keys)
    return host.build(component.noun, table, id)


def _sheet(data: Any, path: Path, seed: int, id: str) -> list[str]:
    if path.suffix.lower() != ".png":
        raise DataError(
            "the sheet is written as PNG", where=str(path), found=path.suffix or "no suffix", expected=".png"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return list(data.write_sheet(path, seed))


def _print(found: DataCheck, sheet: Path | None) -> None:
    print(f"subjects (frames): {counted(found.subjects)}")
    print(f"splits (recordings): {counted(found.splits)}")
    console.print_table("", CAMERA_HEADS, map(_camera, found.cameras))
    if found.bones:
        console.print_table("", BONE_HEADS, map(_bone, found.bones))
    if sheet:
        print(f"crops: {sheet}")
    for problem in found.problems:
        print(f"PROBLEM: {problem}")
    if not found.problems:
        print("no problem found")


def counted(rows: Sequence[tuple[str, int]]) -> str:
    """Names and numbers in a line: the first few, and how many more there are with how much."""
    shown = [f"{name or '-'} {count}" for name, count in rows[:MOST]]
    if others := rows[MOST:]:
        shown.append(f"and {len(others)} more with {sum(count for _, count in others)}")
    return ", ".join(shown)


def _camera(camera: CameraCheck) -> tuple[object, ...]:
    rates = ", ".join(f"{rate:g}" for rate in camera.fps)
    counts = (camera.recordings, camera.people, camera.frames)
    return (camera.camera or "-", *counts, rates, _px(camera.median_px), _px(camera.worst_px))


def _px(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _bone(bone: BoneCheck) -> tuple[object, ...]:
    lengths = (bone.median_m, bone.shortest_m, bone.longest_m)
    return (bone.joint, *(f"{length:.3f}" for length in lengths), f"{bone.varies:.1%}")
