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
    """Both in double, with at least one leading axis, after refusing what cannot be compared."""
    need_alike(prediction, truth, skeleton)
    moving, fixed = (_samples_innermost(poses) for poses in (prediction, truth))
    for poses, name in ((moving, "predictions"), (fixed, "true poses")):
        if not bool(torch.isfinite(poses.sum())):
            wrong = int((~torch.isfinite(poses)).flatten(-2).any(dim=-1).sum())
            raise DataError(f"{name} have NaN or infinite joints", found=f"{wrong} such poses", expected="none")
    return moving, fixed.to(moving.device)


def _samples_innermost(poses: Tensor) -> Tensor:
    """The same ``(..., J, 3)`` in double, at least one leading axis; poses lie side by side in memory, joint by joint.

    Sums over joints and coordinates then run over many poses at once.
    """
    poses = poses.detach() if poses.dim() > 2 else poses.detach().unsqueeze(0)
    ordered = poses.movedim((-2, -1), (0, 1))
    inner = torch.empty(ordered.shape, dtype=torch.float64, device=poses.device).copy_(ordered)
    return inner.movedim((0, 1), (-2, -1))
