"""Optimal alignment of poses to poses in closed form: similarity, rigid, scale alone. Measures no error."""

from __future__ import annotations

import torch
from torch import Tensor

from sa3dhp_core.errors import DataError


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
    u, sizes, vt = torch.linalg.svd(moving.transpose(-1, -2) @ fixed)
    sign = torch.ones_like(sizes)
    sign[..., -1] = torch.where(torch.linalg.det(u @ vt) < 0, -1.0, 1.0)
    aligned = moving @ ((u * sign.unsqueeze(-2)) @ vt)
    if scale:
        extent = (moving**2).sum(dim=(-1, -2))
        factor = (sizes * sign).sum(-1) / extent.clamp(min=torch.finfo(work).tiny)
        aligned = aligned * factor[..., None, None]
    return (aligned + centre).to(prediction.dtype)


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
