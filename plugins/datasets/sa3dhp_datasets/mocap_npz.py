"""Motion capture in npz files: `positions`, `clip_start`, `clip_names`, `fps`, `joints`. Never unpickles anything."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.errors import DataError, nearest
from sa3dhp_datasets.config import MocapNpzConfig
from sa3dhp_datasets.inputs import input_files
from sa3dhp_datasets.joint_names import columns
from sa3dhp_datasets.motion import Clip, MotionData, check_fps


def read_arrays(path: Path, keys: tuple[str, ...]) -> dict[str, NDArray[np.generic]]:
    """The named arrays of an npz file.

    Raises:
        DataError: the file is none, is damaged, lacks a key, or holds Python objects.
    """
    where = str(path)
    if not zipfile.is_zipfile(path):
        start = path.read_bytes()[:6] if path.is_file() else b"no such file"
        raise DataError("not an npz file", where=where, found=repr(start), expected="a whole zip archive of arrays")
    try:
        with np.load(path, allow_pickle=False) as file:
            for key in keys:
                if key not in file.files:
                    raise DataError(
                        f"the array {key!r} is missing",
                        where=where,
                        found=", ".join(file.files) or "an empty archive",
                        expected=", ".join(keys),
                        hint=nearest(key, file.files),
                    )
            return {key: file[key] for key in keys}
    except DataError:
        raise
    except Exception as error:  # ValueError, zlib, EOF, struct, memory: all that a damaged archive can cause
        if "allow_pickle" in str(error):
            found = "Python objects (pickled), which could run code"
            raise DataError("an array of objects is refused", where=where, found=found, expected="numbers") from error
        raise DataError(f"a damaged npz file: {error}", where=where, hint="copy the file again") from error


def array_names(path: Path) -> tuple[str, ...]:
    """Names of the arrays in an npz file that `read_arrays` can open."""
    with zipfile.ZipFile(path) as archive:
        return tuple(name.removesuffix(".npy") for name in archive.namelist())


def read_clips(path: Path, joints: Mapping[str, str], stride: int = 1) -> Iterator[Clip]:
    """Every clip of a file, in house joint order.

    Raises:
        DataError: see `read_arrays`; also arrays of wrong shape or type, starts that do not rise, unknown joints.
    """
    arrays = read_arrays(path, ("positions", "clip_start", "clip_names", "fps", "joints"))
    positions, starts, fps = arrays["positions"], arrays["clip_start"], arrays["fps"]
    names, joint_names = arrays["clip_names"], arrays["joints"]
    expected = {
        "positions": (
            positions.ndim == 3 and positions.shape[-1] == 3 and positions.dtype.kind == "f",
            "(N, J, 3) float",
        ),
        "joints": (joint_names.dtype.kind == "U" and joint_names.shape == positions.shape[1:2], "(J,) text"),
        "clip_start": (starts.ndim == 1 and len(starts) > 1 and starts.dtype.kind in "iu", "(clips + 1,) integers"),
        "clip_names": (
            names.dtype.kind == "U" and names.shape == (max(len(np.atleast_1d(starts)) - 1, 0),),
            "(clips,) text",
        ),
        "fps": (fps.size == 1 and fps.dtype.kind in "iuf", "one number"),
    }
    for key, (fits, wanted) in expected.items():
        if not fits:
            found = f"{arrays[key].shape} {arrays[key].dtype}"
            raise DataError(
                f"the array {key!r} has a wrong shape or type", where=str(path), found=found, expected=wanted
            )
    bounds = starts.astype(np.int64)
    if bounds[0] != 0 or bounds[-1] != len(positions) or bool((np.diff(bounds) <= 0).any()):
        raise DataError(
            "clip_start does not rise from 0 to the number of frames",
            where=str(path),
            found=f"{bounds[0]} … {bounds[-1]}, smallest step {np.diff(bounds).min()}",
            expected=f"0 … {len(positions)}",
        )
    order = columns([str(name) for name in joint_names], joints, str(path))
    rate = check_fps(float(fps.ravel()[0]), f"{path}: fps")
    for name, start, end in zip(names, bounds[:-1], bounds[1:], strict=True):
        clip = positions[start:end:stride][:, order].astype(np.float64)
        yield Clip(str(name), rate / stride, clip, str(path))


def npz_motion(config: MocapNpzConfig) -> MotionData:
    """`PoseData` over npz files of motion capture."""

    def read() -> tuple[Iterator[Clip], dict[str, object]]:
        files = input_files((config.path, *config.paths), ".npz")
        clips = (clip for path in files for clip in read_clips(path, config.joints, config.stride))
        return clips, {"files": [str(path) for path in files]}

    return MotionData(config, read)
