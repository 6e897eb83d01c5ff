"""One person a sample: errors of 3D poses, summed by protocol card. Runs no model and chooses no split.

A protocol says which joints count, relative to which root, how predictions are aligned to the truth, which of several
hypotheses counts and how errors are averaged. Errors are accumulated per sample and joint, in double precision, never
as means of batches.
"""

from __future__ import annotations

import math

import attrs
import torch
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.evaluation.joints import Reading, reading
from sa3dhp_core.evaluation.protocol import SMALLER_IS_BETTER, Protocol
from sa3dhp_core.evaluation.selection import FrameFacts, chosen
from sa3dhp_core.geometry.alignment import fit_scale, procrustes
from sa3dhp_core.geometry.kinematics import bone_directions, bone_lengths, forward_kinematics
from sa3dhp_core.geometry.shapes import need_poses
from sa3dhp_core.types import Skeleton

MM = 1000.0

AT_ONCE = 4096
"""Poses that are compared at once: as many as stay in a processor's cache."""


@attrs.frozen
class Evaluation:
    """A number with what it rests on.

    Attributes:
        protocol: id of its card.
        value: in `unit`.
        unit: ``mm``, ``%`` or ``mm/frame^2``.
        per_joint: joint name to the value of that joint alone.
        count: samples that it is the mean of (of ``accel``: inner frames).
    """

    protocol: str
    value: float
    unit: str
    per_joint: dict[str, float]
    count: int


class Accumulator:
    """Sums errors batch by batch; the result does not depend on how samples are divided into batches.

    Nor does it depend on their order, except by ``padded-batches``, where the last sample may weigh more.

    Raises:
        DataError: the skeleton lacks joints of the protocol, or the protocol is of another kind of prediction.
    """

    def __init__(self, protocol: Protocol, skeleton: Skeleton) -> None:
        if protocol.people is not None or protocol.metric == "pck-2d":
            raise DataError(
                f"protocol {protocol.id!r} does not measure 3D poses one by one",
                hint="evaluate_people" if protocol.people is not None else "evaluate_keypoints",
            )
        self._protocol, self._skeleton = protocol, skeleton
        self._reading = reading(protocol, skeleton)
        self._sums = torch.zeros(1, 1, dtype=torch.float64)
        self._last = self._sums
        self._count = 0

    def add(self, prediction: Tensor, truth: Tensor, facts: FrameFacts | None = None) -> None:
        """Count samples in.

        Args:
            prediction: ``(..., J, 3)`` metres; of ``accel`` ``(..., T, J, 3)`` with T >= 3 consecutive frames.
            truth: the same shape.
            facts: what is known of the frames; a protocol that selects some needs it.

        Raises:
            DataError: shapes differ or do not fit the skeleton, values are not finite, T is too small, or the protocol
                selects frames by what `facts` does not tell.
        """
        if self._protocol.metric == "accel":
            self._add(prediction, truth)
            return
        _fitting(prediction, truth, self._skeleton)
        some, fixed = (poses.reshape(-1, *poses.shape[-2:]) for poses in (prediction, truth))
        mask = chosen(self._protocol, facts, len(some))
        if mask is not None:
            some, fixed = some[mask.to(some.device)], fixed[mask.to(fixed.device)]
        for moving, still in zip(some.split(AT_ONCE), fixed.split(AT_ONCE), strict=True):
            self._add(moving, still)

    def _add(self, prediction: Tensor, truth: Tensor) -> None:
        values = _per_sample(self._protocol, *_checked(prediction, truth, self._skeleton), self._reading).cpu()
        if values.shape[1]:
            self._sums = self._sums + values.sum(dim=1)
            self._last = values[:, -1]
            self._count += values.shape[1]

    def result(self) -> Evaluation:
        """The mean over all samples so far; raises `DataError` if there are none."""
        if self._count == 0:
            raise DataError(f"nothing to evaluate by {self._protocol.id!r}", expected="at least one sample that counts")
        means, names = self._better().tolist(), self._reading.names
        return Evaluation(
            protocol=self._protocol.id,
            value=means[-1] if self._protocol.metric == "cps" else math.fsum(means) / len(means),
            unit=self._protocol.unit,
            per_joint=dict(zip(names, means, strict=False)),
            count=self._count,
        )

    def _better(self) -> Tensor:
        """``(K,)`` of each column of `_per_sample` the mean over samples, of the better set of hypotheses."""
        repeated = -self._count % self._protocol.batch_size if self._protocol.averaging == "padded-batches" else 0
        means = (self._sums + repeated * self._last) / (self._count + repeated)
        whole = means[:, -1] if self._protocol.metric == "cps" else means.mean(dim=-1)
        return means[int(whole.argmin() if self._protocol.metric in SMALLER_IS_BETTER else whole.argmax())]


