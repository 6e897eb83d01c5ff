"""O(3) on crops: what `orthogonal` does to poses, done to the pixels. Knows no relation and draws nothing.

On the crop of a camera that looks at the crop's centre an orthogonal M acts as the homography ``K M K^-1`` (Hartley &
Zisserman, Multiple View Geometry, section 8.4). Pixel coordinates are continuous: pixel (i, j) covers
``[j, j+1] x [i, i+1]``, its centre is at half-integers, and a crop's centre is ``(W/2, H/2)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry.orthogonal import handedness, mirror_matrix
from sa3dhp_core.geometry.sampling import PADDINGS, Between, Padding, pixel_grid, sample
from sa3dhp_core.geometry.shapes import fit_all, need
from sa3dhp_core.types import PartLabels


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
    return _moved(matrix, images, intrinsics, padding, "bilinear")


def act_on_parts(matrix: Tensor, parts: Tensor, labels: PartLabels, intrinsics: Tensor | None = None) -> Tensor:
    """Part labels of what `act_on_images` shows: the nearest pixel's, left and right exchanged where ``det M < 0``.

    What lies outside the crop is background, because nobody knows what was there.

    Args:
        matrix: ``(*A, 3, 3)`` orthogonal.
        parts: ``(*A, *B, H, W)`` integer labels, 0 is background.
        labels: what the numbers mean.
        intrinsics: as for `act_on_images`.

    Returns:
        ``(*A, *B, H, W)`` labels of the same dtype.

    Raises:
        DataError: a shape does not fit, a label has no meaning, or a pan or tilt comes without intrinsics.
    """
    need(matrix, "matrix", 3, 3)
    need(parts, "parts", None, None)
    if parts.is_floating_point() or (parts.numel() > 0 and not 0 <= int(parts.min()) <= int(parts.max()) < len(labels)):
        raise DataError(
            f"part labels do not fit the card {labels.id!r}",
            found=f"{parts.dtype} up to {parts.max().item()}",
            expected=f"whole numbers from 0 to {len(labels) - 1}",
        )
    moved = _moved(matrix, parts[..., None, :, :].to(matrix.dtype), intrinsics, "black", "nearest").squeeze(-3).long()
    exchanged = torch.tensor(labels.mirror, device=parts.device)[moved]
    mirrored = (handedness(matrix) < 0).to(parts.device)
    mirrored = mirrored.reshape(*mirrored.shape, *(1,) * (moved.dim() - mirrored.dim()))
    return torch.where(mirrored, exchanged, moved).to(parts.dtype)


def _moved(matrix: Tensor, images: Tensor, intrinsics: Tensor | None, padding: Padding, between: Between) -> Tensor:
    """Channels ``(*A, *B, C, H, W)`` sampled along ``K M^-1 K^-1``."""
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
    sampled = sample(pictures, pixel_grid(height, width, maps), maps, padding, between=between)
    return sampled.reshape(*lead, *sampled.shape[-3:])


def centred_camera(height: int, width: int, like: Tensor) -> Tensor:
    """``(3, 3)`` intrinsics of square pixels and a principal point at the image's centre."""
    focal = float(max(height, width))
    return like.new_tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def _repeated(images: Tensor, matrix: Tensor, camera: Tensor) -> Tensor:
    matrix, images, camera = fit_all((matrix, 2), (images, 3), (camera, 2))
    lead = torch.broadcast_shapes(matrix.shape[:-2], images.shape[:-3], camera.shape[:-2])
    return images.expand(*lead, *images.shape[-3:])
