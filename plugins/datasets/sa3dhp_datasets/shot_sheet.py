"""A contact sheet of a data set of shots: crops as a model sees them, with the skeletons that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from sa3dhp_core.atomic import write_atomic
from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.shot_crops import Cut, Framing, cut_crops, cut_of
from sa3dhp_datasets.shots import Person, Shot

COLUMNS, ROWS, TILE = 6, 4, 192
SIDES = {"left": (255, 120, 60), "right": (60, 160, 255), "": (120, 230, 120)}
"""Colours of the bones of a side; the middle is green."""


def drawn_from(shots: Sequence[tuple[str, Shot]], seed: int) -> list[tuple[str, Shot, Person, int]]:
    """Some frames for a sheet, every camera's turn in order: split, shot, person and row; the same for one seed."""
    generator = np.random.default_rng(seed)
    cameras: dict[str, list[tuple[str, Shot, Person]]] = {}
    for split, shot in shots:
        if shot.pictures is not None:
            cameras.setdefault(shot.camera, []).extend((split, shot, p) for p in shot.people if len(p.frames))
    found = []
    several = [several for several in cameras.values() if several]
    for number in range(COLUMNS * ROWS if several else 0):
        choice = several[number % len(several)]
        split, shot, person = choice[int(generator.integers(len(choice)))]
        found.append((split, shot, person, int(generator.integers(len(person.frames)))))
    return found


def write_sheet(path: Path, shots: Sequence[tuple[str, Shot]], framing: Framing, seed: int) -> list[str]:
    """Write a PNG of crops, and return what each tile shows, row by row.

    Raises:
        DataError: no shot has pictures, or one that is drawn cannot be read.
    """
    chosen = drawn_from(shots, seed)
    if not chosen:
        raise DataError("there are no pictures to draw", where=str(path), hint="check without --sheet")
    sheet = Image.new("RGB", (COLUMNS * TILE, ROWS * TILE))
    titles = []
    for number, (split, shot, person, row) in enumerate(chosen):
        tile = _tile(shot, person, row, attrs.evolve(framing, size=TILE))
        sheet.paste(tile, (number % COLUMNS * TILE, number // COLUMNS * TILE))
        titles.append(f"{split}: {shot.title}, person {person.identity}, frame {person.frames[row]}")
    write_atomic(path, lambda target: sheet.save(target, format="PNG"))
    return titles


def _tile(shot: Shot, person: Person, row: int, framing: Framing) -> Image.Image:
    cut = cut_of(shot, person, np.array([row]), framing)
    assert shot.pictures is not None
    ((_, _, crop),) = cut_crops(shot.pictures(), shot, [cut], framing.size)
    return _with_skeleton(crop, cut)


def _with_skeleton(crop: Tensor, cut: Cut) -> Image.Image:
    image = Image.fromarray(crop.permute(1, 2, 0).contiguous().numpy())
    if cut.keypoints is None:
        return image
    pen, body, points = ImageDraw.Draw(image), skeleton(), cut.keypoints[0]
    for end in body.bones:
        bone = torch.stack([points[body.parent_indices[end]], points[end]])
        if bool(bone.isfinite().all()):
            side = next((side for side in ("left", "right") if body.joints[end].startswith(side)), "")
            pen.line([tuple(point) for point in bone.tolist()], fill=SIDES[side], width=2)
    return image
