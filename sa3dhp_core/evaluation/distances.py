"""What a protocol's metric says of each pose and joint. Sums nothing over poses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sa3dhp_core.errors import DataError
from sa3dhp_core.evaluation.joints import Reading
from sa3dhp_core.evaluation.protocol import Protocol
from sa3dhp_core.geometry.alignment import fit_scale, misfit
from sa3dhp_core.geometry.kinematics import bone_directions, bone_lengths, forward_kinematics

MM = 1000.0


def per_sample(protocol: Protocol, moving: Tensor, fixed: Tensor, read: Reading) -> Tensor:
    """``(H, K, N)``: of each set of hypotheses, counted joint and sample, what the protocol averages.

    Of ``cps`` with one row more, of the whole pose. Takes ``(J, 3, ...)``; see `checked`.
    """
    moving, fixed = _placed(moving, fixed, read)
    if protocol.metric == "accel":
        if moving.dim() < 4 or moving.shape[-1] < 3:
            raise DataError(
                "acceleration needs sequences", found=tuple(moving.shape[2:]), expected="(..., T >= 3) poses"
            )
        moving, fixed = moving.diff(n=2), fixed.diff(n=2)
    moving, fixed = moving.flatten(2), fixed.flatten(2)
    distance_mm = _distance_mm(protocol, moving, fixed, read).unsqueeze(0)
    if protocol.hypotheses != "single":
        mirrored = moving * moving.new_tensor([[1.0], [1.0], [-1.0]])
        other = _distance_mm(protocol, mirrored, fixed, read).unsqueeze(0)
        if protocol.hypotheses == "one-depth-mirror":
            distance_mm = torch.cat([distance_mm, other])
        else:
            better = other.mean(dim=1, keepdim=True) < distance_mm.mean(dim=1, keepdim=True)
            distance_mm = torch.where(better, other, distance_mm)
    if protocol.metric == "cps":
        distance_mm = torch.cat([distance_mm, distance_mm.amax(dim=1, keepdim=True)], dim=1)
    return _scored(protocol, distance_mm)


def _placed(moving: Tensor, fixed: Tensor, read: Reading) -> tuple[Tensor, Tensor]:
    """Both poses ``(J, 3, ...)`` cut to the joints that are aligned, with true bones and at the root if so wanted."""
    if read.columns != tuple(range(len(moving))):
        moving, fixed = (poses[list(read.columns)] for poses in (moving, fixed))
    if read.tree is not None:
        free, true = (poses.movedim((0, 1), (-2, -1)) for poses in (moving, fixed))
        longer = forward_kinematics(bone_directions(free, read.tree), bone_lengths(true, read.tree), read.tree)
        moving = moving[read.tree.index(read.tree.root)] + longer.movedim((-2, -1), (0, 1))
    if read.root is not None:
        moving, fixed = moving - moving[read.root], fixed - fixed[read.root]
    if read.aligned != tuple(range(len(moving))):
        moving, fixed = (poses[list(read.aligned)] for poses in (moving, fixed))
    return moving, fixed


def _distance_mm(protocol: Protocol, moving: Tensor, fixed: Tensor, read: Reading) -> Tensor:
    """``(K, N)`` of the joints that count, of ``(J, 3, N)``."""
    if protocol.alignment == "none":
        apart = fixed - moving
    else:
        poses, truth = moving.movedim(-1, 0), fixed.movedim(-1, 0)
        fitted = protocol.scale == "fitted"
        rest = misfit(poses, truth, fitted) if protocol.alignment == "procrustes" else truth - fit_scale(poses, truth)
        apart = rest.movedim(0, -1)
    distance_mm = MM * apart.square_().sum(dim=1).sqrt_()
    whole = tuple(range(len(read.aligned)))
    return distance_mm if read.counted == whole else distance_mm[list(read.counted)]


def _scored(protocol: Protocol, distance_mm: Tensor) -> Tensor:
    """What the protocol's metric makes of distances, in its unit: themselves, or the thresholds above them, weighed."""
    if protocol.metric in ("mpjpe", "accel"):
        return distance_mm
    thresholds = distance_mm.new_tensor(protocol.thresholds_mm)
    weights = torch.full_like(thresholds, 100.0 / len(thresholds))
    if protocol.metric == "cps":
        apart = thresholds.diff()
        weights = 0.5 * (functional.pad(apart, (1, 0)) + functional.pad(apart, (0, 1)))
    above = functional.pad(weights.flip(0).cumsum(0).flip(0), (0, 1))
    return above[torch.bucketize(distance_mm, thresholds, right=True)]
