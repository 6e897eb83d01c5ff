"""From poses to a BVH hierarchy that animation tools open: constant bones, rotations with the least twist.

A joint of BVH turns all that hangs on it at once. Where several bones begin at a joint (pelvis, thorax), each hangs on
a joint of its own at the same place (``pelvis_to_left_hip``), so that every bone points where it points in the poses.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sa3dhp_core.bvh import END, Bvh, BvhJoint
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import bone_lengths, local_directions, rest_directions, turn_between
from sa3dhp_core.types import Skeleton

ROTATIONS = ("Zrotation", "Xrotation", "Yrotation")
POSITIONS = ("Xposition", "Yposition", "Zposition")
DIGITS = 6
"""Decimals of degrees and units in the file."""

UPRIGHT: dict[str, list[list[float]]] = {
    "camera": [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]],
    "world": [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]],
}
"""Turns the camera's frame (y down, z away) or the world's (z up) into BVH's: y up, right-handed."""


def bvh_of_poses(
    poses: Tensor,
    skeleton: Skeleton,
    fps: float,
    *,
    frame: Literal["camera", "world"] = "camera",
    lengths_m: Tensor | None = None,
    unit_m: float = 1.0,
) -> Bvh:
    """A hierarchy of the skeleton's joints that moves as the poses do.

    Args:
        poses: ``(T, J, 3)`` metres; the root's place is the body's, so root-relative poses stay where they are.
        skeleton: its root has a pair of hips and a spine as children.
        fps: frames per second.
        frame: of the poses: ``camera`` (x right, y down, z away) or ``world`` (z up).
        lengths_m: ``(J,)`` metres of the bone that ends at each joint; None for the median over time.
        unit_m: metres in one unit of the file: 1.0 for Blender as it is, 0.01 for tools that expect centimetres.

    Returns:
        Joints under the skeleton's names, ``y`` up; the root with six channels, others with three, turned about their
        own z, then x, then y (``Zrotation Xrotation Yrotation``). Poses of constant bone lengths come back; of others
        all directions do.

    Raises:
        DataError: shapes do not fit, a coordinate is not finite, no frame, hips or spine of no length, an impossible
            rate, unit or bone length.
    """
    _check(poses, fps, unit_m)
    lengths = median_lengths_m([poses], skeleton) if lengths_m is None else lengths_m
    rig = Rig(skeleton, lengths, frame, unit_m)
    return Bvh(rig.joints, 1.0 / fps, rig.values(poses))


def median_lengths_m(blocks: Iterable[Tensor], skeleton: Skeleton) -> Tensor:
    """Median over time ``(J,)``, metres, of the bone that ends at each joint, over blocks ``(T, J, 3)`` of poses."""
    return torch.cat([bone_lengths(_precise(poses), skeleton) for poses in blocks]).quantile(0.5, dim=0)