def evaluate(
    protocol: Protocol, prediction: Tensor, truth: Tensor, skeleton: Skeleton, facts: FrameFacts | None = None
) -> Evaluation:
    """The protocol's number for predictions ``(..., J, 3)`` in metres against the truth; see `Accumulator.add`."""
    accumulator = Accumulator(protocol, skeleton)
    accumulator.add(prediction, truth, facts)
    return accumulator.result()


def spread(prediction: Tensor, truth: Tensor, skeleton: Skeleton) -> float:
    """How much predictions vary, relative to the truth: 1 as much, 0 collapsed to one pose.

    The ratio of the root mean squared distances of root-relative joints from the mean pose. Takes ``(..., J, 3)``.

    Raises:
        DataError: shapes differ or do not fit, values are not finite, or all of the truth is one pose.
    """
    moving, fixed = _checked(prediction, truth, skeleton)
    if not moving.numel():
        raise DataError("no poses to compare the spread of", found=tuple(prediction.shape))
    root = skeleton.index(skeleton.root)
    moving, fixed = (poses - poses[..., root : root + 1, :] for poses in (moving, fixed))
    own, wanted = (
        float(((poses - poses.flatten(0, -3).mean(dim=0)) ** 2).sum(dim=-1).mean().sqrt()) for poses in (moving, fixed)
    )
    if wanted == 0:
        raise DataError("the truth does not vary, so there is no spread to compare with", found="one pose only")
    return own / wanted


def _fitting(prediction: Tensor, truth: Tensor, skeleton: Skeleton) -> None:
    """Raise `DataError` unless both are poses of one shape."""
    need_poses(prediction, skeleton, "predictions")
    need_poses(truth, skeleton, "true poses")
    if prediction.shape != truth.shape:
        raise DataError(
            "predictions and truth differ in shape", found=tuple(prediction.shape), expected=tuple(truth.shape)
        )


def _checked(prediction: Tensor, truth: Tensor, skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """Both in double, with at least one leading axis, after refusing what cannot be compared."""
    _fitting(prediction, truth, skeleton)
    for poses, name in ((prediction, "predictions"), (truth, "true poses")):
        if not bool(torch.isfinite(poses.sum(dtype=torch.float64))):
            wrong = int((~torch.isfinite(poses)).flatten(-2).any(dim=-1).sum())
            raise DataError(f"{name} have NaN or infinite joints", found=f"{wrong} such poses", expected="none")
    moving, fixed = (_samples_innermost(poses) for poses in (prediction, truth))
    return moving, fixed.to(moving.device)


def _samples_innermost(poses: Tensor) -> Tensor:
    """The same ``(..., J, 3)`` in double, at least one leading axis; poses lie side by side in memory, joint by joint.

    Sums over joints and coordinates then run over many poses at once.
    """
    poses = poses.detach() if poses.dim() > 2 else poses.detach().unsqueeze(0)
    return poses.movedim((-2, -1), (0, 1)).contiguous().double().movedim((0, 1), (-2, -1))


def _per_sample(protocol: Protocol, moving: Tensor, fixed: Tensor, read: Reading) -> Tensor:
    """``(H, N, K)``: of each set of hypotheses, sample and counted joint, what the protocol averages.

    Of ``cps`` with one column more, of the whole pose.
    """
    moving, fixed = placed(moving, fixed, read)
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
    return scored(protocol, distance_mm)


def placed(moving: Tensor, fixed: Tensor, read: Reading) -> tuple[Tensor, Tensor]:
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
        moving = procrustes(moving, fixed, scale=protocol.scale == "fitted")
    elif protocol.alignment == "scale":
        moving = fit_scale(moving, fixed)
    apart = moving - fixed
    distance_mm = MM * (apart * apart).sum(dim=-1).sqrt()
    whole = tuple(range(len(read.aligned)))
    return distance_mm if read.counted == whole else distance_mm[..., list(read.counted)]


def scored(protocol: Protocol, distance_mm: Tensor) -> Tensor:
    """What the protocol's metric makes of distances, in its unit: themselves, or the thresholds above them, weighed."""
    if protocol.metric in ("mpjpe", "accel"):
        return distance_mm
    thresholds = distance_mm.new_tensor(protocol.thresholds_mm)
    weights = torch.full_like(thresholds, 100.0 / len(thresholds))
    if protocol.metric == "cps":
        apart = thresholds.diff()
        weights = 0.5 * (torch.nn.functional.pad(apart, (1, 0)) + torch.nn.functional.pad(apart, (0, 1)))
    above = torch.nn.functional.pad(weights.flip(0).cumsum(0).flip(0), (0, 1))
    return above[torch.bucketize(distance_mm, thresholds, right=True)]
