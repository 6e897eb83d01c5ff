"""Metrics by protocol card: what exactly a reported number is. Runs no model and chooses no split.

A protocol says which joints count, relative to which root, how predictions are aligned to the truth, which of several
hypotheses counts and how errors are averaged; its card in ``registry/protocols`` is all of that as data. Errors are
accumulated per sample and joint, in double precision, never as means of batches.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any, Literal

import attrs
import cattrs
import torch
from cattrs.errors import ClassValidationError
from cattrs.v import transform_error
from torch import Tensor

from sa3dhp_core.cards import read_card, registry_folder
from sa3dhp_core.errors import DataError, RecipeError, nearest
from sa3dhp_core.geometry.alignment import fit_scale, misfit
from sa3dhp_core.geometry.shapes import need_poses
from sa3dhp_core.types import Skeleton

MM = 1000.0

Metric = Literal["mpjpe", "pck", "auc", "accel"]
Alignment = Literal["none", "scale", "procrustes"]
Scale = Literal["predicted", "fitted"]
Hypotheses = Literal["single", "best-of-depth-mirror", "one-depth-mirror"]

AT_ONCE = 8192
"""Poses that are compared at once: as many as stay in a processor's cache."""

UNITS: dict[str, str] = {"mpjpe": "mm", "pck": "%", "auc": "%", "accel": "mm/frame^2"}


@attrs.frozen
class Protocol:
    """How a number comes about; the fields are the card's keys.

    Attributes:
        id: the card's file name.
        name: what the field calls the number.
        source: where the definition comes from.
        metric: ``mpjpe`` mean distance; ``pck`` share of joints nearer than the threshold; ``auc`` mean of that share
            over all thresholds; ``accel`` mean distance of second differences over time.
        joints: names of the joints that count; empty means all.
        root: joint that both poses are moved to before all else, or ``none``.
        alignment: ``none``, ``scale`` (one factor a pose), ``procrustes`` (rotation, translation and, if the scale
            is fitted, size).
        scale: ``predicted`` (as it is) or ``fitted`` to the truth.
        hypotheses: ``single``, or ``best-of-depth-mirror``: a pose counts as the better of itself and its mirror in
            depth, each after alignment, by mean distance; ``one-depth-mirror``: all poses, or all of their mirrors,
            whichever are better on the mean over the set.
        averaging: ``sample``: every joint of every sample (of ``accel``: of every inner frame) weighs the same.
        unit: of the value.
        oracle_inputs: what of the truth enters the prediction before it is compared.
        thresholds_mm: of ``pck`` (one) and ``auc``.
    """

    id: str
    name: str
    source: str
    metric: Metric
    root: str
    alignment: Alignment
    scale: Scale
    hypotheses: Hypotheses
    unit: str
    joints: tuple[str, ...] = ()
    averaging: Literal["sample"] = "sample"
    oracle_inputs: tuple[str, ...] = ()
    thresholds_mm: tuple[float, ...] = ()

    def __attrs_post_init__(self) -> None:
        wanted = {"none": ("predicted",), "scale": ("fitted",), "procrustes": ("predicted", "fitted")}[self.alignment]
        oracles = {
            "true scale": self.scale == "fitted",
            "true orientation": self.alignment == "procrustes",
            "true depth sign": self.hypotheses != "single",
        }
        problems = [
            (
                self.scale not in wanted,
                "scale",
                self.scale,
                " or ".join(wanted) + f" with alignment {self.alignment!r}",
            ),
            (self.unit != UNITS[self.metric], "unit", self.unit, UNITS[self.metric]),
            (
                set(self.oracle_inputs) != {name for name, used in oracles.items() if used},
                "oracle_inputs",
                list(self.oracle_inputs),
                [name for name, used in oracles.items() if used],
            ),
            (
                len(self.thresholds_mm) < {"pck": 1, "auc": 2}.get(self.metric, 0)
                or len(self.thresholds_mm) > {"pck": 1, "auc": math.inf}.get(self.metric, 0),
                "thresholds_mm",
                list(self.thresholds_mm),
                {"pck": "one threshold", "auc": "two or more thresholds"}.get(self.metric, "none"),
            ),
            (self.metric == "accel" and self.alignment != "none", "alignment", self.alignment, "none with accel"),
            (
                self.metric == "accel" and self.hypotheses != "single",
                "hypotheses",
                self.hypotheses,
                "single with accel",
            ),
        ]
        for wrong, key, found, expected in problems:
            if wrong:
                raise RecipeError(
                    "the card contradicts itself",
                    where=f"protocols/{self.id}.toml: {key}",
                    found=found,
                    expected=expected,
                )


