"""Contact sheets: what a look looks like, as one PNG."""

from __future__ import annotations

from pathlib import Path

import av
import torch

from sa3dhp_core.atomic import write_atomic
from sa3dhp_world.bodies import draw_bodies
from sa3dhp_world.data import generated_actors, render_clips
from sa3dhp_world.looks import look

STEP = 5
"""Frames between two columns."""


def write_sheet(path: Path, name: str, rows: int, columns: int, size: int, seed: int) -> None:
    """Write ``rows x columns`` crops of a look, one clip a row, as a PNG."""
    chosen = look(name)
    bodies = draw_bodies(chosen.bodies, 12, "sheet", seed)
    actors = generated_actors(chosen.families, bodies, range(rows), columns * STEP, "sheet", seed)
    made = render_clips(chosen, actors, bodies, range(rows), size, ("sheet", seed), "sheet", seed)
    tiles = made["images"].unflatten(0, (rows, -1))[:, ::STEP]
    sheet = tiles.permute(0, 3, 1, 4, 2).reshape(rows * size, columns * size, 3).contiguous()
    write_png(path, sheet)


def write_png(path: Path, pixels: torch.Tensor) -> None:
    """Write ``(H, W, 3)`` uint8 pixels as a PNG."""
    codec = av.CodecContext.create("png", "w")
    codec.height, codec.width = pixels.shape[:2]
    codec.pix_fmt = "rgb24"
    frame = av.VideoFrame.from_ndarray(pixels.numpy(), format="rgb24")
    packets = [*codec.encode(frame), *codec.encode(None)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda target: target.write_bytes(b"".join(bytes(packet) for packet in packets)) and None)
