"""From a BVH hierarchy to the house skeleton: forward kinematics, rigs by joint names, units. Reads no motion file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.bvh import Bvh
from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError, RecipeError, nearest
from sa3dhp_datasets.joint_names import house_joint_check, plain

UNITS_M: dict[str, float] = {
    "metre": 1.0,
    "CMU unit (1/0.45 inch)": 0.0254 / 0.45,
    "inch": 0.0254,
    "centimetre": 0.01,
    "millimetre": 0.001,
}
LEG_M = 0.83
"""Hip to ankle along the leg of an adult, the middle of what is believed."""
_LEG_RANGE_M = (0.55, 1.20)


@attrs.frozen
class Source:
    """Where a house joint comes from; see the head of rigs.toml."""

    of: tuple[int, ...]
    local_offset_m: tuple[float, float, float] | None = None
    beyond: int | None = None
    distance_m: float = 0.0


def rotation(axis: str, degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right-handed rotations ``(T, 3, 3)`` about an axis ('x', 'y' or 'z'), for column vectors."""
    radians = np.deg2rad(degrees)
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    result = np.tile(np.eye(3), (len(degrees), 1, 1))
    result[:, first, first] = result[:, second, second] = np.cos(radians)
    result[:, second, first] = np.sin(radians)
    result[:, first, second] = -result[:, second, first]
    return result