def protocol_from_card(card: dict[str, Any], where: str) -> Protocol:
    """A protocol from a card's plain data; `where` names the card in errors.

    Raises:
        RecipeError: a key is missing, unknown, ill-typed or contradicts another.
    """
    known = [field.name for field in attrs.fields(Protocol)]
    for key in card:
        if key not in known:
            raise RecipeError("unknown key", where=f"{where}: {key}", hint=nearest(key, known))
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(str, lambda value, _: _exactly(value, str))
    converter.register_structure_hook(float, lambda value, _: float(_exactly(value, float, int)))
    try:
        return converter.structure(card, Protocol)
    except ClassValidationError as error:
        own = [inner for inner in error.exceptions if isinstance(inner, RecipeError)]
        if own:
            raise own[0] from None
        raise RecipeError("the card cannot be read", where=where, found="; ".join(transform_error(error))) from error


def _exactly(value: Any, *types: type) -> Any:
    if type(value) not in types:
        raise TypeError(f"expected {types[0].__name__}, found {value!r}")
    return value


@cache
def load_protocol(card_id: str) -> Protocol:
    """The protocol of a card in ``registry/protocols``.

    Raises:
        RecipeError: there is no such card, or it is wrong.
    """
    where = f"protocols/{card_id}.toml"
    protocol = protocol_from_card(read_card("protocols", card_id), where)
    if protocol.id != card_id:
        path = Path(registry_folder() / "protocols" / f"{card_id}.toml")
        raise RecipeError("the id is not the file's name", where=str(path), found=protocol.id, expected=card_id)
    return protocol


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
    """Sums errors batch by batch; the result does not depend on how samples are divided into batches."""

    def __init__(self, protocol: Protocol, skeleton: Skeleton) -> None:
        unknown = [joint for joint in (*protocol.joints, protocol.root) if joint not in (*skeleton.joints, "none")]
        if unknown:
            raise DataError(
                f"protocol {protocol.id!r} does not fit the skeleton {skeleton.id!r}",
                found=f"joint {unknown[0]!r}",
                hint=nearest(unknown[0], skeleton.joints),
            )
        self._protocol, self._skeleton = protocol, skeleton
        self._joints = protocol.joints or skeleton.joints
        self._sums = torch.zeros(1, len(self._joints), dtype=torch.float64)
        self._count = 0

    def add(self, prediction: Tensor, truth: Tensor) -> None:
        """Count samples in.

        Args:
            prediction: ``(..., J, 3)`` metres; of ``accel`` ``(..., T, J, 3)`` with T >= 3 consecutive frames.
            truth: the same shape.

        Raises:
            DataError: shapes differ or do not fit the skeleton, values are not finite, or T is too small.
        """
        if self._protocol.metric == "accel":
            self._add(prediction, truth)
            return
        _fitting(prediction, truth, self._skeleton)
        some, fixed = (poses.reshape(-1, *poses.shape[-2:]).split(AT_ONCE) for poses in (prediction, truth))
        for moving, still in zip(some, fixed, strict=True):
            self._add(moving, still)

    def _add(self, prediction: Tensor, truth: Tensor) -> None:
        values = _per_sample(self._protocol, prediction, truth, self._skeleton, self._joints)
        self._sums = self._sums + values.sum(dim=-1).cpu()
        self._count += values.shape[-1]

    def result(self) -> Evaluation:
        """The mean over all samples so far; raises `DataError` if there are none."""
        if self._count == 0:
            raise DataError(f"nothing to evaluate by {self._protocol.id!r}", expected="at least one sample")
        means = self._better().tolist()
        return Evaluation(
            protocol=self._protocol.id,
            value=math.fsum(means) / len(means),
            unit=self._protocol.unit,
            per_joint=dict(zip(self._joints, means, strict=True)),
            count=self._count,
        )

    def _better(self) -> Tensor:
        """``(K,)`` of each counted joint the mean over samples, of the better set of hypotheses."""
        means = self._sums / self._count
        smaller = UNITS[self._protocol.metric] != "%"
        whole = means.mean(dim=-1)
        return means[int(whole.argmin() if smaller else whole.argmax())]


