"""Figures of lifted poses, with the controls that they stand beside. The truth is read here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.evaluation import counts_any, evaluate, load_protocol, spread
from sa3dhp_core.geometry import fit_scale
from sa3dhp_core.protocols.keypoints import Keypoints
from sa3dhp_core.types import FrameFacts, Skeleton
from sa3dhp_ites import losses
from sa3dhp_ites.heads import at_depth
from sa3dhp_ites.lifter import ItesLifter
from sa3dhp_ites.units import Normaliser

ROLE = "keypoints"
FLAT, FLOOR = "flat depth", "true depth"
PROBES, TURNS = 512, 4
"""Frames and rotations that symmetries are measured on."""

UNITS_M = tuple(0.2 * 1.02**k for k in range(120))
"""Units that the floor is sought among: of a child to those of a giant, in steps of two per cent."""

Masks = Mapping[str, Tensor]
Record = dict[str, object]


def whole(data: Keypoints) -> Tensor:
    """All keypoints ``(N, J, 2)`` of a split."""
    return torch.cat(list(data.batches(4096)))


def masks(data: Keypoints, split: str) -> Masks:
    """Which frames ``(N,)`` are in the split, and in each of its groups, by the names of records."""
    names, clips = data.groups(), data.clip_index()
    found = {f"{ROLE}-{split}": torch.ones(len(data), dtype=torch.bool)}
    if len(set(names)) > 1 and len(set(names)) <= 16:
        for group in sorted(set(names)):
            found[f"{ROLE}-{split}:{group}"] = torch.tensor([name == group for name in names])[clips]
    return found


def score(
    row: str,
    poses: Tensor,
    truth: Tensor,
    some: Masks,
    protocols: Sequence[str],
    body: Skeleton,
    facts: FrameFacts | None = None,
) -> list[Record]:
    """Records of every protocol on every group of frames, and of the spread of all poses relative to the truth's.

    Args:
        row: what the records are called.
        poses: ``(N, J, 3)`` metres.
        truth: the same shape.
        some: frames by the name of the record's split.
        protocols: ids of cards.
        body: skeleton of the poses.
        facts: what is known of the frames; protocols that select some need it, and a group of which they select none
            gets no record.

    Raises:
        DataError: a protocol of motion, which frames alone cannot be scored by, or one that selects frames by what
            `facts` does not tell.
    """
    records: list[Record] = []
    for name in protocols:
        card = load_protocol(name)
        if card.metric == "accel":
            raise DataError(f"protocol {name!r} measures motion; this method lifts frame by frame", where="evaluation")
        for split, frames in some.items():
            known = None if facts is None else facts.of(frames)
            if split != next(iter(some)) and not counts_any(card, known, int(frames.sum())):
                continue
            value = evaluate(card, poses[frames], truth[frames], body, known).value
            records.append({"row": row, "protocol": name, "split": split, "value": value, "unit": card.unit})
    varies = {"row": row, "protocol": "spread", "split": next(iter(some)), "unit": ""}
    return [*records, {**varies, "value": spread(poses, truth, body)}]


def controls(units: Normaliser, keypoints: Tensor, truth: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Poses that need no learning: everyone flat, and the floor of the camera model, which knows the true depths.

    Args:
        units: fitted.
        keypoints: ``(N, J, 2)`` on the camera plane.
        truth: ``(N, J, 3)`` metres.
    """
    points, depth = units(keypoints), true_depths(units, keypoints, truth)
    for name, depths in ((FLAT, torch.zeros_like(depth)), (FLOOR, depth)):
        yield name, units.metres(at_depth(points, depths), keypoints)


def true_depths(units: Normaliser, keypoints: Tensor, truth: Tensor) -> Tensor:
    """Depths ``(N, J, 1)`` in units, relative to the root, by the unit that fits all poses best.

    Args:
        units: fitted.
        keypoints: ``(N, J, 2)`` on the camera plane.
        truth: ``(N, J, 3)`` metres, root-relative.
    """
    seen = truth @ units.turn(keypoints).mT if units.centred else truth
    return seen[..., 2:] / true_unit_m(units(keypoints), seen)


def true_unit_m(points: Tensor, truth: Tensor) -> float:
    """The unit in metres with which keypoints, at the true depths, come closest to the truth, each pose's size fitted.

    Among `UNITS_M`. Takes ``(N, J, 2)`` keypoints in units and ``(N, J, 3)`` metres.
    """

    def error(unit_m: float) -> float:
        placed = at_depth(points, truth[..., 2:] / unit_m)
        return float((fit_scale(placed, truth) - truth).norm(dim=-1).mean())

    return min(UNITS_M, key=error)


@torch.no_grad()
def symmetries(row: str, split: str, lifter: ItesLifter, keypoints: Tensor, tilt: Tensor | None = None) -> list[Record]:
    """How far the lifter is from equivariance about the vertical and, if it has canonical shapes, from invariance.

    The vertical is the camera's, or the true one as a camera sees it that looks down by an angle `tilt`, in radians.
    """
    generator, root = torch.Generator().manual_seed(0), lifter.units.skeleton.index(lifter.units.skeleton.root)
    chosen = torch.randint(len(keypoints), (PROBES,), generator=generator)
    lifter.eval()
    lifted = lifter.lift(lifter.units(keypoints[chosen].to(lifter.units.scale)))
    points, shape = lifted.points - lifted.points[:, [root]], (TURNS, PROBES)
    turned = (points @ losses.vertical_rotations(shape, generator, points, tilt).mT).flatten(0, 1)
    found = {"equivariance": losses.equivariance(lifter.lift, turned, root)}
    if lifted.canonical is not None:
        turns = losses.any_rotations(shape, generator, points)
        found["invariance"] = losses.invariance(lifter.lift, lifted.canonical, turns, root, aligned=True)
        found["canonical-spread"] = losses.spread(lifted.canonical, root)
    facts = {"row": row, "split": split, "unit": "mm"}
    return [{**facts, "protocol": name, "value": 1000 * lifter.units.unit_m * float(v)} for name, v in found.items()]
