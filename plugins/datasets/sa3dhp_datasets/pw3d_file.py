"""A sequence of 3DPW as its pickle tells it: cameras, and for each person joints, detections and what is valid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.errors import DataError, nearest
from sa3dhp_datasets.expected_arrays import array_of, need_equal, whole_numbers
from sa3dhp_datasets.lens import Array, Lens
from sa3dhp_datasets.pickle_file import read_pickle

GENDERS = {"m": "male", "f": "female"}
SHAPE = 10
"""Components of shape that count, as in published figures."""

_TURNED = 1e-3
"""How far the rows of a camera's rotation may be from unit length and right angles."""


@attrs.frozen(eq=False)
class Body:
    """A person's SMPL parameters.

    Attributes:
        gender: ``male`` or ``female``.
        betas: ``(10,)`` of shape.
        turns: ``(T, 24, 3)`` axis times angle, radians.
        places: ``(T, 3)`` metres.
    """

    gender: str
    betas: Array
    turns: Array
    places: Array


@attrs.frozen(eq=False)
class Actor:
    """A person of a sequence of T pictures.

    Attributes:
        joints: ``(T, 24, 3)`` metres, world, y up; NaN where unknown.
        detected: ``(T, 18, 2)`` pixels, OpenPose's order; NaN where not found.
        valid: ``(T,)`` whether the picture's camera was aligned to the person.
        body: where it was asked for.
    """

    joints: Array
    detected: Array
    valid: NDArray[np.bool_]
    body: Body | None = None


@attrs.frozen(eq=False)
class Sequence3dpw:
    """What a file tells.

    Attributes:
        name: of the sequence, and of its folder of pictures.
        lens: of its camera.
        turns: ``(T, 3, 3)`` from the world into the camera, one a picture.
        places: ``(T, 3)`` metres, the world's origin in the camera.
        actors: one or two.
    """

    name: str
    lens: Lens
    turns: Array
    places: Array
    actors: tuple[Actor, ...]


def read_sequence(path: Path, *, bodies: bool = False) -> Sequence3dpw:
    """A file of ``sequenceFiles``.

    Args:
        path: of the file.
        bodies: whether to read SMPL's parameters too.

    Raises:
        DataError: it cannot be read, lacks a key, holds arrays of wrong shapes or lengths, a camera that is none, or a
            joint that is not finite in a picture that it calls valid.
    """
    where, content = str(path), read_pickle(path)
    if not isinstance(content, dict):
        expected = "a dict, as 3DPW's sequenceFiles hold"
        raise DataError("not a sequence of 3DPW", where=where, found=type(content).__name__, expected=expected)
    cameras = _numbers(content, "cam_poses", (None, 4, 4), where)
    people = {key: _people(content, key, where) for key in ("jointPositions", "poses2d", "campose_valid")}
    need_equal({f"people in {key}": len(value) for key, value in people.items()}, where)
    each = enumerate(zip(*people.values(), strict=True))
    actors = tuple(
        _actor(joints, points, valid, len(cameras), f"{where}: {{}}[{number}]")
        for number, (joints, points, valid) in each
    )
    if bodies:
        found = _bodies(content, len(actors), len(cameras), where)
        actors = tuple(attrs.evolve(actor, body=body) for actor, body in zip(actors, found, strict=True))
    used = np.flatnonzero(np.any([actor.valid for actor in actors], axis=0))
    _need_rotations(cameras[used, :3, :3], used, f"{where}: cam_poses")
    return Sequence3dpw(path.stem, _lens(content, where), cameras[:, :3, :3], cameras[:, :3, 3], actors)


def _value(content: Mapping[Any, Any], key: str, where: str) -> Any:
    if key not in content:
        names = sorted(str(name) for name in content)
        found = ", ".join(names)[:200] or "an empty dict"
        raise DataError(f"the key {key!r} is missing", where=where, found=found, hint=nearest(key, names))
    return content[key]


def _numbers(content: Mapping[Any, Any], key: str, shape: tuple[int | None, ...], where: str) -> Array:
    return array_of(_value(content, key, where), shape, f"{where}: {key}", key, gaps=True)


