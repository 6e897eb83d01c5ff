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
from sa3dhp_core.evaluation.comparable import checked, need_alike
from sa3dhp_core.evaluation.distances import per_sample
from sa3dhp_core.evaluation.joints import reading
from sa3dhp_core.evaluation.protocol import SMALLER_IS_BETTER, Protocol
from sa3dhp_core.evaluation.selection import chosen
from sa3dhp_core.types import FrameFacts, Skeleton

AT_ONCE = 8192
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
        need_alike(prediction, truth, self._skeleton)
        some, fixed = (poses.reshape(-1, *poses.shape[-2:]) for poses in (prediction, truth))
        mask = chosen(self._protocol, facts, len(some))
        if mask is not None:
            some, fixed = some[mask.to(some.device)], fixed[mask.to(fixed.device)]
        for moving, still in zip(some.split(AT_ONCE), fixed.split(AT_ONCE), strict=True):
            self._add(moving, still)

    def _add(self, prediction: Tensor, truth: Tensor) -> None:
        values = per_sample(self._protocol, *checked(prediction, truth, self._skeleton), self._reading).cpu()
        if values.shape[-1]:
            self._sums = self._sums + values.sum(dim=-1)
            self._last = values[..., -1]
            self._count += values.shape[-1]

    def result(self) -> Evaluation:
        """The mean over all samples so far; raises `DataError` if there are none."""
        if self._count == 0:
            raise DataError(f"nothing to evaluate by {self._protocol.id!r}", expected="at least one sample that counts")
        means, names = self._better().tolist(), self._reading.names
        joints = means[: len(names)]  # of cps one more follows: that of the whole pose
        return Evaluation(
            protocol=self._protocol.id,
            value=means[-1] if self._protocol.metric == "cps" else math.fsum(means) / len(means),
            unit=self._protocol.unit,
            per_joint=dict(zip(names, joints, strict=True)),
            count=self._count,
        )

    def _better(self) -> Tensor:
        """``(K,)`` of each column of `per_sample` the mean over samples, of the better set of hypotheses."""
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
