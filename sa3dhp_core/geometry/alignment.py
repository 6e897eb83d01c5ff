"""Optimal alignment of poses to poses in closed form: similarity, rigid, scale alone. Measures no error."""

from __future__ import annotations

import torch
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry.polar import best_rotation


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
    rest = misfit(prediction, truth, scale)
    return (truth.to(rest) - rest).to(prediction.dtype)


def misfit(prediction: Tensor, truth: Tensor, scale: bool = True) -> Tensor:
    """What `procrustes` leaves: the truth ``(..., J, 3)`` minus the moved prediction, in single precision or better.

    Quickest on doubles of which joint and coordinate are the first axes in memory: poses then lie side by side, and
    every sum over joints runs over many poses at once.

    Raises:
        DataError: the shapes differ.
    """
    _same(prediction, truth)
    work = torch.promote_types(prediction.dtype, torch.float32)
    moving, fixed = (poses.to(work).movedim((-2, -1), (0, 1)) for poses in (prediction, truth))
    moving, fixed = moving - moving.mean(dim=0), fixed - fixed.mean(dim=0)
    product = _summed(moving[:, :, None], fixed[:, None])
    rotation, shared = _rotation(product.movedim((0, 1), (-2, -1)))
    rotation = rotation.movedim((-2, -1), (0, 1))
    if scale:
        rotation = rotation * (shared / _summed(moving, moving).sum(dim=0).clamp(min=torch.finfo(work).tiny))
    rest = torch.addcmul(fixed, moving[:, 0, None], rotation[0], value=-1.0)
    for axis in (1, 2):
        rest.addcmul_(moving[:, axis, None], rotation[axis], value=-1.0)
    return rest.movedim((0, 1), (-2, -1))


def _summed(one: Tensor, other: Tensor) -> Tensor:
    """``(one * other).sum(0)`` without the whole product in memory."""
    total = one[0] * other[0]
    for first, second in zip(one[1:], other[1:], strict=True):
        total.addcmul_(first, second)
    return total


def _rotation(product: Tensor) -> tuple[Tensor, Tensor]:
    """Of ``moving^T fixed (..., 3, 3)`` the rotation that is multiplied from the right, and ``tr(rotation^T product)``.

    By polynomials where nobody asks for a gradient and the numbers are doubles, because a batched decomposition takes
    far longer; by singular values otherwise, and for the few products that polynomials leave open.
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
