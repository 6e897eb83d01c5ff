"""Hypothesis strategies for what components work on: skeletons, poses, cameras, clips, angles, relations.

They draw values and check nothing. All are public: use them in tests of your own.
"""

from __future__ import annotations

import math

import torch
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.reference import MatrixRelation
from sa3dhp_core.geometry import (
    bone_directions,
    forward_kinematics,
    mirror_matrix,
    rotation_x,
    rotation_y,
    rotation_z,
    standard_lengths,
)
from sa3dhp_core.types import Skeleton

HOUSE = skeleton("h36m-17")
seeds = st.integers(0, 2**31 - 1)
dtypes = st.sampled_from([torch.float32, torch.float64])
angles = st.floats(-math.pi, math.pi, allow_nan=False)
"""Radians."""


@st.composite
def skeletons(draw: st.DrawFn) -> Skeleton:
    """A tree with hips and a spine on its root, and up to six more limbs in pairs or in the middle."""
    joints = ["root", "left_0", "right_0", "middle_0"]
    parents = {"root": "root", "left_0": "root", "right_0": "root", "middle_0": "root"}
    pairs = [("left_0", "right_0")]
    for k in range(1, 1 + draw(st.integers(0, 6))):
        middles = [joint for joint in joints if joint.startswith("middle")]
        lefts = [joint for joint in joints if joint.startswith("left")]
        parent = draw(st.sampled_from(middles + lefts))
        if parent in middles and draw(st.booleans()):
            joints.append(f"middle_{k}")
            parents[f"middle_{k}"] = parent
            continue
        joints += [f"left_{k}", f"right_{k}"]
        parents |= {f"left_{k}": parent, f"right_{k}": parent.replace("left", "right")}
        pairs.append((f"left_{k}", f"right_{k}"))
    order = draw(st.permutations(joints))
    lengths = {joint: 0.1 + 0.05 * (len(joint) + joints.index(joint) % 3) for joint in joints if joint != "root"}
    return Skeleton("drawn", tuple(order), parents, tuple(pairs), "root", lengths, {"all": tuple(lengths)})


def random_poses(body: Skeleton, seed: int, *lead: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """``(*lead, J, 3)`` root-relative poses with the card's bone lengths, a tenth more or less, any which way."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(*lead, len(body), 3, generator=generator, dtype=dtype)
    directions = torch.nn.functional.normalize(directions, dim=-1)
    lengths = standard_lengths(body, directions)
    lengths = lengths * (0.9 + 0.2 * torch.rand(*lead, len(body), generator=generator, dtype=dtype))
    return forward_kinematics(directions, lengths, body)


@st.composite
def poses(draw: st.DrawFn, body: Skeleton = HOUSE, count: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    """``(count, J, 3)`` root-relative poses, metres."""
    return random_poses(body, draw(seeds), count, dtype=dtype)


@st.composite
def rotations(draw: st.DrawFn, limit: float = math.pi) -> Tensor:
    """``(3, 3)`` double: turns about z, y and x, each by at most `limit` radians."""
    turn = [torch.tensor(draw(st.floats(-limit, limit)), dtype=torch.float64) for _ in range(3)]
    return rotation_z(turn[0]) @ rotation_y(turn[1]) @ rotation_x(turn[2])


@st.composite
def orthogonal(draw: st.DrawFn, limit: float = math.pi) -> Tensor:
    """``(3, 3)`` double of either handedness."""
    turn = draw(rotations(limit))
    return mirror_matrix(dtype=turn.dtype) @ turn if draw(st.booleans()) else turn


@st.composite
def cameras(draw: st.DrawFn, width: int = 200, height: int = 160) -> Tensor:
    """``(3, 3)`` double intrinsics of a frame with square pixels."""
    focal = draw(st.floats(0.8, 3.0)) * width
    x, y = (size / 2 + draw(st.floats(-0.05, 0.05)) * size for size in (width, height))
    return torch.tensor([[focal, 0.0, x], [0.0, focal, y], [0.0, 0.0, 1.0]], dtype=torch.float64)


@st.composite
def motions(draw: st.DrawFn, body: Skeleton = HOUSE, frames: int = 8, dtype: torch.dtype = torch.float64) -> Tensor:
    """``(frames, J, 3)`` root-relative: one body that moves steadily between two poses, bone lengths constant."""
    first, last = random_poses(body, draw(seeds), 2, dtype=dtype)
    lengths = standard_lengths(body, first)
    share = torch.linspace(0, 1, frames, dtype=dtype)[:, None, None]
    directions = torch.lerp(bone_directions(first, body), bone_directions(last, body), share)
    return forward_kinematics(torch.nn.functional.normalize(directions, dim=-1), lengths, body)


@st.composite
def clips(draw: st.DrawFn, count: int = 2, frames: int = 3, size: int = 24) -> Tensor:
    """``(count, frames, 3, size, size)`` float images in [0, 1], of every frequency."""
    generator = torch.Generator().manual_seed(draw(seeds))
    coarse = torch.rand(count * frames, 3, 4, 4, generator=generator)
    fine = torch.rand(count * frames, 3, size, size, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
    return torch.lerp(smooth, fine, draw(st.floats(0, 1))).unflatten(0, (count, frames))


@st.composite
def relations(draw: st.DrawFn, body: Skeleton = HOUSE, limit: float = math.pi) -> MatrixRelation:
    """Geometric relations of one element: any matrix of O(3) up to `limit` radians about each axis, forth or back."""
    return MatrixRelation(draw(orthogonal(limit)), body, draw(st.booleans()))
