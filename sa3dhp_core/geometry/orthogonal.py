"""O(3) on poses, keypoints and cameras: one matrix, actions that agree. Knows no relation and draws nothing.

An orthogonal M acts on a camera-frame pose as ``y -> M y``, left and right joints exchanged where ``det M < 0``. What
it does to pixels stands in `homographies`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sa3dhp_core.geometry.shapes import fit_all, need, need_poses
from sa3dhp_core.types import Skeleton

MIRROR = ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def mirror_matrix(*, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Tensor:
    """``diag(-1, 1, 1)``: what a mirror does in the camera frame. ``(3, 3)``."""
    return torch.tensor(MIRROR, dtype=dtype, device=device)


def rotation_x(angle: Tensor | float) -> Tensor:
    """Turn y towards z by `angle` radians, any shape ``(...)`` -> ``(..., 3, 3)``: a tilt of the camera."""
    return _rotation(angle, 1, 2)


def rotation_y(angle: Tensor | float) -> Tensor:
    """Turn z towards x by `angle` radians, ``(...)`` -> ``(..., 3, 3)``: a pan of the camera."""
    return _rotation(angle, 2, 0)


def rotation_z(angle: Tensor | float) -> Tensor:
    """Turn x towards y by `angle` radians, ``(...)`` -> ``(..., 3, 3)``: in-plane, clockwise as one sees the image."""
    return _rotation(angle, 0, 1)


def _rotation(angle: Tensor | float, first: int, second: int) -> Tensor:
    angle = angle if isinstance(angle, Tensor) else torch.tensor(float(angle))
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rows = [[zero, zero, zero] for _ in range(3)]
    rows[3 - first - second][3 - first - second] = torch.ones_like(angle)
    rows[first][first] = rows[second][second] = cosine
    rows[first][second], rows[second][first] = -sine, sine
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def handedness(matrix: Tensor) -> Tensor:
    """Determinant of ``(..., 3, 3)`` by the triple product, ``(...)``."""
    return (torch.linalg.cross(matrix[..., 0, :], matrix[..., 1, :]) * matrix[..., 2, :]).sum(-1)


def _exchanged(matrix: Tensor, joints: Tensor, skeleton: Skeleton) -> Tensor:
    swapped = joints[..., list(skeleton.mirror), :]
    return torch.where((handedness(matrix) < 0)[..., None, None], swapped, joints)


def act_on_poses(matrix: Tensor, poses: Tensor, skeleton: Skeleton) -> Tensor:
    """``y -> M y``, left and right exchanged where ``det M < 0``.

    Args:
        matrix: ``(*A, 3, 3)`` orthogonal; its leading axes A are the first of the poses' leading axes.
        poses: ``(*A, *B, J, 3)`` camera frame, any unit. Positions relative to the root and absolute ones alike.
        skeleton: whose left and right joints are exchanged.

    Raises:
        DataError: a shape does not fit.
    """
    need(matrix, "matrix", 3, 3)
    need_poses(poses, skeleton)
    matrix, poses = fit_all((matrix.to(poses), 2), (poses, 2))
    return _exchanged(matrix, poses, skeleton) @ matrix.transpose(-1, -2)


def act_on_keypoints(matrix: Tensor, keypoints_px: Tensor, intrinsics: Tensor, skeleton: Skeleton) -> Tensor:
    """``K M K^-1`` on image points: what `act_on_poses` does to a pose, seen in the image.

    Args:
        matrix: ``(*A, 3, 3)`` orthogonal.
        keypoints_px: ``(*A, *B, J, 2)`` pixels.
        intrinsics: ``(*A, 3, 3)`` or ``(*A, *B, 3, 3)`` of the camera, pixels.
        skeleton: whose left and right joints are exchanged where ``det M < 0``.

    Raises:
        DataError: a shape does not fit.
    """
    need(matrix, "matrix", 3, 3)
    need(intrinsics, "intrinsics", 3, 3)
    need_poses(keypoints_px, skeleton, "keypoints", 2)
    matrix, points, camera = fit_all((matrix.to(keypoints_px), 2), (keypoints_px, 2), (intrinsics.to(keypoints_px), 2))
    points = _exchanged(matrix, points, skeleton)
    rays = (points - camera[..., None, :2, 2]) / torch.diagonal(camera[..., :2, :2], dim1=-2, dim2=-1).unsqueeze(-2)
    moved = torch.cat([rays, torch.ones_like(rays[..., :1])], dim=-1) @ matrix.transpose(-1, -2)
    homogeneous = moved @ camera.transpose(-1, -2)
    return homogeneous[..., :2] / homogeneous[..., 2:]


def act_on_cameras(matrix: Tensor, rotation: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """The camera that takes the moved crop of a world that stays.

    Seen by the camera that it is expressed in, a moved pose needs no other intrinsics: ``M y`` and K project to the
    moved crop. Seen from the world, the moved crop is the photograph of a camera that turned instead: the same K, and
    the rotation ``M R``. Where ``det M < 0`` the mirror F = diag(-1, 1, 1) is taken out of the rotation, because no
    camera is left-handed: rotation ``F M R``, and intrinsics ``K F``, which count pixels from right to left.

    Args:
        matrix: ``(*A, 3, 3)`` orthogonal.
        rotation: ``(*A, *B, 3, 3)`` from the world into the camera.
        intrinsics: ``(*A, *B, 3, 3)`` pixels.

    Returns:
        Rotation and intrinsics, ``(*A, *B, 3, 3)`` each; ``K' R' = K M R``.

    Raises:
        DataError: a shape does not fit.
    """
    for name, given in (("matrix", matrix), ("rotation", rotation), ("intrinsics", intrinsics)):
        need(given, name, 3, 3)
    matrix, turn, camera = fit_all((matrix.to(rotation), 2), (rotation, 2), (intrinsics.to(rotation), 2))
    eye, mirror = torch.eye(3).to(matrix), mirror_matrix().to(matrix)
    taken_out = torch.where((handedness(matrix) < 0)[..., None, None], mirror, eye)
    turned, read = taken_out @ matrix @ turn, camera @ taken_out
    lead = torch.broadcast_shapes(turned.shape, read.shape)
    return turned.expand(lead), read.expand(lead)
