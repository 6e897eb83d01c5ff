"""The forms that a clip of poses is taken home in: npz, JSON and BVH, written a block at a time. Names no file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sa3dhp_core.atomic import write_atomic
from sa3dhp_core.bvh import write_bvh_blocks
from sa3dhp_core.bvh_of_poses import Rig, median_lengths_m
from sa3dhp_core.pose_spool import SpooledClip

DIGITS = 6
"""Decimals of metres and seconds in JSON."""

MEDIAN_OF = 1 << 16
"""Poses that the lengths of a BVH file's bones are the median of; of a longer clip every second, third, …."""

COLUMNS = ("time_s", "poses", "seen", "frame_number", "root_m")


def npz_form(path: Path, clip: SpooledClip) -> None:
    """Facts and arrays as a packed npz file."""
    write_atomic(path, partial(_write_npz, clip=clip))


def json_form(path: Path, clip: SpooledClip) -> None:
    """Facts and arrays as one JSON object."""
    write_atomic(path, partial(_write_json, clip=clip))


def bvh_form(path: Path, clip: SpooledClip) -> None:
    """The motion on constant bones, y up.

    Raises:
        DataError: hips or spine of no length, or an impossible rate.
    """
    body, fps = clip.facts.skeleton, clip.facts.fps
    few = -(-clip.length // MEDIAN_OF)
    rig = Rig(body, median_lengths_m(_poses(clip, few), body))
    write_bvh_blocks(path, rig.joints, 1.0 / fps, clip.length, (rig.values(poses) for poses in _poses(clip)))


FORMS = {"npz": npz_form, "json": json_form, "bvh": bvh_form}
"""What writes a clip to a path, by the ending of its name."""


def facts_of(clip: SpooledClip) -> dict[str, Any]:
    """What the clip is, as plain data."""
    told = clip.facts
    facts: dict[str, Any] = {**told.name._asdict(), "fps": told.fps, "skeleton": told.skeleton.id}
    facts |= {"unit": "m", "frame": "camera", "licence": told.licence}
    facts |= {"joints": told.skeleton.joints, "parents": told.skeleton.parent_indices}
    if told.filmed is not None:
        facts["intrinsics"] = told.filmed.film.intrinsics.tolist()
    return facts


def _columns(clip: SpooledClip) -> tuple[str, ...]:
    return COLUMNS if clip.facts.filmed is not None else COLUMNS[:3]


def _blocks(clip: SpooledClip) -> Iterator[Mapping[str, NDArray[Any]]]:
    """What the clip has of each pose, by column, a block at a time."""
    done = 0
    for rows in clip.blocks():
        times = clip.facts.start_s + np.arange(done, done + len(rows)) / clip.facts.fps
        yield {"time_s": times, **{name: rows[name] for name in rows.dtype.names or ()}}
        done += len(rows)


def _poses(clip: SpooledClip, step: int = 1) -> Iterator[Tensor]:
    return (torch.from_numpy(np.array(rows["poses"])) for rows in clip.blocks(step))


def _write_npz(path: Path, clip: SpooledClip) -> None:
    """Arrays are packed one after another, because each is a file of its own within the file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in facts_of(clip).items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.array(value), allow_pickle=False)
        for name in _columns(clip):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                _write_column(file, clip, name)


def _write_column(file: IO[bytes], clip: SpooledClip, name: str) -> None:
    for number, block in enumerate(_blocks(clip)):
        part = np.ascontiguousarray(block[name])
        if number == 0:
            descr = np.lib.format.dtype_to_descr(part.dtype)
            header = {"descr": descr, "fortran_order": False, "shape": (clip.length, *part.shape[1:])}
            np.lib.format.write_array_header_1_0(file, header)
        file.write(part.tobytes())


def _write_json(path: Path, clip: SpooledClip) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(facts_of(clip), allow_nan=False)[:-1])
        for name in _columns(clip):
            file.write(f", {json.dumps(name)}: [")
            for number, block in enumerate(_blocks(clip)):
                part = block[name]
                plain = part.astype(np.float64).round(DIGITS).tolist() if part.dtype.kind == "f" else part.tolist()
                file.write((", " if number else "") + json.dumps(plain, allow_nan=False)[1:-1])
            file.write("]")
        file.write("}\n")
