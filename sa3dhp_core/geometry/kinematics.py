"""Bones: vectors, lengths, directions, forward kinematics, and directions in the parent's local frame.

Everything follows from the skeleton's card by joint names; nothing here knows a particular body or learns.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry.cameras import turn_between
from sa3dhp_core.geometry.shapes import need_poses
from sa3dhp_core.types import Skeleton

TINY = 1e-12


def bone_vectors(poses: Tensor, skeleton: Skeleton) -> Tensor:
    """Each joint minus its parent, ``(..., J, 3)`` -> ``(..., J, 3)``; zero for the root."""
    need_poses(poses, skeleton)
    return poses - poses[..., list(skeleton.parent_indices), :]


def bone_lengths(poses: Tensor, skeleton: Skeleton) -> Tensor:
    """Length of the bone that ends at each joint, ``(..., J, 3)`` -> ``(..., J)``, in the poses' unit; root zero."""
    squared = (bone_vectors(poses, skeleton) ** 2).sum(-1)
    return torch.where(squared > 0, squared, 1.0).sqrt() * (squared > 0)


def bone_directions(poses: Tensor, skeleton: Skeleton) -> Tensor:
    """Unit vector along each bone, ``(..., J, 3)`` -> ``(..., J, 3)``; zero for the root and for bones of no length."""
    return functional.normalize(bone_vectors(poses, skeleton), dim=-1, eps=TINY)


def standard_lengths(skeleton: Skeleton, like: Tensor | None = None) -> Tensor:
    """The card's bone lengths ``(J,)``, metres, root zero; dtype and device of `like`."""
    lengths = [0.0 if joint == skeleton.root else skeleton.bone_lengths_m[joint] for joint in skeleton.joints]
    return torch.tensor(lengths) if like is None else like.new_tensor(lengths)


@cache
def _chains(skeleton: Skeleton) -> tuple[tuple[float, ...], ...]:
    """Row j: 1 for each bone between the root and joint j."""
    rows = [[0.0] * len(skeleton) for _ in skeleton.joints]
    for joint in skeleton.bones:
        rows[joint] = list(rows[skeleton.parent_indices[joint]])
        rows[joint][joint] = 1.0
    return tuple(map(tuple, rows))


def forward_kinematics(directions: Tensor, lengths: Tensor, skeleton: Skeleton) -> Tensor:
    """Root-relative joints from bone directions and lengths.

    Args:
        directions: ``(..., J, 3)`` unit vectors of the bone that ends at each joint; the root's is ignored.
        lengths: ``(..., J)``, broadcast against the directions; the root's is ignored.
        skeleton: the tree.

    Returns:
        ``(..., J, 3)`` in the lengths' unit, root at the origin.

    Raises:
        DataError: a shape does not fit.
    """
    need_poses(directions, skeleton, "directions")
    if lengths.shape[-1:] != directions.shape[-2:-1]:
        raise DataError("lengths do not fit", found=tuple(lengths.shape), expected=f"(..., {len(skeleton)})")
    return directions.new_tensor(_chains(skeleton)) @ (directions * lengths.unsqueeze(-1))


def _hips_and_spine(skeleton: Skeleton) -> tuple[int, int, int]:
    """Left and right child of the root, and its child in the middle."""
    children = [joint for joint in skeleton.joints if skeleton.parents[joint] == skeleton.root != joint]
    hips = [pair for pair in skeleton.pairs if set(pair) <= set(children)]
    spine = [joint for joint in children if not any(joint in pair for pair in skeleton.pairs)]
    if len(hips) != 1 or len(spine) != 1:
        raise DataError(
            f"skeleton {skeleton.id!r} has no root frame",
            found=f"children of {skeleton.root!r}: {', '.join(children)}",
            expected="one left-right pair (the hips) and one joint in the middle (the spine)",
        )
    return skeleton.index(hips[0][0]), skeleton.index(hips[0][1]), skeleton.index(spine[0])


@cache
def _rest(skeleton: Skeleton) -> tuple[tuple[float, float, float], ...]:
    """Direction of each bone at rest, in a frame with x to the left, y up: a body upright with its arms to the sides.

    Middle bones point up, left-right bones sideways, legs (all below a pair that hangs on the root) down.
    """
    left = {pair[0] for pair in skeleton.pairs}
    paired = left | {pair[1] for pair in skeleton.pairs}
    hips = {skeleton.joints[j] for j in _hips_and_spine(skeleton)[:2]}

    def below_hip(joint: str) -> bool:
        parent = skeleton.parents[joint]
        return parent in hips or (parent != joint and below_hip(parent))

    def direction(joint: str) -> tuple[float, float, float]:
        if joint not in paired:
            return 0.0, 1.0, 0.0
        return (0.0, -1.0, 0.0) if below_hip(joint) else (1.0 if joint in left else -1.0, 0.0, 0.0)

    return tuple(map(direction, skeleton.joints))


