"""Motion that components learn from on the bench: of a data component, or made here; seen by random cameras.

Trains nothing. Which motion it is decides what figures mean, so `BenchMotion.source` says it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from sa3dhp_core.components import Component
from sa3dhp_core.errors import PluginError, Sa3dhpError
from sa3dhp_core.geometry import (
    forward_kinematics,
    from_local_directions,
    rest_directions,
    standard_lengths,
    viewpoint,
)
from sa3dhp_core.host import Host
from sa3dhp_core.types import WHOLE, Shard, Skeleton

VARIABLE = "SA3DHP_MOTION"
"""Environment variable ``COMPONENT:PATH``: a `pose_data` component with a key `path`, and what to give it."""

FPS = 30.0
SWING = 0.2
"""How far bones of the made motion leave their rest, as a share of their length."""

WorldDraw = Callable[[int, int, torch.Generator], Tensor]
"""``draw(count, frames, generator) -> (B, T, J, 3)`` metres, root-relative, gravity-aligned world, z up."""


@attrs.frozen
class Seen:
    """Motion seen by cameras all around, 20 degrees up or down, with any roll; one camera a sequence."""

    draw: WorldDraw

    def sequences(self, count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
        """``(B, T, J, 3)`` root-relative, camera frame; a `SequenceDraw`."""
        world = self.draw(count, frames, generator)
        azimuth, elevation, roll = 2 * torch.rand(3, count, generator=generator, dtype=world.dtype) - 1
        camera = viewpoint(math.pi * azimuth, math.radians(20.0) * elevation, math.pi * roll)
        seen = torch.einsum("bij,btkj->btki", camera, world)
        return seen[shard.rank :: shard.world]

    def poses(self, count: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
        """``(B, J, 3)`` root-relative, camera frame; a `PoseDraw`."""
        return self.sequences(count, 1, generator, shard)[:, 0]


@attrs.frozen
class BenchMotion:
    """What components are trained on, and what they are measured on.

    Attributes:
        source: what it is, in words.
        train: of the training split.
        held_out: of the test split, else of the validation split.
    """

    source: str
    train: Seen
    held_out: Seen


def motion_of(host: Host, table: Mapping[str, Any] | None, skeleton: Skeleton, folder: Path) -> BenchMotion:
    """The bench's motion.

    Args:
        host: offers `pose_data` components.
        table: of one of them; None for the variable `SA3DHP_MOTION`, else for the first that needs no files (those
            that tell motion families apart go first), else for motion that is made here.
        skeleton: that the motion must have.
        folder: empty; data are prepared in it.

    Raises:
        PluginError: the variable or the table names no component, or the motion has another skeleton.
    """
    table = _asked_for() if table is None else table
    if table is not None:
        found = _prepared(host, table, skeleton, folder)
        if found is None:
            raise PluginError("the bench's motion has another skeleton", found=dict(table), expected=skeleton.id)
        return found
    for component in _willing(host):
        try:
            found = _prepared(host, {"use": component.id}, skeleton, folder / component.id)
        except Sa3dhpError:  # it needs files that its defaults do not name
            continue
        if found is not None:
            return found
    made = Swinging(skeleton)
    return BenchMotion("bodies that swing about a standing posture", Seen(made), Seen(made))


def _asked_for() -> dict[str, Any] | None:
    use, _, path = os.environ.get(VARIABLE, "").partition(":")
    if use and not path:
        raise PluginError(f"{VARIABLE} names no file", found=use, expected="COMPONENT:PATH", hint="mocap-npz:FILE.npz")
    return {"use": use, "path": path} if use else None


def _willing(host: Host) -> list[Component]:
    found = [offer.component for offer in host.components("pose_data") if not offer.component.example]
    return sorted(found, key=lambda component: "families" not in component.capabilities)


def _prepared(host: Host, table: Mapping[str, Any], skeleton: Skeleton, folder: Path) -> BenchMotion | None:
    """The motion of a data component, or None where it has another skeleton."""
    data = host.build("pose_data", table, "motion")
    folder.mkdir(parents=True, exist_ok=True)
    data.prepare(folder)
    held_out = next(split for split in ("test", "validation", "train") if split in data.splits)
    train, rest = (data.sequences(folder, split) for split in ("train", held_out))
    source = ", ".join(f"{key} = {value!r}" for key, value in table.items())
    return BenchMotion(source, Seen(train.draw), Seen(rest.draw)) if train.skeleton == skeleton else None


@attrs.frozen
class Swinging:
    """Bodies of differing size whose bones swing about a standing posture; a `WorldDraw`."""

    skeleton: Skeleton

    def __call__(self, count: int, frames: int, generator: torch.Generator) -> Tensor:
        """``(count, frames, J, 3)`` float, metres, root-relative, z up."""
        joints = len(self.skeleton)
        lean = 2 * torch.rand(count, 1, joints, 3, generator=generator) - 1
        phase, speed = torch.rand(2, count, 1, joints, 3, generator=generator)
        time = torch.arange(frames)[:, None, None] / FPS
        swing = 0.5 * lean + torch.sin(2 * math.pi * (phase + (0.2 + 0.8 * speed) * time))
        rest = rest_directions(self.skeleton, lean)
        free = [parent != self.skeleton.index(self.skeleton.root) for parent in self.skeleton.parent_indices]
        moved = rest + SWING * swing * torch.tensor(free)[:, None]
        upright = lean.new_tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
        directions = from_local_directions(upright.expand(count, frames, 3, 3), moved, self.skeleton)
        size = 0.9 + 0.2 * torch.rand(count, 1, 1, generator=generator)
        return forward_kinematics(directions, size * standard_lengths(self.skeleton, lean), self.skeleton)