def _people(content: Mapping[Any, Any], key: str, where: str) -> list[Any]:
    value = _value(content, key, where)
    if isinstance(value, np.ndarray) and value.ndim:
        value = list(value)
    if not isinstance(value, list | tuple) or not value:
        expected = "a list with an array for each person"
        raise DataError("nobody is in it", where=f"{where}: {key}", found=type(value).__name__, expected=expected)
    return list(value)


def _actor(joints: Any, points: Any, valid: Any, count: int, where: str) -> Actor:
    """One person of `count` pictures; `where` has a place for the key."""
    solid = array_of(joints, (count, 72), where.format("jointPositions"), "24 joints in metres", gaps=True)
    flat = array_of(points, (count, 3, 18), where.format("poses2d"), "x, y, confidence of 18 joints", gaps=True)
    if isinstance(valid, np.ndarray) and valid.dtype.kind == "b":
        valid = valid.astype(np.uint8)
    used = whole_numbers(valid, (count,), where.format("campose_valid"), "whether a camera is valid, 0 or 1") != 0
    wrong = np.flatnonzero(used & np.isnan(solid).any(axis=1))
    if len(wrong):
        where = f"{where.format('jointPositions')}[{wrong[0]}]"
        raise DataError("a joint that is not finite in a valid picture", where=where, expected="metres")
    seen = np.where(flat[:, 2:] > 0, flat[:, :2], np.nan).swapaxes(1, 2)
    return Actor(solid.reshape(count, 24, 3), np.where(np.isnan(seen).any(-1, keepdims=True), np.nan, seen), used)


def _bodies(content: Mapping[Any, Any], people: int, count: int, where: str) -> list[Body]:
    keys = ("genders", "betas", "poses", "trans")
    given = {key: _people(content, key, where) for key in keys}
    need_equal({"people": people, **{f"people in {key}": len(value) for key, value in given.items()}}, where)
    found = []
    for number, (gender, betas, turns, places) in enumerate(zip(*given.values(), strict=True)):
        if gender not in GENDERS:
            expected = ", ".join(GENDERS)
            raise DataError("an unknown gender", where=f"{where}: genders[{number}]", found=gender, expected=expected)
        named = {key: f"{where}: {key}[{number}]" for key in keys}
        shape = array_of(betas, (None,), named["betas"], "10 components of shape or more")[:SHAPE]
        angles = array_of(turns, (count, 72), named["poses"], "axis times angle of 24 joints")
        moved = array_of(places, (count, 3), named["trans"], "metres")
        found.append(Body(GENDERS[gender], shape, angles.reshape(count, 24, 3), moved))
    return found


def _need_rotations(turns: Array, numbers: NDArray[np.int64], where: str) -> None:
    with np.errstate(all="ignore"):
        off = np.abs(turns @ turns.swapaxes(1, 2) - np.eye(3)).max(axis=(1, 2))
        wrong = np.flatnonzero(~(off < _TURNED) | ~(np.linalg.det(turns) > 0))
    if len(wrong):
        found = turns[wrong[0]].round(3).tolist()
        where = f"{where}[{numbers[wrong[0]]}]"
        raise DataError("the camera of a valid picture is not turned by a rotation", where=where, found=found)


def _lens(content: Mapping[Any, Any], where: str) -> Lens:
    matrix = array_of(_value(content, "cam_intrinsics", where), (3, 3), f"{where}: cam_intrinsics", "pixels")
    (fx, skew, x), (_, fy, y), _ = matrix
    plain = np.allclose(matrix[[1, 2, 2, 2], [0, 0, 1, 2]], [0, 0, 0, 1]) and abs(skew) < _TURNED * fx
    if not (plain and fy > 0):
        expected = "[[fx, 0, x], [0, fy, y], [0, 0, 1]]"
        raise DataError("not a camera", where=f"{where}: cam_intrinsics", found=matrix.tolist(), expected=expected)
    return Lens(np.array([fx, fy]), np.array([x, y]))
