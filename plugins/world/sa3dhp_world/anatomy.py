"""Joint angles of the house body: their names, limits and mirror, read from `limits.toml`. Never moves anything."""

from __future__ import annotations

import math
import tomllib
from functools import cache
from importlib.resources import files

import attrs
import torch
from torch import Tensor

CENTRAL = ("lean", "roll", "bend", "side", "twist", "nod", "tilt", "turn")
SIDED = ("clavicle", "arm_flex", "arm_abd", "arm_twist", "elbow", "hip_flex", "hip_abd", "hip_twist", "knee")
ODD = frozenset(("roll", "side", "twist", "tilt", "turn"))
"""Central angles whose sign a mirror turns."""
ANGLES = CENTRAL + tuple(f"{side}_{name}" for side in ("l", "r") for name in SIDED)


@attrs.frozen
class Limits:
    """Limits of all angles in the order of `ANGLES`, radians, each ``(D,)``."""

    low: Tensor
    high: Tensor
    rest: Tensor
    spread: Tensor


def read_data(name: str) -> dict[str, dict[str, object]]:
    """A TOML table of this package."""
    return tomllib.loads(files("sa3dhp_world").joinpath(name).read_text())


@cache
def limits() -> Limits:
    """The anatomical limits of `limits.toml`."""
    table = read_data("limits.toml")
    rows = [table[name.removeprefix("l_").removeprefix("r_")] for name in ANGLES]
    columns = [[*row["range"], row["rest"], row["spread"]] for row in rows]  # type: ignore[misc]
    low, high, rest, spread = (torch.tensor(columns) * (math.pi / 180)).unbind(1)
    return Limits(low, high, rest, spread)


def mirrored(angles: Tensor) -> Tensor:
    """Exchange left and right of ``(..., D)`` angles."""
    swap = {"l_": "r_", "r_": "l_"}
    order = [ANGLES.index(swap.get(name[:2], name[:2]) + name[2:]) for name in ANGLES]
    sign = torch.tensor([-1.0 if name in ODD else 1.0 for name in ANGLES], dtype=angles.dtype, device=angles.device)
    return angles[..., order] * sign


def within(angles: Tensor) -> Tensor:
    """Squash ``(..., D)`` angles into their limits: the identity in the inner 80 %, smooth, monotone, never beyond."""
    bounds = limits()
    low, high = bounds.low.to(angles), bounds.high.to(angles)
    half = (high - low) / 2
    x = (angles - (low + half)) / half
    inner, room = 0.8, 0.2
    excess = (x.abs() - inner).clamp(min=0)
    return (x.clamp(-inner, inner) + x.sign() * room * torch.tanh(excess / room)) * half + low + half