@cache
def _levels(skeleton: Skeleton) -> tuple[tuple[int, ...], ...]:
    """Joints by their distance from the root (the root itself is not among them)."""
    depth = {skeleton.index(skeleton.root): 0}
    for joint in skeleton.bones:
        depth[joint] = depth[skeleton.parent_indices[joint]] + 1
    return tuple(tuple(j for j in skeleton.bones if depth[j] == d) for d in range(1, max(depth.values()) + 1))


def root_rotation(poses: Tensor, skeleton: Skeleton) -> Tensor:
    """The root's frame in the camera, ``(..., 3, 3)``: columns are left (along the hips), up (spine), their product."""
    left, right, spine = _hips_and_spine(skeleton)
    root = poses[..., skeleton.index(skeleton.root), :]
    x = functional.normalize(poses[..., left, :] - poses[..., right, :], dim=-1, eps=TINY)
    up = functional.normalize(poses[..., spine, :] - root, dim=-1, eps=TINY)
    y = up - (up * x).sum(-1, keepdim=True) * x
    flat = (y * y).sum(-1, keepdim=True) < 1e-10
    other = torch.linalg.cross(x, functional.one_hot(x.abs().argmin(dim=-1), 3).to(x))
    y = functional.normalize(torch.where(flat, other, y), dim=-1, eps=TINY)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


def local_directions(poses: Tensor, skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """Bone directions in their parents' frames: what is left of a pose without its orientation and its proportions.

    The root's frame comes from hips and spine. A joint's frame is its parent's, turned by the smallest rotation that
    takes the bone's rest direction to its actual one; the bones below are expressed in it. (SA3DHP's public code
    feeds such unit limb vectors to its pose encoder.)

    Args:
        poses: ``(..., J, 3)``.
        skeleton: its root has a pair of hips and a spine as children.

    Returns:
        ``root_rotation (..., 3, 3)`` from the root's frame to the camera and ``local (..., J, 3)`` unit vectors (zero
        for the root). A mirror negates the local x of each exchanged joint.

    Raises:
        DataError: a shape does not fit, or the skeleton's root has other children.
    """
    directions = bone_directions(poses, skeleton)
    turn = root_rotation(poses, skeleton)
    _, local = _descend(turn, directions, skeleton, inward=True)
    return turn, local


def rest_directions(skeleton: Skeleton, like: Tensor) -> Tensor:
    """Local directions ``(J, 3)`` of a body upright with its arms to the sides; dtype and device of `like`.

    Raises:
        DataError: the skeleton's root has no pair of hips and no spine.
    """
    return like.new_tensor(_rest(skeleton))


def from_local_directions(root_rotation: Tensor, local: Tensor, skeleton: Skeleton) -> Tensor:
    """Inverse of `local_directions`: bone directions ``(..., J, 3)`` in the camera, for `forward_kinematics`.

    Args:
        root_rotation: ``(..., 3, 3)``.
        local: ``(..., J, 3)``, normalised here.
        skeleton: the same.
    """
    need_poses(local, skeleton, "local directions")
    unit = functional.normalize(local, dim=-1, eps=TINY)
    directions, _ = _descend(root_rotation, unit, skeleton, inward=False)
    return directions


def _descend(turn: Tensor, given: Tensor, skeleton: Skeleton, inward: bool) -> tuple[Tensor, Tensor]:
    """Walk the tree level by level; `given` are camera (inward) or local directions; returns (camera, local)."""
    rest = rest_directions(skeleton, given)
    root = skeleton.index(skeleton.root)
    frames = {root: turn.expand(*given.shape[:-2], 3, 3)}
    found = {root: torch.zeros_like(given[..., root, :])}
    for level in _levels(skeleton):
        parent = torch.stack([frames[skeleton.parent_indices[j]] for j in level], dim=-3)
        own = given[..., list(level), :]
        across = (parent.transpose(-1, -2) if inward else parent) @ own.unsqueeze(-1)
        other = across.squeeze(-1)
        frame = parent @ turn_between(rest[list(level)], other if inward else own)
        for k, joint in enumerate(level):
            frames[joint], found[joint] = frame[..., k, :, :], other[..., k, :]
    result = torch.stack([found[j] for j in range(len(skeleton))], dim=-2)
    return (given, result) if inward else (result, given)
