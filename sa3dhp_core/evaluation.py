"""Evaluation protocols: cards that say exactly what a number is, and their one implementation.

A number without its protocol's id does not exist: MPJPE with aligned scale, or with the better of two hypotheses, is
another protocol with another name. Errors are accumulated per sample, never as means of batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs
import torch
from attrs.validators import in_
from torch import Tensor

from sa3dhp_core.cards import read_card
from sa3dhp_core.errors import DataError, RecipeError, nearest
from sa3dhp_core.geometry import procrustes
from sa3dhp_core.structuring import structure
from sa3dhp_core.types import Skeleton

METRICS = ("mpjpe", "pck", "auc", "accel")
ALIGNMENTS = ("none", "scale", "procrustes")
HYPOTHESES = ("single", "depth-mirror")


@attrs.frozen
class Protocol:
    """An evaluation protocol.

    Attributes:
        id: the card's id.
        name: what the field calls it.
        source: where it is defined.
        metric: ``mpjpe`` (mean joint distance), ``pck`` (share of joints within a threshold), ``auc`` (mean of pck over
            thresholds), ``accel`` (distance of second differences of consecutive frames).
        unit: of the value, ``mm`` or ``%`` or ``mm/frame^2``.
        root: joint that is put at the origin before anything else; empty for none.
        joints: joints that count; all if empty.
        alignment: ``none``, ``scale`` (best scale of the prediction) or ``procrustes`` (best similarity).
        hypotheses: ``single``, or ``depth-mirror``: the better of the pose and its mirror image in depth, per sample.
        thresholds_mm: of pck and auc.
        uses_truth_for: what the protocol takes from the ground truth besides the comparison.
    """

    id: str
    name: str
    source: str
    metric: Literal["mpjpe", "pck", "auc", "accel"] = attrs.field(validator=in_(METRICS))
    unit: str
    root: str = "pelvis"
    joints: tuple[str, ...] = ()
    alignment: Literal["none", "scale", "procrustes"] = attrs.field(default="none", validator=in_(ALIGNMENTS))
    hypotheses: Literal["single", "depth-mirror"] = attrs.field(default="single", validator=in_(HYPOTHESES))
    thresholds_mm: tuple[float, ...] = ()
    uses_truth_for: str = "nothing"


@attrs.frozen
class Evaluation:
    """A value, the mean error of each scored joint (mm), and how many samples it rests on."""

    value: float
    per_joint_mm: dict[str, float]
    count: int


def load_protocol(protocol_id: str) -> Protocol:
    """The protocol of a card in ``registry/protocols``; raises `RecipeError` with the nearest id."""
    return structure(Protocol, read_card("protocols", protocol_id), "", f"protocols/{protocol_id}.toml")


def evaluate(protocol: Protocol, prediction: Tensor, truth: Tensor, skeleton: Skeleton) -> Evaluation:
    """Score predictions.

    Args:
        protocol: what to compute.
        prediction: ``(N, J, 3)`` metres, camera frame; ``(N, T, J, 3)`` for ``accel``.
        truth: same shape.
        skeleton: names the joints.

    Raises:
        DataError: the shapes differ or do not fit the skeleton, or a value is not finite.
        RecipeError: the protocol scores a joint that the skeleton lacks.
    """
    errors = joint_errors(protocol, prediction, truth, skeleton)
    accumulator = Accumulator(protocol, _scored(protocol, skeleton))
    accumulator.add(errors)
    return accumulator.result()


def joint_errors(protocol: Protocol, prediction: Tensor, truth: Tensor, skeleton: Skeleton) -> Tensor:
    """Error of each scored joint of each sample, millimetres: ``(N, S)``."""
    _check(prediction, truth, skeleton, 4 if protocol.metric == "accel" else 3)
    prediction, truth = prediction.double(), truth.double()
    if protocol.root:
        index = _joint(protocol.root, skeleton, protocol)
        prediction = prediction - prediction[..., index : index + 1, :]
        truth = truth - truth[..., index : index + 1, :]
    keep = [skeleton.index(name) for name in _scored(protocol, skeleton)]
    prediction, truth = prediction[..., keep, :], truth[..., keep, :]
    if protocol.metric == "accel":
        prediction, truth = _second_difference(prediction), _second_difference(truth)
        return (1000 * (prediction - truth).norm(dim=-1)).flatten(0, -2)
    errors = 1000 * (_aligned(protocol, prediction, truth) - truth).norm(dim=-1)
    if protocol.hypotheses == "depth-mirror":
        mirrored = prediction * prediction.new_tensor([1.0, 1.0, -1.0])
        other = 1000 * (_aligned(protocol, mirrored, truth) - truth).norm(dim=-1)
        better = other.mean(dim=-1) < errors.mean(dim=-1)
        errors = torch.where(better[..., None], other, errors)
    return errors


class Accumulator:
    """Accumulates joint errors per sample, so that a value never depends on the batches.

    Args:
        protocol: what the errors belong to.
        joints: names of the scored joints.
    """

    def __init__(self, protocol: Protocol, joints: Sequence[str]) -> None:
        self.protocol, self.joints = protocol, tuple(joints)
        self._sum = 0.0
        self._per_joint = torch.zeros(len(self.joints), dtype=torch.float64)
        self.count = 0

    def add(self, errors: Tensor) -> None:
        """Add errors ``(N, S)`` in millimetres."""
        self._per_joint += errors.double().sum(dim=0).cpu()
        self._sum += float(_per_sample(self.protocol, errors).sum())
        self.count += len(errors)

    def result(self) -> Evaluation:
        """The value so far.

        Raises:
            DataError: nothing was added.
        """
        if self.count == 0:
            raise DataError("there is nothing to score", where=f"protocol {self.protocol.id!r}", expected="samples")
        per_joint = (self._per_joint / self.count).tolist()
        return Evaluation(self._sum / self.count, dict(zip(self.joints, per_joint, strict=True)), self.count)


def spread(prediction: Tensor, truth: Tensor, skeleton: Skeleton) -> float:
    """Spread of root-relative predictions over that of the truth: 0 for a collapsed model, 1 where they agree.

    Each is the root of the mean squared deviation from the mean pose; ``(N, J, 3)`` both.
    """
    _check(prediction, truth, skeleton, 3)
    root = skeleton.index(skeleton.root)

    def deviation(poses: Tensor) -> Tensor:
        relative = poses.double() - poses[:, root : root + 1].double()
        return (relative - relative.mean(dim=0)).square().sum(-1).mean().sqrt()

    return float(deviation(prediction) / deviation(truth).clamp_min(1e-12))


def _per_sample(protocol: Protocol, errors: Tensor) -> Tensor:
    if protocol.metric in ("mpjpe", "accel"):
        return errors.mean(dim=-1)
    thresholds = errors.new_tensor(protocol.thresholds_mm)
    hits = (errors[..., None] < thresholds) if protocol.metric == "pck" else (errors[..., None] <= thresholds)
    return 100 * hits.double().mean(dim=(-1, -2))


def _aligned(protocol: Protocol, prediction: Tensor, truth: Tensor) -> Tensor:
    if protocol.alignment == "procrustes":
        return procrustes(prediction, truth)
    if protocol.alignment == "scale":
        dot = (prediction * truth).sum((-1, -2), keepdim=True)
        return prediction * dot / prediction.square().sum((-1, -2), keepdim=True).clamp_min(1e-12)
    return prediction


def _second_difference(poses: Tensor) -> Tensor:
    return poses[:, 2:] - 2 * poses[:, 1:-1] + poses[:, :-2]


def _scored(protocol: Protocol, skeleton: Skeleton) -> tuple[str, ...]:
    for name in protocol.joints:
        _joint(name, skeleton, protocol)
    return protocol.joints or skeleton.joints


def _joint(name: str, skeleton: Skeleton, protocol: Protocol) -> int:
    if name not in skeleton.joints:
        raise RecipeError(
            f"skeleton {skeleton.id!r} lacks a joint that the protocol needs",
            where=f"protocol {protocol.id!r}",
            found=name,
            hint=nearest(name, skeleton.joints),
        )
    return skeleton.index(name)


def _check(prediction: Tensor, truth: Tensor, skeleton: Skeleton, axes: int) -> None:
    expected = f"(N, {'T, ' if axes == 4 else ''}{len(skeleton)}, 3)"
    if prediction.shape != truth.shape:
        raise DataError(
            "predictions and truth differ in shape", found=tuple(prediction.shape), expected=tuple(truth.shape)
        )
    if prediction.dim() != axes or prediction.shape[-2:] != (len(skeleton), 3):
        raise DataError("poses of the wrong shape", found=tuple(prediction.shape), expected=expected)
    for name, poses in (("predictions", prediction), ("truth", truth)):
        if not bool(torch.isfinite(poses).all()):
            raise DataError(f"{name} are not finite", found="NaN or infinity", expected="metres")
