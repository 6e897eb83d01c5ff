"""The motion generator: splines of joint angles through a family's key poses, varied without end, inside the limits.

Sequence `index` of (seed, split) is a function of these and of its options alone, whichever batch it is made in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import attrs
import torch
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.errors import RecipeError, nearest
from sa3dhp_world.anatomy import ANGLES, limits, mirrored, read_data, within
from sa3dhp_world.bodies import Bodies
from sa3dhp_world.kinematics import pose_body

FPS = 30.0
DEGREE = math.pi / 180


@attrs.frozen
class Family:
    """One motion family of `families.toml`, angles in radians.

    Attributes:
        keys: ``(K, D)`` key poses of a cycle.
        at: ``(K,)`` their times as shares of the cycle.
        yaw: ``(K + 1,)`` heading at the keys and at the cycle's end.
        period_s, gain: ranges; style, jitter: deviations in units of typical spread.
        speed_m_s, turn_rad_s, hop_m: forward speed, spread of the turning rate, height of a hop.
    """

    name: str
    keys: Tensor
    at: Tensor
    yaw: Tensor
    period_s: tuple[float, float]
    gain: tuple[float, float]
    style: float
    jitter: float
    speed_m_s: float
    turn_rad_s: float
    hop_m: float


@attrs.frozen
class Motion:
    """A batch of motion.

    Attributes:
        joints: ``(N, T, J, 3)`` metres, world frame, floor at z = 0.
        angles: ``(N, T, D)`` joint angles, radians (what the limits hold for).
        family: name of each sequence's family.
        body: ``(N,)`` index into the bodies.
    """

    joints: Tensor
    angles: Tensor
    family: tuple[str, ...]
    body: Tensor


def family_names() -> tuple[str, ...]:
    """All motion families, in the order of `families.toml`."""
    return tuple(read_data("families.toml"))


@cache
def family(name: str) -> Family:
    """A motion family by name; raises `RecipeError` with the nearest one."""
    table = read_data("families.toml")
    if name not in table:
        raise RecipeError(f"no motion family {name!r}", hint=nearest(name, table))
    row: dict[str, Any] = table[name]
    rest = limits().rest
    base = _with(rest, row.get("base", {}))
    keys = [dict(key) for key in row["keys"]]
    at = torch.tensor([float(key.pop("at")) for key in keys])
    poses = torch.stack([_with(base, key) for key in keys])
    yaw = torch.tensor([*row.get("yaw_deg", [0.0] * len(keys))]) * DEGREE
    if row.get("alternate"):
        at, poses, yaw = torch.cat([at, at + 0.5]), torch.cat([poses, mirrored(poses)]), yaw.repeat(2)
    yaw = torch.cat([yaw, yaw[-1:]])
    spans: dict[str, Any] = {key: tuple(row[key]) for key in ("period_s", "gain")}
    numbers: dict[str, Any] = {key: float(row.get(key, 0.0)) for key in ("style", "jitter", "speed_m_s", "hop_m")}
    turning = float(row.get("turn_deg_s", 0.0)) * DEGREE
    return Family(name=name, keys=poses, at=at, yaw=yaw, turn_rad_s=turning, **spans, **numbers)


def _with(pose: Tensor, changes: dict[str, float]) -> Tensor:
    out = pose.clone()
    for angle, degrees in changes.items():
        if angle not in ANGLES:
            raise RecipeError(f"no joint angle {angle!r}", where="families.toml", hint=nearest(angle, ANGLES))
        out[ANGLES.index(angle)] = degrees * DEGREE
    return out


def hermite(times: Tensor, keys: Tensor, at: Tensor) -> Tensor:
    """Cubic Hermite spline with finite-difference tangents (non-uniform Catmull-Rom).

    Args:
        times: ``(N, K)`` increasing key times.
        keys: ``(N, K, D)`` key values.
        at: ``(N, T)`` query times inside the keys' span.

    Returns:
        ``(N, T, D)``.
    """
    step = times.diff(dim=1).unsqueeze(-1)
    slope = keys.diff(dim=1) / step
    inner = (slope[:, :-1] * step[:, 1:] + slope[:, 1:] * step[:, :-1]) / (step[:, 1:] + step[:, :-1])
    tangent = torch.cat([slope[:, :1], inner, slope[:, -1:]], dim=1)
    left = (torch.searchsorted(times, at.contiguous(), right=True) - 1).clamp(0, times.shape[1] - 2)
    pick = lambda values, i: values.gather(1, i.unsqueeze(-1).expand(-1, -1, values.shape[-1]))  # noqa: E731
    h = pick(step, left)
    u = (at - times.gather(1, left)).unsqueeze(-1) / h
    a, b = pick(keys, left), pick(keys, left + 1)
    ta, tb = pick(tangent, left) * h, pick(tangent, left + 1) * h
    return a + u * (ta + u * (3 * (b - a) - 2 * ta - tb + u * (ta + tb - 2 * (b - a))))


def generate(
    bodies: Bodies,
    families: tuple[str, ...],
    indices: Sequence[int],
    frames: int,
    *seed: object,
) -> Motion:
    """Sequences `indices` of the world of `seed`; families take turns by index.

    Args:
        bodies: the bodies to draw from.
        families: names of the families to use.
        indices: which sequences.
        frames: length of each, at 30 frames a second.
        seed: words and numbers that name this world (seed, split, …).
    """
    if not families:
        raise RecipeError("no motion family to generate", where="families", expected=", ".join(family_names()))
    names = [families[index % len(families)] for index in indices]
    width = len(ANGLES)
    angles = torch.empty(len(names), frames, width)
    yaw, hop = torch.empty(len(names), frames), torch.zeros(len(names), frames)
    speed, body = torch.empty(len(names), 1), torch.empty(len(names), dtype=torch.long)
    for name in dict.fromkeys(names):
        rows = [row for row, other in enumerate(names) if other == name]
        kind = family(name)
        cycles = math.ceil(frames / FPS / (0.8 * kind.period_s[0])) + 3
        count = cycles * len(kind.at)
        uniform, normal = [], []
        for row in rows:
            draws = generator_for("motion", *seed, indices[row], name)
            uniform.append(torch.rand(16 + cycles, generator=draws))
            normal.append(torch.randn(count + 3, width, generator=draws))
        part = _family_angles(kind, torch.stack(uniform), torch.stack(normal), cycles, frames)
        angles[rows], yaw[rows], hop[rows], speed[rows] = part
        body[rows] = (torch.stack(uniform)[:, 15] * len(bodies)).long().clamp(max=len(bodies) - 1)
    lengths = bodies.lengths_m[body].unsqueeze(1)
    joints = pose_body(angles, yaw, lengths)
    return Motion(_grounded(joints, yaw, speed, hop), angles, tuple(names), body)


def _family_angles(
    kind: Family, uniform: Tensor, normal: Tensor, cycles: int, frames: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Angles ``(N, T, D)``, heading ``(N, T)``, hop height ``(N, T)`` and speed ``(N, 1)`` of one family."""
    n, per_cycle = len(uniform), len(kind.at)
    bounds = limits()
    between = lambda column, span: span[0] + (span[1] - span[0]) * uniform[:, column : column + 1]  # noqa: E731
    period = between(0, kind.period_s) * (0.9 + 0.2 * uniform[:, 16 : 16 + cycles])
    start = period.cumsum(1) - period
    times = (start.unsqueeze(-1) + kind.at * period.unsqueeze(-1)).flatten(1)
    gain = between(1, kind.gain).unsqueeze(-1)
    keys = bounds.rest + (kind.keys - bounds.rest).repeat(cycles, 1) * gain
    keys = keys + bounds.spread * (kind.style * normal[:, :1] + kind.jitter * normal[:, 3:])
    span = times[:, -1:] - times[:, per_cycle : per_cycle + 1] - frames / FPS
    begin = times[:, per_cycle : per_cycle + 1] + uniform[:, 2:3] * span.clamp(min=0).minimum(period[:, :1])
    clock = begin + torch.arange(frames) / FPS
    clock = clock.minimum(times[:, -1:])
    angles = within(hermite(times, keys, clock))
    other = uniform[:, 3] < 0.5
    angles = torch.where(other[:, None, None], mirrored(angles), angles)

    sign = torch.where(other, -1.0, 1.0).unsqueeze(-1)
    laps = torch.arange(cycles).repeat_interleave(per_cycle) * kind.yaw[-1]
    heading = hermite(times, (kind.yaw[:-1].repeat(cycles) + laps).expand(n, -1).unsqueeze(-1), clock).squeeze(-1)
    rate = kind.turn_rad_s * normal[:, 1, :1] + 0.3 * kind.turn_rad_s * torch.sin(clock * 2 + 6.3 * uniform[:, 5:6])
    yaw = 2 * math.pi * uniform[:, 4:5] + sign * heading * gain.squeeze(-1) + rate * (clock - clock[:, :1])
    cycle = (torch.searchsorted(start, clock.contiguous(), right=True) - 1).clamp(min=0)
    lap = (clock - start.gather(1, cycle)) / period.gather(1, cycle)
    hop = kind.hop_m * torch.sin(2 * math.pi * lap.clamp(0, 1)).clamp(min=0)
    return angles, yaw, hop, kind.speed_m_s * gain.squeeze(-1)


def _grounded(joints: Tensor, yaw: Tensor, speed: Tensor, hop: Tensor) -> Tensor:
    """Put the lowest joint on the floor and let the root walk along its heading."""
    lowest = joints[..., 2].amin(dim=-1)
    kernel = torch.tensor([0.1, 0.2, 0.4, 0.2, 0.1])
    padded = torch.nn.functional.pad(lowest.unsqueeze(1), (2, 2), mode="replicate")
    height = 0.08 - torch.nn.functional.conv1d(padded, kernel.view(1, 1, -1)).squeeze(1) + hop
    velocity = torch.stack([-yaw.sin(), yaw.cos()], dim=-1) * speed.unsqueeze(-1) / FPS
    path = velocity.cumsum(dim=1)
    path = path - path.mean(dim=1, keepdim=True)
    return joints + torch.cat([path, height.unsqueeze(-1)], dim=-1).unsqueeze(2)
