"""`sa3dhp world render` and `sa3dhp world show`. Arguments only; the work is imported when a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sa3dhp_core.errors import RecipeError

app = typer.Typer(help="Render the embedded world.", no_args_is_help=True, rich_markup_mode=None)
LookName = Annotated[str, typer.Option("--look", help="plain, mild or street.")]
Seed = Annotated[int, typer.Option(help="Seed of everything.")]


@app.command("render")
def render_videos(
    out: Annotated[Path, typer.Option("--out", help="Folder for the videos, boxes and ground truth.")],
    look: LookName = "street",
    clips: Annotated[int, typer.Option(min=1, help="Number of videos.")] = 2,
    seconds: Annotated[float, typer.Option(min=0.04, help="Length of each.")] = 4.0,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT in pixels, both even.")] = "1280x720",
    people: Annotated[int, typer.Option(min=1, max=3, help="People in each video.")] = 1,
    motion: Annotated[
        Path | None, typer.Option(help="Motion-capture .npz to act out; generated motion if not given.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Write mp4 videos, a boxes file and ground truth beside each."""
    from rich.progress import track

    from sa3dhp_world.footage import write_clip
    from sa3dhp_world.looks import look as look_named
    from sa3dhp_world.recorded import read_motion

    chosen, shape = look_named(look), parse_size(size)
    recording = read_motion(motion) if motion else None
    out.mkdir(parents=True, exist_ok=True)
    for number in track(range(clips), description="rendering"):
        name = f"clip_{number:03d}"
        write_clip(out, name, chosen, seconds, shape, people, look, seed, number, recording=recording)
    typer.echo(f"{clips} videos of look {look} in {out}")


@app.command("show")
def show(
    out: Annotated[Path, typer.Option("--out", help="PNG file to write.")],
    look: LookName = "street",
    rows: Annotated[int, typer.Option(min=1, help="Clips, one a row.")] = 12,
    columns: Annotated[int, typer.Option(min=1, help="Frames of each, a sixth of a second apart.")] = 12,
    size: Annotated[int, typer.Option(min=16, help="Pixels of a crop.")] = 96,
    seed: Seed = 0,
) -> None:
    """Write a contact sheet of crops, one clip a row."""
    from sa3dhp_world.sheet import write_sheet

    write_sheet(out, look, rows, columns, size, seed)
    typer.echo(f"{rows} clips of look {look} in {out}")


def parse_size(text: str) -> tuple[int, int]:
    """``"1280x720"`` as (width, height); raises `RecipeError`."""
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise RecipeError("not a size", where="--size", found=text, expected="WIDTHxHEIGHT, for example 1280x720")
    return int(width), int(height)
