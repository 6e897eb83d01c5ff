"""A folder of predicted poses: npz, JSON and BVH of each clip, and an index. Predicts nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sa3dhp_core.atomic import write_json, write_npz, write_text
from sa3dhp_core.bvh import Bvh, write_bvh
from sa3dhp_core.bvh_of_poses import bvh_of_poses
from sa3dhp_core.errors import DataError
from sa3dhp_core.protocols.prediction import PosedClip
from sa3dhp_core.types import ClipName

INDEX = "index.json"
DIGITS = 6
"""Decimals of metres and seconds in JSON."""

LONGEST_STEM = 50


def write_predictions(folder: Path, clips: Iterable[PosedClip], made_by: Mapping[str, object]) -> dict[str, Any]:
    """Write each clip as it comes, then the index, which is there once all is written.

    Args:
        folder: where to; it must not exist, or be empty.
        clips: of any number; one is held at a time.
        made_by: plain data for the index: of which run and input.

    Returns:
        The content of ``index.json``.

    Raises:
        DataError: the folder holds something, there is no clip, or a pose that is none.
    """
    need_empty(folder)
    listed: list[dict[str, object]] = []
    stems = {Path(INDEX).stem}
    for clip in clips:
        stem = _stem(clip.name, stems)
        stems.add(stem.casefold())
        listed.append(_write_clip(folder, stem, clip))
    if not listed:
        raise DataError("there is no clip to predict poses of", found=dict(made_by))
    index = {**made_by, "unit": "m", "frame": "camera", "clips": listed}
    write_json(folder / INDEX, index)
    return index


def need_empty(folder: Path) -> None:
    """Raise `DataError` unless a folder is empty or absent."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        what = "the folder holds files and is left as it is" if folder.is_dir() else "there is a file of this name"
        raise DataError(what, where=str(folder), hint="another --out")


def _stem(name: ClipName, taken: set[str]) -> str:
    """A file name that all systems take, and no other clip has in any case of letters."""
    plain = "_".join(filter(None, (re.sub(r"[^\w.-]+", "_", part).strip("._") for part in name)))
    plain = plain[:LONGEST_STEM] or "clip"
    stem, number = plain, 1
    while stem.casefold() in taken:
        number += 1
        stem = f"{plain}-{number}"
    return stem


def _write_clip(folder: Path, stem: str, clip: PosedClip) -> dict[str, object]:
    """Write a clip's three files; returns what the index says of it."""
    bvh, files = _bvh(clip), {kind: f"{stem}.{kind}" for kind in ("npz", "json", "bvh")}
    poses, times = clip.poses.numpy(), np.arange(len(clip.poses)) / clip.fps
    facts: dict[str, Any] = {**clip.name._asdict(), "fps": clip.fps, "skeleton": clip.skeleton.id}
    facts |= {"unit": "m", "frame": "camera", "licence": clip.licence}
    facts |= {"joints": clip.skeleton.joints, "parents": clip.skeleton.parent_indices}
    arrays = {"time_s": times, "poses": poses, "seen": clip.seen.numpy()}
    write_npz(folder / files["npz"], {**{key: np.array(value) for key, value in facts.items()}, **arrays})
    rounded = {"time_s": times.round(DIGITS), "poses": poses.astype(np.float64).round(DIGITS), "seen": arrays["seen"]}
    plain = {**facts, **{key: value.tolist() for key, value in rounded.items()}}
    write_text(folder / files["json"], json.dumps(plain, allow_nan=False) + "\n")
    write_bvh(folder / files["bvh"], bvh)
    unseen = int(torch.count_nonzero(~clip.seen))
    return {**clip.name._asdict(), "fps": clip.fps, "frames": len(poses), "unseen_joints": unseen, "files": files}


def _bvh(clip: PosedClip) -> Bvh:
    try:
        return bvh_of_poses(clip.poses, clip.skeleton, clip.fps)
    except DataError as error:
        where = ", ".join(filter(None, ("/".join(clip.name), error.where)))
        raise DataError(error.what, where=where, found=error.found, expected=error.expected) from error
