"""O(3) acting on poses, keypoints and crops. Mathematics without state."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sa3dhp_core.types import Skeleton


def mirror_matrix() -> Tensor:
    """``diag(-1, 1, 1)``: left and right exchanged."""
    return torch.diag(torch.tensor([-1.0, 1.0, 1.0]))


def _rotation(angle: Tensor | float, first: int, second: int) -> Tensor:
    angle = torch.as_tensor(angle, dtype=None if isinstance(angle, Tensor) else torch.get_default_dtype())
    matrix = torch.zeros(*angle.shape, 3, 3, dtype=angle.dtype, device=angle.device)
    third = 3 - first - second
    cos, sin = angle.cos(), angle.sin()
    matrix[..., first, first] = cos
    matrix[..., second, second] = cos
    matrix[..., first, second] = -sin
    matrix[..., second, first] = sin
    matrix[..., third, third] = 1.0
    return matrix


def rotation_x(angle: Tensor | float) -> Tensor:
    """Rotations ``(..., 3, 3)`` about x by angles in radians: tilt."""
    return _rotation(angle, 1, 2)


def rotation_y(angle: Tensor | float) -> Tensor:
    """Rotations ``(..., 3, 3)`` about y by angles in radians: pan."""
    return _rotation(angle, 2, 0)


def rotation_z(angle: Tensor | float) -> Tensor:
    """Rotations ``(..., 3, 3)`` about z, the optical axis, by angles in radians."""
    return _rotation(angle, 0, 1)


def act_on_poses(matrix: Tensor, poses: Tensor, skeleton: Skeleton) -> Tensor:
    """``y -> M y``, with left and right joints exchanged where det M < 0.

    Args:
        matrix: ``(..., 3, 3)`` orthogonal, broadcast over leading axes.
        poses: ``(..., J, 3)``.
        skeleton: knows the mirror pairs.
    """
    moved = torch.matmul(poses, matrix.transpose(-1, -2))
    proper = torch.linalg.det(matrix) > 0
    if bool(proper.all()):
        return moved
    swapped = moved[..., list(skeleton.mirror), :]
    return torch.where(proper[..., None, None], moved, swapped)


def act_on_keypoints(matrix: Tensor, keypoints_px: Tensor, intrinsics: Tensor, skeleton: Skeleton) -> Tensor:
    """What `act_on_poses` does to the projections ``(..., J, 2)``, pixels, given ``intrinsics (..., 3, 3)``."""
    homogeneous = functional.pad(keypoints_px, (0, 1), value=1.0)
    rays = homogeneous @ torch.linalg.inv(intrinsics).transpose(-1, -2)
    moved = act_on_poses(matrix, rays, skeleton) @ intrinsics.transpose(-1, -2)
    return moved[..., :2] / moved[..., 2:]


def act_on_images(matrix: Tensor, images: Tensor, intrinsics: Tensor | None = None) -> Tensor:
    """The homography K M K^-1 on crops of a camera that looks at the crop's centre.

    Args:
        matrix: ``(..., 3, 3)`` orthogonal, broadcast over the images' leading axes.
        images: ``(..., 3, H, W)``.
        intrinsics: ``(..., 3, 3)`` pixels; None is a camera centred on the crop, right for mirror and in-plane turns.

    Returns:
        ``(..., 3, H, W)``; what lies outside the crop continues its border.
    """
    lead, (height, width) = images.shape[:-3], images.shape[-2:]
    matrix = matrix.to(images).expand(*lead, 3, 3)
    if matrix.numel() and torch.equal(matrix, mirror_matrix().to(matrix).expand_as(matrix)):
        return images.flip(-1)
    if intrinsics is None:
        half = images.new_tensor([[width / 2, 0, width / 2 - 0.5], [0, height / 2, height / 2 - 0.5], [0, 0, 1]])
        half[0, 0] = half[1, 1] = max(width, height) / 2
        intrinsics = half
    intrinsics = intrinsics.to(images).expand(*lead, 3, 3)
    # Sampling runs backwards: for each output pixel, where it came from.
    to_source = intrinsics @ matrix.transpose(-1, -2) @ torch.linalg.inv(intrinsics)
    grid = pixel_grid(height, width, images)
    flat = grid.reshape(-1, 3) @ to_source.reshape(-1, 3, 3).transpose(-1, -2)
    source = flat[..., :2] / flat[..., 2:]
    sampled = sample_pixels(images.reshape(-1, *images.shape[-3:]), source.view(-1, height, width, 2))
    return sampled.view(images.shape)


def pixel_grid(height: int, width: int, like: Tensor) -> Tensor:
    """Homogeneous pixel coordinates ``(H, W, 3)``; a pixel's centre has whole coordinates."""
    y, x = torch.meshgrid(
        torch.arange(height, device=like.device, dtype=like.dtype),
        torch.arange(width, device=like.device, dtype=like.dtype),
        indexing="ij",
    )
    return torch.stack((x, y, torch.ones_like(x)), dim=-1)


def sample_pixels(images: Tensor, source: Tensor, padding: str = "border") -> Tensor:
    """Bilinear samples of ``(N, C, H, W)`` at pixel coordinates ``(N, h, w, 2)``."""
    height, width = images.shape[-2:]
    scale = source.new_tensor([2 / width, 2 / height])
    return functional.grid_sample(
        images, (source + 0.5) * scale - 1, mode="bilinear", padding_mode=padding, align_corners=False
    )
