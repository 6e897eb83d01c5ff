"""Optimal alignment of poses to poses in closed form: similarity, rigid, scale alone. Measures no error."""

from __future__ import annotations

import torch
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry.quaternions import best_rotation


def _same(prediction: Tensor, truth: Tensor) -> None:
    if prediction.shape != truth.shape or prediction.dim() < 2 or prediction.shape[-1] != 3:
        raise DataError(
            "prediction and truth do not fit",
            found=f"{tuple(prediction.shape)} and {tuple(truth.shape)}",
            expected="the same shape (..., J, 3)",
        )


def procrustes(prediction: Tensor, truth: Tensor, scale: bool = True) -> Tensor:
    """The prediction moved onto the truth by the best rotation, translation and (if `scale`) size.

    Least squares over the joints of each pose, reflections excluded (Umeyama 1991, equations 39-42).

    Args:
        prediction: ``(..., J, 3)``, any unit.
        truth: the same shape.
        scale: False for a rigid alignment.

    Returns:
        ``(..., J, 3)`` in the truth's frame and unit.

    Raises:
        DataError: the shapes differ.
    """
    _same(prediction, truth)
    work = torch.promote_types(prediction.dtype, torch.float32)
    moving, fixed = prediction.to(work), truth.to(work)
    centre = fixed.mean(dim=-2, keepdim=True)
    moving, fixed = moving - moving.mean(dim=-2, keepdim=True), fixed - centre
    extent = (moving**2).sum(dim=(-1, -2))
    rotation, shared = _rotation(_product(moving, fixed))
    if scale:
        rotation = rotation * (shared / extent.clamp(min=torch.finfo(work).tiny))[..., None, None]
    return (_turned(moving, rotation) + centre).to(prediction.dtype)


def _product(moving: Tensor, fixed: Tensor) -> Tensor:
    """``moving^T fixed``, ``(..., 3, 3)``; three long sums are faster than many small matrix products."""
    rows = [(moving[..., axis : axis + 1] * fixed).sum(dim=-2).movedim(-1, 0) for axis in range(3)]
    return torch.stack(rows).movedim((0, 1), (-2, -1))


def _turned(moving: Tensor, rotation: Tensor) -> Tensor:
    """``moving @ rotation``, likewise."""
    first, second, third = (moving[..., axis : axis + 1] * rotation[..., axis : axis + 1, :] for axis in range(3))
    return first + second + third


def _rotation(product: Tensor) -> tuple[Tensor, Tensor]:
    """Of ``moving^T fixed (..., 3, 3)`` the rotation that is multiplied from the right, and ``tr(rotation^T product)``.

    By quaternions where nobody asks for a gradient and the numbers are doubles, because a batched decomposition takes
    far longer; by singular values otherwise, and for the few products that leave the quaternion open.
    """
    if product.requires_grad or product.dtype != torch.float64:
        return _by_singular_values(product)
    rotation, shared, certain = best_rotation(product)
    if not bool(certain.all()):
        rotation[~certain], shared[~certain] = _by_singular_values(product[~certain])
    return rotation, shared


def _by_singular_values(product: Tensor) -> tuple[Tensor, Tensor]:
    u, sizes, vt = torch.linalg.svd(product)
    sign = torch.ones_like(sizes)
    sign[..., -1] = torch.where(torch.linalg.det(u @ vt) < 0, -1.0, 1.0)
    return (u * sign.unsqueeze(-2)) @ vt, (sizes * sign).sum(-1)


def fit_scale(prediction: Tensor, truth: Tensor) -> Tensor:
    """The prediction times the factor that brings it closest to the truth, pose by pose (least squares).

    Both ``(..., J, 3)`` and relative to the same root (Rhodin et al. 2018, "N-MPJPE").

    Raises:
        DataError: the shapes differ.
    """
    _same(prediction, truth)
    extent = (prediction**2).sum(dim=(-1, -2), keepdim=True)
    shared = (prediction * truth).sum(dim=(-1, -2), keepdim=True)
    return prediction * (shared / extent.clamp(min=torch.finfo(prediction.dtype).tiny))
