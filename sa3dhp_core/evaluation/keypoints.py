"""Keypoints in the image: the share that is near enough, by protocol card. Knows no camera and no depth."""

from __future__ import annotations

import torch
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.evaluation.comparable import need_alike
from sa3dhp_core.evaluation.joints import columns_of, named_by, reading
from sa3dhp_core.evaluation.poses import Evaluation
from sa3dhp_core.evaluation.protocol import Protocol
from sa3dhp_core.evaluation.selection import chosen
from sa3dhp_core.types import FrameFacts, Skeleton


def evaluate_keypoints(
    protocol: Protocol, prediction: Tensor, truth: Tensor, skeleton: Skeleton, facts: FrameFacts | None = None
) -> Evaluation:
    """The protocol's number for keypoints in one image plane, in any unit.

    A keypoint without a true place does not count; one without a predicted place is wrong. A keypoint exactly at the
    largest distance is right. Joints that have no true place anywhere are not in `per_joint`.

    Args:
        protocol: of the metric ``pck-2d``.
        prediction: ``(..., J, 2)``, NaN where there is no prediction.
        truth: the same shape, NaN where there is no truth.
        skeleton: of both.
        facts: what is known of the frames; a protocol that selects some needs it.

    Raises:
        DataError: the protocol is of 3D poses, shapes do not fit, a place is infinite, a person lacks a joint that the
            length is measured between, no keypoint counts, or the frames cannot be selected.
    """
    if protocol.metric != "pck-2d":
        raise DataError(f"protocol {protocol.id!r} does not measure keypoints of an image", hint="evaluate")
    need_alike(prediction, truth, skeleton, 2)
    moving, fixed = (points.detach().reshape(-1, *points.shape[-2:]).double().cpu() for points in (prediction, truth))
    if bool(moving.isinf().any()) or bool(fixed.isinf().any()):
        raise DataError("keypoints are infinite", expected="numbers, or NaN where there is none")
    mask = chosen(protocol, facts, len(moving))
    if mask is not None:
        moving, fixed = moving[mask], fixed[mask]
    allowed = protocol.threshold_share * _lengths(protocol, fixed, skeleton)
    read = reading(protocol, skeleton)
    moving, fixed = moving[:, list(read.columns)], fixed[:, list(read.columns)]
    counts = ~fixed.isnan().any(dim=-1)
    right = (moving - fixed).square().sum(dim=-1).sqrt() <= allowed[:, None]  # False for NaN on either side
    total = int(counts.sum())
    if not total:
        raise DataError(f"nothing to evaluate by {protocol.id!r}", expected="at least one keypoint with a true place")
    shares = zip(read.names, right.sum(dim=0).tolist(), counts.sum(dim=0).tolist(), strict=True)
    return Evaluation(
        protocol=protocol.id,
        value=100.0 * int(right.sum()) / total,
        unit=protocol.unit,
        per_joint={name: 100.0 * good / seen for name, good, seen in shares if seen},
        count=len(fixed),
    )


def _lengths(protocol: Protocol, fixed: Tensor, skeleton: Skeleton) -> Tensor:
    """``(N,)`` the true length that distances of each person are shares of."""
    reader = f"protocol {protocol.id!r}"
    first, last = columns_of(protocol.length_between, named_by(protocol, skeleton), skeleton, reader)
    lengths = torch.linalg.vector_norm(fixed[:, first] - fixed[:, last], dim=-1)
    if bool(lengths.isnan().any()):
        raise DataError(
            f"{reader} has no length to measure by",
            found=f"{int(lengths.isnan().sum())} people without a true place of one of them",
            expected=" and ".join(protocol.length_between),
        )
    return lengths