def evaluate(protocol: Protocol, prediction: Tensor, truth: Tensor, skeleton: Skeleton) -> Evaluation:
    """The protocol's number for predictions ``(..., J, 3)`` in metres against the truth; see `Accumulator.add`."""
    accumulator = Accumulator(protocol, skeleton)
    accumulator.add(prediction, truth)
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
    moving, fixed = ((poses - poses[skeleton.index(skeleton.root)]).flatten(2) for poses in (moving, fixed))
    own, wanted = (
        float(((poses - poses.mean(dim=2, keepdim=True)) ** 2).sum(dim=1).mean().sqrt()) for poses in (moving, fixed)
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
    """Both in double, ``(J, 3, ...)`` with at least one further axis, after refusing what cannot be compared.

    Poses then lie side by side in memory, and sums over joints and coordinates run over many of them at once.
    """
    _fitting(prediction, truth, skeleton)
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


def _per_sample(
    protocol: Protocol, prediction: Tensor, truth: Tensor, skeleton: Skeleton, joints: tuple[str, ...]
) -> Tensor:
    """``(H, K, N)``: of each set of hypotheses, counted joint and sample, what the protocol averages."""
    moving, fixed = _checked(prediction, truth, skeleton)
    if protocol.root != "none" and protocol.alignment != "procrustes":  # which moves poses itself
        root = skeleton.index(protocol.root)
        moving, fixed = moving - moving[root], fixed - fixed[root]
    if joints != skeleton.joints:
        kept = [skeleton.index(joint) for joint in joints]
        moving, fixed = moving[kept], fixed[kept]
    if protocol.metric == "accel":
        if moving.dim() < 4 or moving.shape[-1] < 3:
            raise DataError(
                "acceleration needs sequences", found=tuple(prediction.shape), expected="(..., T >= 3, J, 3)"
            )
        moving, fixed = moving.diff(n=2), fixed.diff(n=2)
    moving, fixed = moving.flatten(2), fixed.flatten(2)
    distance_mm = _distance_mm(protocol, moving, fixed).unsqueeze(0)
    if protocol.hypotheses != "single":
        other = _distance_mm(protocol, moving * moving.new_tensor([[1.0], [1.0], [-1.0]]), fixed).unsqueeze(0)
        if protocol.hypotheses == "one-depth-mirror":
            distance_mm = torch.cat([distance_mm, other])
        else:
            better = other.mean(dim=1, keepdim=True) < distance_mm.mean(dim=1, keepdim=True)
            distance_mm = torch.where(better, other, distance_mm)
    if protocol.metric in ("mpjpe", "accel"):
        return distance_mm
    thresholds = distance_mm.new_tensor(protocol.thresholds_mm)
    return 100.0 * (distance_mm.unsqueeze(-1) < thresholds).double().mean(dim=-1)


def _distance_mm(protocol: Protocol, moving: Tensor, fixed: Tensor) -> Tensor:
    """``(J, N)`` of ``(J, 3, N)``."""
    if protocol.alignment == "none":
        apart = fixed - moving
    else:
        poses, truth = moving.movedim(-1, 0), fixed.movedim(-1, 0)
        fitted = protocol.scale == "fitted"
        rest = misfit(poses, truth, fitted) if protocol.alignment == "procrustes" else truth - fit_scale(poses, truth)
        apart = rest.movedim(0, -1)
    return MM * apart.square_().sum(dim=1).sqrt_()
