"""Procrustes alignment, batched."""

from __future__ import annotations

import torch
from torch import Tensor

from sa3dhp_core.errors import DataError


def procrustes(prediction: Tensor, truth: Tensor, scale: bool = True) -> Tensor:
    """Align predictions to truth by the best similarity (rotation proper, translation, optionally scale).

    Args:
        prediction: ``(..., J, 3)``.
        truth: ``(..., J, 3)``.
        scale: whether the scale is free.

    Returns:
        ``(..., J, 3)`` aligned predictions.

    Raises:
        DataError: the shapes differ.
    """
    if prediction.shape != truth.shape:
        raise DataError("poses of different shapes", found=tuple(prediction.shape), expected=tuple(truth.shape))
    centre_p, centre_t = prediction.mean(dim=-2, keepdim=True), truth.mean(dim=-2, keepdim=True)
    p, t = prediction - centre_p, truth - centre_t
    u, s, vh = torch.linalg.svd(t.transpose(-1, -2) @ p)
    sign = torch.ones_like(s)
    sign[..., 2] = torch.where(torch.linalg.det(u @ vh) < 0, -1.0, 1.0).to(s)
    rotation = (u * sign[..., None, :]) @ vh
    factor = torch.ones_like(s[..., 0])
    if scale:
        factor = (s * sign).sum(-1) / p.square().sum((-1, -2)).clamp_min(torch.finfo(p.dtype).tiny)
    return factor[..., None, None] * p @ rotation.transpose(-1, -2) + centre_t
