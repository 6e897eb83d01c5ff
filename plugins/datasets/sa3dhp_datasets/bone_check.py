"""How long the bones of a data set's subjects are, and which lengths are no person's. Reads no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from sa3dhp_core.cards import skeleton
from sa3dhp_core.geometry import bone_lengths
from sa3dhp_core.protocols.data_files import BoneCheck
from sa3dhp_datasets.lens import Array

ODD_BONE = 1.8
"""Times longer or shorter than a usual adult's: implausible."""

UNEVEN = 1.25
"""Ratio of the bones of a pair beyond which left and right cannot be one person's."""


def lengths_of(joints: Array) -> Array:
    """``(T, J)`` metres of the bones that end at each joint of ``(T, J, 3)``."""
    return bone_lengths(torch.from_numpy(joints), skeleton()).numpy()


def measured(lengths: Mapping[str, Array]) -> Iterator[BoneCheck]:
    """Each bone over subjects, lengths ``(T, J)`` of each; nothing where there is none."""
    body = skeleton()
    for number, joint in enumerate(body.joints if lengths else ()):
        if joint == body.root:
            continue
        each = [float(np.median(rows[:, number])) for rows in lengths.values()]
        spread = [np.quantile(rows[:, number], (0.05, 0.95)) for rows in lengths.values()]
        varies = max(float(high - low) / max(middle, 1e-9) for (low, high), middle in zip(spread, each, strict=True))
        yield BoneCheck(joint, float(np.median(each)), min(each), max(each), varies)


def implausible(bones: Sequence[BoneCheck], own_m: Mapping[str, float] | None = None) -> Iterator[str]:
    """What is wrong with bones; `own_m` has house joints' usual lengths where the set's joints lie elsewhere."""
    usual, known = {**skeleton().bone_lengths_m, **(own_m or {})}, {bone.joint: bone for bone in bones}
    for bone in bones:
        ratio = bone.median_m / usual[bone.joint]
        if not 1 / ODD_BONE < ratio < ODD_BONE:
            yield f"the bone to {bone.joint} is {bone.median_m:.3f} m long; {usual[bone.joint]:.2f} m is usual"
    for left, right in skeleton().pairs:
        a, b = known.get(left), known.get(right)
        if a and b and not 1 / UNEVEN < a.median_m / max(b.median_m, 1e-9) < UNEVEN:
            yield f"the bones to {left} and {right} are {a.median_m:.3f} m and {b.median_m:.3f} m"
