"""How far a lifter is from the symmetries of what it sees, before training and after: one number each. Judges nothing.

What was lifted is turned, projected and lifted again. Sizes and distances are the lifter's own: people are put as far
away as it takes them to be, one size is fitted to each pose, and millimetres are those of a body of the card's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sa3dhp_core.geometry import bone_lengths, fit_scale, project, rotation_y, rotation_z, standard_lengths
from sa3dhp_core.types import Skeleton

Lift = Callable[[Tensor], Tensor]
"""``(N, J, 2)`` keypoints on the camera plane to ``(N, J, 3)`` poses or shapes, relative to their roots."""

TURNS = 4
"""Turns of each pose."""

NEAREST_M = 2.0
"""Nobody is put nearer."""


@torch.no_grad()
def turn_error_mm(lift: Lift, keypoints: Tensor, skeleton: Skeleton, generator: torch.Generator) -> float:
    """Mean distance of joints of poses turned about the camera's vertical from what is lifted from their projections.

    Args:
        lift: keypoints to poses.
        keypoints: ``(N, J, 2)``, NaN where unseen.
        skeleton: of the keypoints.
        generator: of the turns.
    """
    poses = lift(keypoints)
    turned = poses @ rotation_y(_angles(generator, poses)).mT
    again = lift(_seen(turned, _distances_m(poses, keypoints)))
    return _apart_mm(again, turned.flatten(0, 1), skeleton)


@torch.no_grad()
def shape_error_mm(
    canonical_shape: Lift, lift: Lift, keypoints: Tensor, skeleton: Skeleton, generator: torch.Generator
) -> float:
    """Mean distance of joints of canonical shapes from those told of their projections, turned by any rotation.

    Args:
        canonical_shape: keypoints to canonical shapes.
        lift: keypoints to poses, which tell how far away people are.
        keypoints: ``(N, J, 2)``, NaN where unseen.
        skeleton: of the keypoints.
        generator: of the rotations, which are uniform on SO(3).
    """
    shapes = canonical_shape(keypoints)
    turned = shapes @ _any_rotations(generator, shapes).mT
    again = canonical_shape(_seen(turned, _distances_m(lift(keypoints), keypoints)))
    return _apart_mm(again, shapes.expand_as(turned).flatten(0, 1), skeleton)


def _angles(generator: torch.Generator, poses: Tensor) -> Tensor:
    """``(TURNS, N)`` radians, uniform."""
    return (2 * math.pi * torch.rand(TURNS, len(poses), generator=generator)).to(poses)


def _any_rotations(generator: torch.Generator, poses: Tensor) -> Tensor:
    """``(TURNS, N, 3, 3)``: turns about z, y and z again, uniform where the middle one's cosine is."""
    first, last = _angles(generator, poses), _angles(generator, poses)
    middle = (1 - 2 * torch.rand(TURNS, len(poses), generator=generator)).acos().to(poses)
    return rotation_z(first) @ rotation_y(middle) @ rotation_z(last)


def _distances_m(poses: Tensor, keypoints: Tensor) -> Tensor:
    """How far away ``(N, 1, 3)`` a lifter takes people to be: as much as poses are larger than their keypoints."""
    unseen = keypoints.isnan()
    own, image = (
        (points - points.nanmean(dim=-2, keepdim=True)).square().nansum(dim=(-1, -2)).sqrt()
        for points in (poses[..., :2].masked_fill(unseen, torch.nan), keypoints)
    )
    away = torch.zeros_like(poses[:, :1])
    away[:, 0, 2] = (own / image).clamp_min(NEAREST_M)
    return away


def _seen(turned: Tensor, away: Tensor) -> Tensor:
    """Keypoints ``(TURNS * N, J, 2)`` of poses ``(TURNS, N, J, 3)`` around points on the axis."""
    return project(turned + away, torch.eye(3, dtype=turned.dtype)).flatten(0, 1)


def _apart_mm(found: Tensor, wanted: Tensor, skeleton: Skeleton) -> float:
    """Mean distance of joints of ``(N, J, 3)``, each pose wanted at the card's size, each found at what suits best."""
    bones = list(skeleton.bones)
    usual, own = standard_lengths(skeleton, wanted)[bones].mean(), bone_lengths(wanted, skeleton)[..., bones].mean(-1)
    wanted = wanted * (usual / own.clamp_min(1e-9))[..., None, None]
    return 1000 * float((fit_scale(found, wanted) - wanted).norm(dim=-1).mean())
