"""The method's losses and the rotations that its cycles draw (METHOD.md section 2). Everything is in units.

A cycle turns what was lifted, projects it, lifts it again and compares: what is canonical must not have changed
(invariance), what is in the camera must have turned as it was turned (equivariance).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import roma
import torch
from torch import Tensor

from sa3dhp_core.geometry import rotation_y
from sa3dhp_ites.heads import Lifted
from sa3dhp_ites.units import project

Lift = Callable[[Tensor], Lifted]


def any_rotations(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    """Rotation matrices ``(*shape, 3, 3)``, uniform on SO(3): normalised Gaussian quaternions."""
    quaternions = torch.nn.functional.normalize(torch.randn(*shape, 4, generator=generator), dim=-1)
    matrices: Tensor = roma.unitquat_to_rotmat(quaternions.to(like))
    return matrices


def vertical_rotations(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    """Rotation matrices ``(*shape, 3, 3)`` about the camera's vertical axis, by uniform angles."""
    return rotation_y((2 * math.pi * torch.rand(shape, generator=generator)).to(like))


def reprojection(lifted: Lifted, points: Tensor, seen: Tensor) -> Tensor:
    """Mean distance of seen joints from where the pose that the dictionary makes projects.

    Args:
        lifted: of ``points``.
        points: ``(N, J, 2)`` keypoints in units.
        seen: ``(N, J)``.
    """
    assert lifted.modelled is not None
    distance = (project(lifted.modelled) - points).norm(dim=-1)
    return (distance * seen).sum() / seen.sum().clamp_min(1)


def invariance(lift: Lift, canonical: Tensor, rotations: Tensor, root: int, aligned: bool) -> Tensor:
    """Mean distance of canonical shapes from those of their own rotated projections.

    Args:
        lift: keypoints in units to poses.
        canonical: ``(N, J, 3)`` shapes.
        rotations: ``(R, N, 3, 3)``.
        root: index of the root joint, on which the projections are centred, as keypoints are.
        aligned: whether the shapes are moved to their root first.
    """
    shape = canonical - canonical[:, [root]] if aligned else canonical
    seen = project(shape @ rotations.mT).flatten(0, 1)
    again = lift(seen - seen[:, [root]]).canonical
    assert again is not None
    again = again - again[:, [root]] if aligned else again
    return (again.view(*rotations.shape[:2], *shape.shape[1:]) - shape).norm(dim=-1).mean()


def equivariance(lift: Lift, points: Tensor, rotations: Tensor, root: int) -> Tensor:
    """Mean distance of rotated poses from what is lifted from their projections.

    Args:
        lift: keypoints in units to poses.
        points: ``(N, J, 3)`` poses around the point at the distance 5, root at that point.
        rotations: ``(R, N, 3, 3)``.
        root: index of the root joint.
    """
    turned = (points @ rotations.mT).flatten(0, 1)
    again = lift(project(turned)).points
    return (again - again[:, [root]] - turned).norm(dim=-1).mean()


def spread(canonical: Tensor, root: int) -> Tensor:
    """Mean distance of the joints of canonical shapes ``(N, J, 3)``, relative to their roots, from those of their mean.

    Towards zero the teacher has settled for one rigid shape, which no rotation changes.
    """
    beside = canonical - canonical[:, [root]]
    return (beside - beside.mean(dim=0)).norm(dim=-1).mean()


def depth_distance(student: Tensor, teacher: Tensor, root: int) -> Tensor:
    """Mean distance of the depths of two poses ``(N, J, 3)`` relative to their roots."""
    own, wanted = (points[..., 2] - points[..., [root], 2] for points in (student, teacher))
    return (own - wanted).abs().mean()
