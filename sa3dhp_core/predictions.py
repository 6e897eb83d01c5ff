"""A folder of predicted poses: npz, JSON and BVH of each clip, the film drawn upon, an index. Predicts nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray

from sa3dhp_core.atomic import write_atomic, write_json, write_npz, write_text
from sa3dhp_core.bvh import Bvh, write_bvh
from sa3dhp_core.bvh_of_poses import bvh_of_poses
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import one_euro
from sa3dhp_core.overlay import painter
from sa3dhp_core.poses_page import poses_page
from sa3dhp_core.protocols.prediction import PosedClip
from sa3dhp_core.types import ClipName

INDEX = "index.json"
OVERLAY = "overlay.mp4"
PAGE = "index.html"
DIGITS = 6
"""Decimals of metres and seconds in JSON."""

PART = 1000
"""Frames that are turned into text at once."""

LONGEST_STEM = 50


def write_predictions(
    folder: Path, clips: Iterable[PosedClip], made_by: Mapping[str, object], pictures: bool = True
) -> dict[str, Any]:
    """Write each clip as it comes, then the index, which is there once all is written.

    Args:
        folder: where to; it must not exist, or be empty.
        clips: of any number; those of one film, if any, are held together, others one at a time.
        made_by: plain data for the index: of which run and input.
        pictures: for clips of a film, write it with skeletons drawn upon, and a page that shows it.

    Returns:
        The content of ``index.json``.

    Raises:
        DataError: the folder holds something, there is no clip, or a pose that is none.
    """
    need_empty(folder)
    listed: list[dict[str, object]] = []
    stems, filmed = {Path(INDEX).stem, Path(OVERLAY).stem}, list[PosedClip]()
    for clip in clips:
        stem = _stem(clip.name, stems)
        stems.add(stem.casefold())
        filmed += [clip] if clip.filmed else []
        listed.append(_write_clip(folder, stem, clip))
    if not listed:
        raise DataError("there is no clip to predict poses of", found=dict(made_by))
    notes = filmed[0].filmed.film.notes if filmed and filmed[0].filmed else ()
    index = {**made_by, "unit": "m", "frame": "camera", "notes": list(notes), "clips": listed}
    if filmed and pictures:
        index |= _write_pictures(folder, filmed, notes)
    write_json(folder / INDEX, index)
    return index


def _write_pictures(folder: Path, clips: Sequence[PosedClip], notes: Sequence[str]) -> dict[str, str]:
    """The film with skeletons drawn upon, and a page that shows it; returns what the index says of them."""
    assert clips[0].filmed is not None
    clips[0].filmed.film.redraw(folder / OVERLAY, painter(clips))
    write_text(folder / PAGE, poses_page(clips, OVERLAY, f"Poses of {clips[0].name.clip}", notes))
    return {"overlay": OVERLAY, "page": PAGE}


def smoothed(clip: PosedClip, cutoff_hz: float) -> PosedClip:
    """The clip with poses, and places in a film, smoothed over time; see `sa3dhp_core.geometry.one_euro`.

    Raises:
        DataError: the cutoff is not above 0.
    """
    filmed = clip.filmed
    if filmed is not None:
        roots = one_euro(filmed.roots[:, None], clip.fps, cutoff_hz).squeeze(1)
        filmed = attrs.evolve(filmed, roots=roots)
    return attrs.evolve(clip, poses=one_euro(clip.poses, clip.fps, cutoff_hz), filmed=filmed)


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
    facts, arrays = _facts(clip), _arrays(clip)
    write_npz(folder / files["npz"], {**{key: np.array(value) for key, value in facts.items()}, **arrays})
    write_atomic(folder / files["json"], partial(_write_json, facts=facts, arrays=arrays))
    write_bvh(folder / files["bvh"], bvh)
    told: dict[str, object] = {**clip.name._asdict(), "fps": clip.fps, "frames": len(clip.poses)}
    told |= {"start_s": round(clip.start_s, DIGITS)} if clip.filmed else {}
    told |= {"model": clip.model} if clip.model else {}
    return {**told, "unseen_joints": int(torch.count_nonzero(~clip.seen)), "files": files}


def _facts(clip: PosedClip) -> dict[str, Any]:
    """What the clip is, as plain data."""
    facts: dict[str, Any] = {**clip.name._asdict(), "fps": clip.fps, "skeleton": clip.skeleton.id}
    facts |= {"unit": "m", "frame": "camera", "licence": clip.licence}
    facts |= {"joints": clip.skeleton.joints, "parents": clip.skeleton.parent_indices}
    if clip.filmed is not None:
        facts["intrinsics"] = clip.filmed.film.intrinsics.tolist()
    return facts


def _arrays(clip: PosedClip) -> dict[str, NDArray[Any]]:
    """What the clip has of each frame."""
    times = clip.start_s + np.arange(len(clip.poses)) / clip.fps
    arrays = {"time_s": times, "poses": clip.poses.numpy(), "seen": clip.seen.numpy()}
    if clip.filmed is not None:
        arrays |= {"frame_number": clip.filmed.frames.numpy(), "root_m": clip.filmed.roots.numpy()}
    return arrays


def _write_json(path: Path, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """One object; arrays are written a part at a time, because lists take far more memory."""
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(dict(facts), allow_nan=False)[:-1])
        for name, array in arrays.items():
            file.write(f", {json.dumps(name)}: [")
            for begin in range(0, len(array), PART):
                part = array[begin : begin + PART]
                plain = part.astype(np.float64).round(DIGITS).tolist() if part.dtype.kind == "f" else part.tolist()
                file.write((", " if begin else "") + json.dumps(plain, allow_nan=False)[1:-1])
            file.write("]")
        file.write("}\n")


def _bvh(clip: PosedClip) -> Bvh:
    try:
        return bvh_of_poses(clip.poses, clip.skeleton, clip.fps)
    except DataError as error:
        where = ", ".join(filter(None, ("/".join(clip.name), error.where)))
        raise DataError(error.what, where=where, found=error.found, expected=error.expected) from error
