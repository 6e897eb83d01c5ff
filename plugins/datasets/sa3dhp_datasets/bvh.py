"""Motion capture in BVH files as pose data: reads, maps, converts. The format is `bvh_file`'s, the rigs `rigs`'."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from sa3dhp_core.bvh import Bvh
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.bvh_file import read_bvh
from sa3dhp_datasets.config import BvhConfig
from sa3dhp_datasets.inputs import input_files
from sa3dhp_datasets.joint_names import table
from sa3dhp_datasets.motion import Clip, MotionData, check_fps, check_positions
from sa3dhp_datasets.rigs import find_sources, guess_unit_m, house_positions, kinematics


@attrs.frozen
class Converted:
    """A clip, and what was decided on the way: the rig and the metres in one unit of the file."""

    clip: Clip
    rig: str
    unit_m: float


def frame_rate(frame_time_s: float) -> float:
    """Frames per second; a whole number where the rounded frame time means one (0.0333333 is 30)."""
    fps = 1.0 / frame_time_s
    return float(round(fps)) if abs(fps - round(fps)) < 5e-4 * fps else fps


def convert(bvh: Bvh, name: str, config: BvhConfig, where: str) -> Converted:
    """A parsed file as a clip of the house skeleton.

    Raises:
        DataError: joints that cannot be mapped, a unit that cannot be guessed, positions that overflow, no frame left.
    """
    names = [joint.name for joint in bvh.joints]
    rig, sources = find_sources(names, config.rig, config.joints, table("rigs.toml"), where)
    if config.skip_frames >= len(bvh.values):
        raise DataError("no frame is left", where=where, found=f"{len(bvh.values)} frames", hint="a lower skip_frames")
    kept = attrs.evolve(bvh, values=bvh.values[config.skip_frames :: config.stride])
    fps = check_fps(frame_rate(bvh.frame_time_s) / config.stride, f"{where}: Frame Time")
    with np.errstate(over="ignore", invalid="ignore"):
        positions, rotations = kinematics(kept)
        unit = config.unit_m or guess_unit_m(positions, sources, where)
        clip = Clip(name, fps, house_positions(positions, rotations, sources, unit, config.up), where)
    check_positions(clip)
    return Converted(clip, rig, unit)


def bvh_motion(config: BvhConfig) -> MotionData:
    """`PoseData` over BVH files; ``prepared.json`` tells each file's rig and unit."""

    def read() -> tuple[Iterator[Clip], dict[str, object]]:
        files = input_files((config.path, *config.paths), ".bvh")
        decided: dict[str, dict[str, object]] = {}

        def clips() -> Iterator[Clip]:
            for path in files:
                converted = convert(read_bvh(path), path.stem, config, str(path))
                decided[str(path)] = {"rig": converted.rig, "unit_m": converted.unit_m}
                yield converted.clip

        return clips(), {"files": decided, "unit_guessed": config.unit_m is None}

    return MotionData(config, read)
