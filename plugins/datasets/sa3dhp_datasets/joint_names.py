"""Joint names of files and of the house skeleton: the tables in this folder, and how a file's names are compared."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError, RecipeError, nearest
from sa3dhp_core.types import Skeleton

Array = NDArray[np.float64]
Means = tuple[tuple[int, ...], ...]
"""For each joint of the skeleton the columns whose mean it is."""


@cache
def table(name: str) -> dict[str, Any]:
    """A TOML table of this package."""
    return tomllib.loads(resources.files("sa3dhp_datasets").joinpath(name).read_text(encoding="utf-8"))


def plain(name: str) -> str:
    """A joint's name as it is compared: without name space (``mixamorig:``), case, spaces and separators."""
    return re.sub(r"[\s_\-/]", "", name.rsplit(":", 1)[-1]).lower()


def house_joint_check(joints: Mapping[str, object]) -> None:
    """Raise `RecipeError` where a mapping's key is not a joint of the house skeleton."""
    for joint in joints:
        if joint not in skeleton().joints:
            raise RecipeError(
                f"no joint {joint!r} in {skeleton().id}", where="joints", hint=nearest(joint, skeleton().joints)
            )


def columns(names: Sequence[str], given: Mapping[str, str], where: str) -> list[int]:
    """For each joint of the house skeleton the position of the file's joint that it is.

    Raises:
        DataError: joints that the file lacks, listed with the file's unused names.
    """
    house_joint_check(given)
    known = {plain(name): i for i, name in enumerate(names)}
    aliases = table("npz_joints.toml")
    found: dict[str, int] = {}
    for joint in skeleton().joints:
        wanted = [given[joint]] if joint in given else aliases[joint]
        hit = next((known[plain(alias)] for alias in wanted if plain(alias) in known), None)
        if hit is not None:
            found[joint] = hit
    missing = [joint for joint in skeleton().joints if joint not in found]
    if missing:
        unused = [name for i, name in enumerate(names) if i not in found.values()]
        raise DataError(
            f"joints that cannot be mapped: {', '.join(missing)}",
            where=where,
            found=f"names without a use: {', '.join(unused) or 'none'}",
            expected=f"for {missing[0]} one of: {', '.join(aliases[missing[0]])}",
            hint=f'joints.{missing[0]} = "NAME" names it ({nearest(missing[0], names)})',
        )
    return [found[joint] for joint in skeleton().joints]


def means(columns: Sequence[str], body: Skeleton, given: Mapping[str, Sequence[str]], where: str) -> Means:
    """For each joint of the skeleton the columns that make it.

    Raises:
        RecipeError: `given` names no joint of the skeleton.
        DataError: a joint has no column.
    """
    for joint in given:
        if joint not in body.joints:
            raise RecipeError(f"no joint {joint!r} in {body.id}", where="joints", hint=nearest(joint, body.joints))
    found = []
    for joint in body.joints:
        wanted = given.get(joint, (joint,))
        if missing := [name for name in wanted if name not in columns]:
            raise DataError(
                f"the joint {joint!r} has no column {missing[0]!r}",
                where=where,
                found=f"columns {', '.join(filter(None, columns))}",
                hint=f'joints.{joint} = ["NAME"] names it, or the columns whose mean it is',
            )
        found.append(tuple(columns.index(name) for name in wanted))
    return tuple(found)


def taken(values: Array, columns: Means) -> Array:
    """``(T, K, D)`` to the skeleton's joints ``(T, J, D)``, each the mean of its columns; NaN where it has none."""
    unknown = np.full((len(values), values.shape[-1]), np.nan)
    return np.stack([values[:, list(group)].mean(axis=1) if group else unknown for group in columns], axis=1)