class Rig:
    """The hierarchy, and the values of its channels for poses that come a block at a time.

    Args:
        skeleton: its root has a pair of hips and a spine as children.
        lengths_m: ``(J,)`` metres of the bone that ends at each joint.
        frame: of the poses: ``camera`` or ``world``.
        unit_m: metres in one unit of the file.

    Raises:
        DataError: an impossible bone length.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        lengths_m: Tensor,
        frame: Literal["camera", "world"] = "camera",
        unit_m: float = 1.0,
    ) -> None:
        self._rest = rest_directions(skeleton, torch.zeros((), dtype=torch.float64))
        lengths = _precise(lengths_m)
        if lengths.shape != self._rest.shape[:1] or not bool((lengths.isfinite() & (lengths >= 0)).all()):
            expected = f"({len(skeleton)},) metres, >= 0"
            raise DataError("impossible bone lengths", found=lengths.tolist(), expected=expected)
        offsets = np.round((self._rest * lengths[:, None] / unit_m).numpy(), DIGITS)
        self._tree, self._skeleton, self._unit_m = _Tree(skeleton, offsets), skeleton, unit_m
        self._upright = torch.tensor(UPRIGHT[frame], dtype=torch.float64).mT
        self._done = 0
        self._last: NDArray[np.float64] | None = None

    @property
    def joints(self) -> tuple[BvhJoint, ...]:
        """Parents first."""
        return tuple(self._tree.joints)

    def values(self, poses: Tensor) -> NDArray[np.float64]:
        """``(T, all channels)`` of the poses ``(T, J, 3)`` that follow those of the last call; see `bvh_of_poses`."""
        check_poses(poses, self._done)
        upright = _precise(poses) @ self._upright
        turn, local = local_directions(upright, self._skeleton)
        _check_turns(turn, self._skeleton, self._done)
        local = torch.where((local * local).sum(-1, keepdim=True) > 0.5, local, self._rest)
        turns, still = turn_between(self._rest, local), torch.eye(3, dtype=torch.float64).expand_as(turn)
        own = {bone: turns[:, bone] for bone in self._skeleton.bones} | {_Tree.ROOT: turn, _Tree.STILL: still}
        angles = self._unwrapped(np.concatenate([_zxy(own[bone].numpy()) for bone in self._tree.turned_by], axis=1))
        place = upright[:, self._skeleton.index(self._skeleton.root)].numpy() / self._unit_m
        self._done += len(poses)
        return np.round(np.concatenate([place, np.rad2deg(angles)], axis=1), DIGITS)

    def _unwrapped(self, angles: NDArray[np.float64]) -> NDArray[np.float64]:
        """Angles over time without jumps of whole turns, from the last block on."""
        before = angles[:0] if self._last is None else self._last
        whole = np.unwrap(np.concatenate([before, angles]), axis=0)[len(before) :]
        self._last = whole[-1:]
        return whole


class _Tree:
    """Joints of the file in the order of their channels, and the bone whose turn each takes."""

    ROOT, STILL = -1, -2

    def __init__(self, skeleton: Skeleton, offsets: NDArray[np.float64]) -> None:
        self._skeleton, self._offsets = skeleton, offsets
        self.joints: list[BvhJoint] = []
        self.turned_by: list[int] = []
        self._hang(skeleton.index(skeleton.root), -1)

    def _hang(self, joint: int, parent: int) -> None:
        """A joint of the skeleton and all below it."""
        root, children = parent < 0, self._children(joint)
        name, alone = self._skeleton.joints[joint], len(children) == 1 and not root
        offset = np.zeros(3) if root else self._offsets[joint]
        here = self._add(name, parent, offset, self.ROOT if root else children[0] if alone else self.STILL)
        for child in children:
            to = f"{name}_to_{self._skeleton.joints[child]}"
            self._hang(child, here if alone else self._add(to, here, np.zeros(3), child))
        if not children:
            self.joints.append(BvhJoint(name + END, here, _triple(0.5 * self._offsets[joint]), ()))

    def _children(self, joint: int) -> list[int]:
        return [bone for bone in self._skeleton.bones if self._skeleton.parent_indices[bone] == joint]

    def _add(self, name: str, parent: int, offset: NDArray[np.float64], turned_by: int) -> int:
        channels = POSITIONS + ROTATIONS if parent < 0 else ROTATIONS
        self.joints.append(BvhJoint(name, parent, _triple(offset), channels))
        self.turned_by.append(turned_by)
        return len(self.joints) - 1


def _triple(vector: Sequence[float] | NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in vector)
    return x, y, z


def _precise(values: Tensor) -> Tensor:
    return values.detach().to("cpu", torch.float64)


def _zxy(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Radians ``(T, 3)`` about z, x and y of ``(T, 3, 3) = Rz Rx Ry``."""
    across = np.hypot(turns[:, 0, 1], turns[:, 1, 1])
    free = across > 1e-9
    z = np.where(free, np.arctan2(-turns[:, 0, 1], turns[:, 1, 1]), np.arctan2(turns[:, 1, 0], turns[:, 0, 0]))
    x = np.arctan2(turns[:, 2, 1], across)
    y = np.where(free, np.arctan2(-turns[:, 2, 0], turns[:, 2, 2]), 0.0)
    return np.stack([z, x, y], axis=1)


def _check(poses: Tensor, fps: float, unit_m: float) -> None:
    check_poses(poses, 0)
    for name, value in (("fps", fps), ("unit_m", unit_m)):
        if not (math.isfinite(value) and value > 0):
            raise DataError(f"impossible {name}", found=value, expected="above 0")


def check_poses(poses: Tensor, done: int = 0) -> None:
    """Raise `DataError` unless poses ``(T, J, 3)`` are finite and T > 0; frames are counted from `done`."""
    if poses.ndim != 3 or len(poses) == 0:
        raise DataError("no poses over time", found=tuple(poses.shape), expected="(T, J, 3) with T > 0")
    if not bool(poses.isfinite().all()):
        frame, joint = torch.nonzero(~poses.isfinite())[0, :2].tolist()
        where = f"frame {done + frame}, joint {joint}"
        raise DataError("a position is not a finite number", where=where, expected="metres")


def _check_turns(turn: Tensor, skeleton: Skeleton, done: int) -> None:
    lost = torch.nonzero(torch.linalg.det(turn) < 0.5)
    if len(lost):
        where, expected = f"frame {done + int(lost[0])}", "hips apart, and a spine"
        raise DataError(f"{skeleton.root} has no direction", where=where, found="bones of no length", expected=expected)
