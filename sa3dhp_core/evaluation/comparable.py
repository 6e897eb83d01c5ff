"""What can be compared: predictions and truth of one shape, finite, in double. Refuses, and measures nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry.shapes import need_poses
from sa3dhp_core.types import Skeleton


def need_alike(prediction: Tensor, truth: Tensor, skeleton: Skeleton, coordinates: int = 3) -> None:
    """Raise `DataError` unless both are ``(..., J, coordinates)`` of one shape."""
    need_poses(prediction, skeleton, "predictions", coordinates)
    need_poses(truth, skeleton, "true poses", coordinates)
    if prediction.shape != truth.shape:
        raise DataError(
            "predictions and truth differ in shape", found=tuple(prediction.shape), expected=tuple(truth.shape)
        )


def checked(prediction: Tensor, truth: Tensor, skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """Both in double, ``(J, 3, ...)`` with at least one further axis, after refusing what cannot be compared.

    Poses then lie side by side in memory, and sums over joints and coordinates run over many of them at once.
    """
    need_alike(prediction, truth, skeleton)
    moving, fixed = (_joints_first(poses) for poses in (prediction, truth))
    for poses, name in ((moving, "predictions"), (fixed, "true poses")):
        if not bool(torch.isfinite(poses.sum())):
            wrong = int((~torch.isfinite(poses)).flatten(0, 1).any(dim=0).sum())
            raise DataError(f"{name} have NaN or infinite joints", found=f"{wrong} such poses", expected="none")
    return moving, fixed.to(moving.device)


def _joints_first(poses: Tensor) -> Tensor:
    poses = poses.detach() if poses.dim() > 2 else poses.detach().unsqueeze(0)
    ordered = poses.movedim((-2, -1), (0, 1))
    return torch.empty(ordered.shape, dtype=torch.float64, device=poses.device).copy_(ordered)
