"""Joint names of files and of the house skeleton: the tables in this folder, and how a file's names are compared."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError, RecipeError, nearest


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
