"""A row's model as it is taken home: crops in, poses out. Loads, and trains nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sa3dhp_core.atomic import read_json
from sa3dhp_core.errors import RecipeError, RunError, nearest
from sa3dhp_core.protocols.data import Clips
from sa3dhp_core.protocols.exportable import Exportable, InputDraw, Port
from sa3dhp_self_adaptation.config import Row
from sa3dhp_self_adaptation.row_stages import SKIPPED, trained_model

if TYPE_CHECKING:
    from sa3dhp_self_adaptation.method import SelfAdaptation

CROPS = 64
"""Crops that a file is checked on are drawn from the first so many of the target's training split."""

IMAGES = Port(
    "images",
    ("batch", "channel", "height", "width"),
    "RGB in [0, 1], crops by a virtual camera that looks at the person",
)


def exportable(
    method: SelfAdaptation, folders: Mapping[str, Path], device: torch.device, name: str | None
) -> Exportable:
    """The model of a row: the encoder with all that it does to crops, the pose decoder, the mean over the mirror image.

    Args:
        method: of the run.
        folders: of its stages.
        device: where to load.
        name: of the row; the main one if None.

    Raises:
        RecipeError: there is no such row.
        RunError: the row was left out, or a stage is not done.
    """
    from sa3dhp_self_adaptation.method import row_stage

    row = chosen(method.rows, name)
    trained = folders[row_stage(row.name)]
    if (trained / SKIPPED).is_file():
        reason = read_json(trained / SKIPPED)["reason"]
        raise RunError(f"the run left row {row.name!r} out: {reason}", where=str(trained), hint="another --row")
    method.space.load_pose_prior(folders["pose_prior"], device)
    clips = method.data["target"].clips(folders["data-target"], "train")
    return Exportable(
        module=trained_model(method, trained, row.mirror_average),
        inputs=(IMAGES,),
        draw=_draw(clips),
        skeleton=method.space.skeleton,
        frame="the crop's virtual camera",
        row=row.name,
        licences=_licences(method, folders, clips),
        facts={
            "stage": trained.name,
            "kind": row.kind,
            "mirror_average": row.mirror_average,
            "smooth_outside_frames": row.smooth,
        },
    )


def chosen(rows: tuple[Row, ...], name: str | None) -> Row:
    """A row by name; without one the row that the report puts first, else the last adapted or the first source row.

    Raises:
        RecipeError: there is no such row.
    """
    by_name = {row.name: row for row in rows}
    if name is not None and name in by_name:
        return by_name[name]
    headline = [row for row in rows if row.headline]
    adapted, source = ([row for row in rows if row.kind == kind] for kind in ("adapt", "source"))
    main = [*headline, *reversed(adapted), *source, *rows]
    if name is not None or not main:
        raise RecipeError("the run has no such row", where="--row", found=name, hint=nearest(name or "", by_name))
    return main[0]


def _draw(clips: Clips) -> InputDraw:
    crops = next(iter(clips.batches(CROPS)))

    def draw(count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        return (crops[torch.randint(len(crops), (count,), generator=generator)],)

    return draw


def _licences(method: SelfAdaptation, folders: Mapping[str, Path], clips: Clips) -> dict[str, str]:
    """Of all data of the run, whether or not this row learned from them."""
    source: Any = method.data["source"].labelled(folders["data-source"], "train")
    poses: Any = method.data["poses"].sequences(folders["data-poses"], "train")
    return {"source": source.licence, "target": clips.licence, "poses": poses.licence}
