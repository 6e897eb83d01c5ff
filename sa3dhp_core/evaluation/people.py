"""Several people a frame: predictions are matched to true people, then scored by protocol card. Detects nobody."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.evaluation.comparable import checked
from sa3dhp_core.evaluation.distances import per_sample
from sa3dhp_core.evaluation.joints import columns_of, named_by, reading
from sa3dhp_core.evaluation.protocol import Protocol
from sa3dhp_core.geometry.shapes import need_poses
from sa3dhp_core.types import Skeleton


@attrs.frozen(eq=False)
class People:
    """The people of one frame, in any order and of any number.

    Attributes:
        poses: ``(P, J, 3)`` metres in the camera's frame, each where the person stands.
        keypoints: ``(P, J, 2)`` their joints in the frame, pixels; NaN where a joint has no place.
    """

    poses: Tensor
    keypoints: Tensor


@attrs.frozen
class PeopleEvaluation:
    """A number with what it rests on.

    Attributes:
        protocol: id of its card.
        value: in `unit`.
        unit: ``%``.
        per_joint: joint name to the value of that joint alone.
        per_sequence: name of a sequence to its value; one without anybody to count is not in it.
        count: true people that count.
        missed: true people without a prediction, whether they count or not.
        unclaimed: predictions that belong to nobody; they cost nothing.
    """

    protocol: str
    value: float
    unit: str
    per_joint: dict[str, float]
    per_sequence: dict[str, float]
    count: int
    missed: int
    unclaimed: int


def evaluate_people(
    protocol: Protocol,
    prediction: Sequence[People],
    truth: Sequence[People],
    skeleton: Skeleton,
    sequences: Sequence[str],
) -> PeopleEvaluation:
    """The protocol's number for all people of all frames.

    Args:
        protocol: one that says how people are matched.
        prediction: people of each frame.
        truth: those that are annotated in it.
        skeleton: of all of them.
        sequences: name of each frame's sequence.

    Raises:
        DataError: the protocol is of single poses, lengths differ, people do not fit the skeleton or are not finite, or
            there is nobody to count.
    """
    if protocol.people is None:
        raise DataError(f"protocol {protocol.id!r} does not say how people are matched", hint="evaluate")
    if not len(prediction) == len(truth) == len(sequences):
        found = f"{len(prediction)}, {len(truth)} and {len(sequences)}"
        raise DataError("predictions, truth and names of sequences differ in number", found=found)
    read, names = reading(protocol, skeleton), list(dict.fromkeys(sequences))
    pairs = _pairs(protocol, prediction, truth, [names.index(name) for name in sequences], skeleton)
    poses = torch.zeros(0, 2, len(skeleton), 3) if not pairs.poses else torch.stack(pairs.poses)
    rows = per_sample(protocol, *checked(poses[:, 0], poses[:, 1], skeleton), read)[0].mT.cpu()
    counted = pairs.matched + pairs.missed if protocol.people.count == "all" else pairs.matched
    if not counted:
        raise DataError(f"nobody to evaluate by {protocol.id!r}", expected="at least one person who counts")
    counts = torch.tensor(counted).bincount(minlength=len(names))
    sums = torch.zeros(len(names), len(read.names), dtype=rows.dtype)
    sums = sums.index_add(0, torch.tensor(pairs.matched, dtype=torch.int64), rows)
    means = sums[counts > 0] / counts[counts > 0, None]
    values = means.mean(dim=1).tolist()
    scored = [name for name, count in zip(names, counts.tolist(), strict=True) if count]
    return PeopleEvaluation(
        protocol=protocol.id,
        value=math.fsum(values) / len(values),
        unit=protocol.unit,
        per_joint=dict(zip(read.names, means.mean(dim=0).tolist(), strict=True)),
        per_sequence=dict(zip(scored, values, strict=True)),
        count=len(counted),
        missed=len(pairs.missed),
        unclaimed=sum(len(people.poses) for people in prediction) - len(pairs.matched),
    )


@attrs.frozen(eq=False)
class _Pairs:
    """Predicted and true poses ``(2, J, 3)`` of matched people, their sequences, and those of people without."""

    poses: list[Tensor] = attrs.field(factory=list)
    matched: list[int] = attrs.field(factory=list)
    missed: list[int] = attrs.field(factory=list)


def _pairs(
    protocol: Protocol,
    prediction: Sequence[People],
    truth: Sequence[People],
    sequences: Sequence[int],
    skeleton: Skeleton,
) -> _Pairs:
    """True people of all frames, each with their prediction if there is one."""
    assert protocol.people is not None
    reader, pairs = f"protocol {protocol.id!r}", _Pairs()
    speaking = list(columns_of(protocol.people.joints, named_by(protocol, skeleton), skeleton, reader))
    for found, wanted, sequence in zip(prediction, truth, sequences, strict=True):
        _need_people(found, skeleton)
        _need_people(wanted, skeleton)
        places = found.keypoints[:, speaking], wanted.keypoints[:, speaking]
        for true, best in enumerate(match_people(*places, protocol.people.within_px)):
            if best is None:
                pairs.missed.append(sequence)
            else:
                pairs.poses.append(torch.stack([found.poses[best], wanted.poses[true].to(found.poses)]))
                pairs.matched.append(sequence)
    return pairs


def match_people(predicted: Tensor, true: Tensor, within_px: float) -> list[int | None]:
    """Whose prediction is whose: for each true person the place of their prediction, or None.

    A joint speaks for a pair if it is nearer than `within_px` along x and along y; a joint that is NaN on either side
    does not. True people choose in their order, each the prediction still free for which most joints speak, the first
    of equals, and none for which no joint does (the rule of MuPoTS-3D).

    Args:
        predicted: ``(P, K, 2)`` pixels.
        true: ``(Q, K, 2)`` pixels.
        within_px: least distance that does not speak.
    """
    near = ((true[:, None] - predicted[None].to(true)).abs() < within_px).all(dim=-1)
    free, found = list(range(len(predicted))), list[int | None]()
    for votes in near.sum(dim=-1).tolist():
        best = max(free, key=votes.__getitem__, default=None)
        if best is not None and votes[best]:
            free.remove(best)
            found.append(best)
        else:
            found.append(None)
    return found


def _need_people(people: People, skeleton: Skeleton) -> None:
    """Raise `DataError` unless each person has a pose and keypoints of the skeleton."""
    need_poses(people.poses, skeleton, "poses of people")
    need_poses(people.keypoints, skeleton, "keypoints of people", 2)
    if people.poses.dim() != 3 or people.keypoints.shape[:-1] != people.poses.shape[:-1]:
        raise DataError(
            "not one pose and one set of keypoints a person",
            found=f"{tuple(people.poses.shape)} and {tuple(people.keypoints.shape)}",
            expected="(P, J, 3) and (P, J, 2)",
        )
