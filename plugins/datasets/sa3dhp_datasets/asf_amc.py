"""CMU motion capture: skeletons (ASF) and motion (AMC) of subjects as pose data. The formats are `asf_file`'s and
`amc_file`'s, the joints `asf_joints.toml`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.errors import DataError, nearest
from sa3dhp_datasets.amc_file import read_amc
from sa3dhp_datasets.asf_file import Asf, read_asf
from sa3dhp_datasets.config import AsfAmcConfig
from sa3dhp_datasets.joint_names import table
from sa3dhp_datasets.layouts import data_folder, files_under, nothing_found
from sa3dhp_datasets.motion import Clip, MotionData, check_fps, check_positions, rate_of
from sa3dhp_datasets.rigs import Source, find_sources, house_positions, need_size, rotation

Array = NDArray[np.float64]
LAYOUT = "{subject}/{subject}.asf and {subject}/{subject}_{trial}.amc, at any depth"


def asf_kinematics(asf: Asf, values: Array) -> tuple[Array, Array]:
    """Where bones end, ``(T, bones, 3)`` in the file's units and axes, and how they are turned, ``(T, bones, 3, 3)``.

    A bone turns by C R C^-1 in its parent's frame: R about x, y and z in the order of its axes, C its axes at rest.

    Args:
        asf: the skeleton.
        values: ``(T, all channels)``, angles in degrees; see `amc_file.read_amc`.
    """
    frames, column = len(values), 0
    ends, turns = np.empty((frames, len(asf.bones), 3)), np.empty((frames, len(asf.bones), 3, 3))
    for index, bone in enumerate(asf.bones):
        channels = dict(zip(bone.channels, values[:, column : column + len(bone.channels)].T, strict=True))
        column += len(bone.channels)
        at_rest = _turned(bone.order, dict(zip(("rx", "ry", "rz"), np.array(bone.axes_deg)[:, None], strict=True)), 1)
        own = at_rest @ _turned(bone.order, channels, frames) @ at_rest.swapaxes(-1, -2)
        if bone.parent < 0:
            moved = np.stack([channels[channel] for channel in ("tx", "ty", "tz")], axis=-1)
            ends[:, index], turns[:, index] = np.array(bone.offset) + moved, own
        else:
            turns[:, index] = turns[:, bone.parent] @ own
            ends[:, index] = ends[:, bone.parent] + turns[:, index] @ np.array(bone.offset)
    return ends, turns


def _turned(order: str, channels: Mapping[str, Array], frames: int) -> Array:
    """``(frames, 3, 3)``: turns about the fixed axes, the first of `order` first."""
    turn = np.tile(np.eye(3), (frames, 1, 1))
    for axis in order.lower():
        if f"r{axis}" in channels:
            turn = rotation(axis, channels[f"r{axis}"]) @ turn
    return turn


def asf_sources(asf: Asf, config: AsfAmcConfig, where: str) -> Mapping[str, Source]:
    """Where each house joint comes from; raises `DataError` where a joint cannot be mapped."""
    names = ["root", *(f"{bone.name}.end" for bone in asf.bones[1:])]
    return find_sources(names, "", config.joints, table("asf_joints.toml"), where)[1]


def convert(asf: Asf, values: Array, name: str, config: AsfAmcConfig, where: str) -> Clip:
    """A trial as a clip of the house skeleton.

    Raises:
        DataError: joints that cannot be mapped, a body of no person's size, positions that overflow, no frame left.
    """
    sources = asf_sources(asf, config, where)
    fps = check_fps(rate_of(name, config.file_fps, config.rates) / config.stride, f"{where}: file_fps")
    unit_m = config.unit_m or asf.unit_m
    with np.errstate(over="ignore", invalid="ignore"):
        ends, turns = asf_kinematics(asf, values[:: config.stride])
        clip = Clip(name, fps, house_positions(ends, turns, sources, unit_m, "y"), where)
    check_positions(clip)
    if config.unit_m is None:
        need_size(ends, sources, unit_m, where, "unit_m")
    return clip


def skeletons(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Each AMC file below a folder and the ASF file beside it: of the same subject, or the only one.

    Raises:
        DataError: no AMC file, or no ASF file for one.
    """
    trials = files_under(folder, ".amc")
    if not trials:
        raise nothing_found(folder, LAYOUT)
    beside: dict[Path, dict[str, Path]] = {path.parent: {} for path in trials}
    for path in files_under(folder, ".asf"):
        beside.setdefault(path.parent, {})[path.stem] = path
    for path in trials:
        found = beside[path.parent]
        subject = path.stem.rpartition("_")[0] or path.stem
        if subject not in found and len(found) != 1:
            raise DataError(
                "a trial without its skeleton",
                where=str(path),
                found=f"{len(found)} ASF files beside it: {', '.join(sorted(found)[:8]) or 'none'}",
                expected=f"{subject}.asf",
                hint=nearest(subject, found) or "copy the subject's ASF file into its folder",
            )
        yield path, found.get(subject) or next(iter(found.values()))


def asf_amc_motion(config: AsfAmcConfig) -> MotionData:
    """`PoseData` over subjects' folders; ``prepared.json`` tells each trial's skeleton, unit and rate."""

    def read() -> tuple[Iterator[Clip], dict[str, object]]:
        pairs = list(skeletons(data_folder(config.path, LAYOUT)))
        decided: dict[str, dict[str, object]] = {}

        def clips() -> Iterator[Clip]:
            for amc, asf in pairs:
                body = read_asf(asf)
                clip = convert(body, read_amc(amc, body), amc.stem, config, str(amc))
                unit_m = config.unit_m or body.unit_m
                decided[clip.name] = {"asf": str(asf), "unit_m": unit_m, "fps": clip.fps * config.stride}
                yield clip

        return clips(), {"trials": decided}

    return MotionData(config, read)
