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
    """``(H, N, K)``: of each set of hypotheses, sample and counted joint, what the protocol averages.

    Of ``cps`` with one column more, of the whole pose.
    """
    moving, fixed = _placed(moving, fixed, read)
    if protocol.metric == "accel":
        if moving.dim() < 4 or moving.shape[-3] < 3:
            raise DataError(
                "acceleration needs sequences", found=tuple(moving.shape[:-2]), expected="(..., T >= 3) poses"
            )
        moving, fixed = (poses.diff(n=2, dim=-3) for poses in (moving, fixed))
    moving, fixed = moving.flatten(0, -3), fixed.flatten(0, -3)
    distance_mm = _distance_mm(protocol, moving, fixed, read).unsqueeze(0)
    if protocol.hypotheses != "single":
        mirrored = moving * moving.new_tensor([1.0, 1.0, -1.0])
        other = _distance_mm(protocol, mirrored, fixed, read).unsqueeze(0)
        if protocol.hypotheses == "one-depth-mirror":
            distance_mm = torch.cat([distance_mm, other])
        else:
            better = other.mean(dim=-1, keepdim=True) < distance_mm.mean(dim=-1, keepdim=True)
            distance_mm = torch.where(better, other, distance_mm)
    if protocol.metric == "cps":
        distance_mm = torch.cat([distance_mm, distance_mm.amax(dim=-1, keepdim=True)], dim=-1)
    return _scored(protocol, distance_mm)


def _placed(moving: Tensor, fixed: Tensor, read: Reading) -> tuple[Tensor, Tensor]:
    """Both poses ``(..., J, 3)`` cut to the joints that are aligned, with true bones and at the root if so wanted."""
    if read.columns != tuple(range(moving.shape[-2])):
        moving, fixed = (poses[..., list(read.columns), :] for poses in (moving, fixed))
    if read.tree is not None:
        directions = bone_directions(moving, read.tree)
        root = moving[..., [read.tree.index(read.tree.root)], :]
        moving = root + forward_kinematics(directions, bone_lengths(fixed, read.tree), read.tree)
    if read.root is not None:
        moving, fixed = (poses - poses[..., [read.root], :] for poses in (moving, fixed))
    if read.aligned != tuple(range(moving.shape[-2])):
        moving, fixed = (poses[..., list(read.aligned), :] for poses in (moving, fixed))
    return moving, fixed


def _distance_mm(protocol: Protocol, moving: Tensor, fixed: Tensor, read: Reading) -> Tensor:
    if protocol.alignment == "procrustes":
        apart = misfit(moving, fixed, scale=protocol.scale == "fitted")
    else:
        apart = fixed - (fit_scale(moving, fixed) if protocol.alignment == "scale" else moving)
    distance_mm = MM * apart.square_().sum(dim=-1).sqrt_()
    whole = tuple(range(len(read.aligned)))
    return distance_mm if read.counted == whole else distance_mm[..., list(read.counted)]


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