def kinematics(bvh: Bvh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """World positions ``(T, joints, 3)`` in the file's units and axes, and rotations ``(T, joints, 3, 3)``.

    A joint's rotation is the product of its channels' in the order of the file. A position channel replaces that
    component of OFFSET.
    """
    frames = len(bvh.values)
    positions = np.empty((frames, len(bvh.joints), 3))
    rotations = np.empty((frames, len(bvh.joints), 3, 3))
    column = 0
    for index, joint in enumerate(bvh.joints):
        local = np.tile(np.asarray(joint.offset), (frames, 1))
        turn = np.tile(np.eye(3), (frames, 1, 1))
        for channel in joint.channels:
            values = bvh.values[:, column]
            column += 1
            if channel.endswith("position"):
                local[:, "XYZ".index(channel[0])] = values
            else:
                turn = turn @ rotation(channel[0].lower(), values)
        if joint.parent < 0:
            positions[:, index], rotations[:, index] = local, turn
        else:
            parent = rotations[:, joint.parent]
            positions[:, index] = positions[:, joint.parent] + (parent @ local[..., None])[..., 0]
            rotations[:, index] = parent @ turn
    return positions, rotations


def find_sources(
    names: Sequence[str], rig: str, given: Mapping[str, Sequence[str]], rigs: Mapping[str, Any], where: str
) -> tuple[str, dict[str, Source]]:
    """The rig that fits a file's joints, and where each house joint comes from.

    Args:
        names: the file's joints.
        rig: id in `rigs`, or empty for the first that fits.
        given: house joint to the file's joints whose mean it is, before the rig's.
        rigs: a table such as rigs.toml.
        where: for errors.

    Raises:
        RecipeError: no such rig or house joint.
        DataError: a joint cannot be mapped, listed for the rig that comes closest, or its name is ambiguous.
    """
    house_joint_check(given)
    if rig and rig not in rigs:
        raise RecipeError(f"no rig {rig!r}", where="rig", hint=nearest(rig, rigs))
    places: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        places.setdefault(plain(name), []).append(index)
    failures: list[tuple[list[str], str]] = []
    for candidate in [rig] if rig else list(rigs):
        wanted = dict(rigs[candidate]["joints"]) | {joint: {"of": list(of)} for joint, of in given.items()}
        lacking = [j for j in skeleton().joints if any(plain(n) not in places for n in _names(wanted[j]))]
        if not lacking:
            return candidate, {j: _source(wanted[j], places, where) for j in skeleton().joints}
        failures.append((lacking, candidate))
    lacking, candidate = min(failures, key=lambda failure: len(failure[0]))
    missing = [n for j in lacking for n in _names(rigs[candidate]["joints"][j]) if plain(n) not in places]
    first = (missing or list(given.get(lacking[0], ("?",))))[0]
    raise DataError(
        f"joints that cannot be mapped: {', '.join(lacking)}",
        where=where,
        found=f"joints: {', '.join(names)[:600]}",
        expected=f"for the closest rig, {candidate!r}: {', '.join(dict.fromkeys(missing)) or first}",
        hint=f'joints.{lacking[0]} = ["NAME"] names it; for {first!r}: {nearest(first, names)}',
    )


def _names(entry: Mapping[str, Any]) -> list[str]:
    return [*entry["of"], *([entry["beyond"]] if "beyond" in entry else [])]


def _source(entry: Mapping[str, Any], places: Mapping[str, list[int]], where: str) -> Source:
    for name in _names(entry):
        if len(places[plain(name)]) > 1:
            raise DataError(f"several joints are named {name!r}", where=where, expected="one", hint="rename the others")
    offset = entry.get("local_offset_m")
    return Source(
        of=tuple(places[plain(name)][0] for name in entry["of"]),
        local_offset_m=None if offset is None else (float(offset[0]), float(offset[1]), float(offset[2])),
        beyond=places[plain(entry["beyond"])][0] if "beyond" in entry else None,
        distance_m=float(entry.get("distance_m", 0.0)),
    )


def leg_length(positions: NDArray[np.float64], sources: Mapping[str, Source]) -> float:
    """From hip over knee to ankle, mean of both legs in the first frame, in the positions' unit."""
    leg = 0.0
    for side in ("left", "right"):
        chain = [positions[0, list(sources[f"{side}_{part}"].of)].mean(0) for part in ("hip", "knee", "ankle")]
        leg += 0.5 * float(np.linalg.norm(chain[1] - chain[0]) + np.linalg.norm(chain[2] - chain[1]))
    return leg


def _usual_unit(leg: float) -> str | None:
    """The usual unit that makes legs most like a person's, if any."""
    fitting = {name: leg * m for name, m in UNITS_M.items() if _LEG_RANGE_M[0] <= leg * m <= _LEG_RANGE_M[1]}
    return min(fitting, key=lambda name: abs(np.log(fitting[name] / LEG_M))) if fitting else None


def guess_unit_m(positions: NDArray[np.float64], sources: Mapping[str, Source], where: str) -> float:
    """Metres in a unit of the file: the usual unit that makes the legs (hip, knee, ankle) most like a person's.

    Raises:
        DataError: no usual unit makes them 0.55 to 1.20 m long.
    """
    leg = leg_length(positions, sources)
    unit = _usual_unit(leg)
    if unit is None:
        raise DataError(
            "the unit of length cannot be guessed",
            where=where,
            found=f"legs of {leg:g} units",
            expected=f"{_LEG_RANGE_M[0]} to {_LEG_RANGE_M[1]} m in one of: {', '.join(UNITS_M)}",
            hint="unit_m = METRES_IN_ONE_UNIT",
        )
    return UNITS_M[unit]


def need_size(
    positions: NDArray[np.float64], sources: Mapping[str, Source], unit_m: float, where: str, key: str | None = None
) -> None:
    """Raise `DataError`, naming the unit that it looks like, where legs are not 0.55 to 1.20 m long.

    Args:
        positions: ``(T, joints, 3)`` in units of `unit_m`.
        sources: where the house joints come from.
        unit_m: metres in a unit.
        where: for errors.
        key: of the recipe that sets the unit, if any.
    """
    leg = leg_length(positions, sources)
    if not _LEG_RANGE_M[0] <= leg * unit_m <= _LEG_RANGE_M[1]:
        unit = _usual_unit(leg)
        change = f"{key} = {UNITS_M[unit]:.6g}" if key and unit else f"give {key or 'metres'}"
        raise DataError(
            "the body has no person's size",
            where=where,
            found=f"legs of {leg * unit_m:.4g} m, {leg:.4g} units of {unit_m:.6g} m",
            expected=f"{_LEG_RANGE_M[0]} to {_LEG_RANGE_M[1]} m",
            hint=f"a unit looks like a {unit}: {change}" if unit else change,
        )


def house_positions(
    positions: NDArray[np.float64],
    rotations: NDArray[np.float64],
    sources: Mapping[str, Source],
    unit_m: float,
    up: str,
) -> NDArray[np.float64]:
    """The house skeleton ``(T, 17, 3)``, metres, z up, from the file's joints in its own units and axes."""
    result = np.empty((len(positions), len(skeleton()), 3))
    for index, joint in enumerate(skeleton().joints):
        source = sources[joint]
        point = positions[:, list(source.of)].mean(1) * unit_m
        if source.local_offset_m is not None:
            point = point + rotations[:, source.of[0]] @ np.asarray(source.local_offset_m)
        if source.beyond is not None:
            line = point - positions[:, source.beyond] * unit_m
            point = point + source.distance_m * line / np.maximum(np.linalg.norm(line, axis=-1, keepdims=True), 1e-9)
        result[:, index] = point
    return np.stack([result[..., 0], -result[..., 2], result[..., 1]], -1) if up == "y" else result
