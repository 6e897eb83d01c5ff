"""O(3) on poses, keypoints and crops: one matrix, three actions that agree. Knows no relation and draws nothing.

An orthogonal M acts on a camera-frame pose as ``y -> M y``, left and right joints exchanged where ``det M < 0``; on
the crop of a camera that looks at the crop's centre it acts as the homography ``K M K^-1`` (Hartley & Zisserman,
Multiple View Geometry, section 8.4). Pixel coordinates are continuous: pixel (i, j) covers ``[j, j+1] x [i, i+1]``,
its centre is at half-integers, and a crop's centre is ``(W/2, H/2)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry.sampling import PADDINGS, Padding, pixel_grid, sample
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


def act_on_images(
    matrix: Tensor, images: Tensor, intrinsics: Tensor | None = None, padding: Padding = "border"
) -> Tensor:
    """The crop that the camera sees of the transformed scene: bilinear sampling along ``K M^-1 K^-1``.

    A batch that is mirrored throughout (and centred) is flipped, to the last bit. Differentiable in the images and in
    the matrix.

    Args:
        matrix: ``(*A, 3, 3)`` orthogonal; its leading axes A are the first of the images' leading axes.
        images: ``(*A, *B, 3, H, W)`` float crops of a camera that looks at the crop's centre.
        intrinsics: ``(*A, 3, 3)`` or ``(*A, *B, 3, 3)`` pixels. None: a centred camera with square pixels, which
            suffices for mirror and in-plane rotation (they need no focal length).
        padding: what lies outside the crop: ``border``, ``grey`` or ``black``.

    Raises:
        DataError: a shape does not fit, or a pan or tilt comes without intrinsics.
    """
    need(matrix, "matrix", 3, 3)
    need(images, "images", None, None, None)
    if padding not in PADDINGS:
        raise DataError("unknown padding", found=padding, expected=" or ".join(PADDINGS))
    height, width = images.shape[-2:]
    matrix = matrix.to(images)
    if intrinsics is None:
        if not bool((matrix[..., 2, 2] == 1).all()):
            raise DataError(
                "a pan or tilt of a crop needs the camera's intrinsics",
                found="intrinsics=None",
                expected="intrinsics (..., 3, 3), or a matrix that keeps the optical axis",
            )
        camera = centred_camera(height, width, images)
    else:
        need(intrinsics, "intrinsics", 3, 3)
        camera = intrinsics.to(images)
    centred = intrinsics is None or bool((camera[..., 0, 2] == width / 2).all())
    if centred and not matrix.requires_grad:
        if bool((matrix == mirror_matrix(dtype=matrix.dtype, device=matrix.device)).all()):
            return _repeated(images, matrix, camera).flip(-1)
        if bool((matrix == torch.eye(3, dtype=matrix.dtype, device=matrix.device)).all()):
            return _repeated(images, matrix, camera).clone()
    matrix, pictures, camera = fit_all((matrix, 2), (images, 3), (camera, 2))
    backward = camera @ matrix.transpose(-1, -2) @ torch.linalg.inv_ex(camera).inverse
    lead = torch.broadcast_shapes(backward.shape[:-2], pictures.shape[:-3])
    pictures = pictures.expand(*lead, *pictures.shape[-3:]).reshape(-1, *pictures.shape[-3:])
    maps = backward.expand(*lead, 3, 3).reshape(-1, 3, 3)
    sampled = sample(pictures, pixel_grid(height, width, maps), maps, padding)
    return sampled.reshape(*lead, *sampled.shape[-3:])


def centred_camera(height: int, width: int, like: Tensor) -> Tensor:
    """``(3, 3)`` intrinsics of square pixels and a principal point at the image's centre."""
    focal = float(max(height, width))
    return like.new_tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def _repeated(images: Tensor, matrix: Tensor, camera: Tensor) -> Tensor:
    matrix, images, camera = fit_all((matrix, 2), (images, 3), (camera, 2))
    lead = torch.broadcast_shapes(matrix.shape[:-2], images.shape[:-3], camera.shape[:-2])
    return images.expand(*lead, *images.shape[-3:])
