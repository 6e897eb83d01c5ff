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

from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import bone_lengths, rotation_x, rotation_y
from sa3dhp_core.types import Skeleton
from sa3dhp_ites.heads import Lifted
from sa3dhp_ites.units import project

Lift = Callable[[Tensor], Lifted]

LONGEST = 0.95
"""Share of frames in which a bone is seen shorter than the length that it is taken to have."""


def any_rotations(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    """Rotation matrices ``(*shape, 3, 3)``, uniform on SO(3): normalised Gaussian quaternions."""
    quaternions = torch.nn.functional.normalize(torch.randn(*shape, 4, generator=generator), dim=-1)
    matrices: Tensor = roma.unitquat_to_rotmat(quaternions.to(like))
    return matrices


def vertical_rotations(
    shape: tuple[int, ...], generator: torch.Generator, like: Tensor, tilt: Tensor | None = None
) -> Tensor:
    """Rotation matrices ``(*shape, 3, 3)`` by uniform angles about the camera's vertical axis.

    Or about the true vertical, as a camera sees it that looks down by an angle `tilt`, in radians.
    """
    turns = rotation_y((2 * math.pi * torch.rand(shape, generator=generator)).to(like))
    if tilt is None:
        return turns
    down = rotation_x(tilt)
    return down @ turns @ down.mT


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
        root: index of the root joint.
        aligned: whether the shapes are moved to their root first; else nothing moves their projections there either.
    """
    shape = canonical - canonical[:, [root]] if aligned else canonical
    again = lift(project(shape @ rotations.mT).flatten(0, 1)).canonical
    assert again is not None
    again = again - again[:, [root]] if aligned else again
    return (again.view(*rotations.shape[:2], *shape.shape[1:]) - shape).norm(dim=-1).mean()


def equivariance(lift: Lift, turned: Tensor, root: int) -> Tensor:
    """Mean distance of poses that were turned from what is lifted from their projections.

    Args:
        lift: keypoints in units to poses.
        turned: ``(N, J, 3)`` poses around the point at the distance 5, root at that point.
        root: index of the root joint.
    """
    again = lift(project(turned)).points
    return (again - again[:, [root]] - turned).norm(dim=-1).mean()


def relative_lengths(points: Tensor, skeleton: Skeleton) -> Tensor:
    """The longest that each bone is seen, ``(J,)``, both sides alike, of mean 1; the root has none, 0.

    A bone is never longer in the image than it is, and in some frames it lies across the line of sight. The longest is
    the 95th of 100, which outliers and nearness move less.

    Args:
        points: ``(N, J, 2)`` keypoints in units, NaN where unseen.
        skeleton: of the keypoints.

    Raises:
        DataError: a bone is never seen.
    """
    seen = (points - points[:, list(skeleton.parent_indices)]).norm(dim=-1)
    longest = seen.nanquantile(LONGEST, dim=0)
    if not bool(longest.isfinite().all()):
        lost = [skeleton.joints[joint] for joint in longest.isfinite().logical_not().nonzero().flatten().tolist()]
        raise DataError("no frame shows both ends of the bones to these joints", found=", ".join(lost))
    both = (longest + longest[list(skeleton.mirror)]) / 2
    return both / both[list(skeleton.bones)].mean()


def bone_error(points: Tensor, lengths: Tensor, seen: Tensor, skeleton: Skeleton) -> Tensor:
    """Mean square of how far bones are from known relative lengths, at the size that suits each pose best.

    Args:
        points: ``(N, J, 3)`` poses.
        lengths: ``(J,)``, of mean 1 over the bones.
        seen: ``(N, J)``; a bone counts where both ends were seen.
        skeleton: of the poses.
    """
    counts = (seen & seen[:, list(skeleton.parent_indices)])[:, list(skeleton.bones)]
    wanted, found = lengths[list(skeleton.bones)], bone_lengths(points, skeleton)[:, list(skeleton.bones)]
    along, whole = ((counts * some * wanted).sum(dim=1, keepdim=True) for some in (found, wanted))
    square = (found / (along / whole.clamp_min(1e-6)).clamp_min(1e-3) - wanted).square()
    return (square * counts).sum() / counts.sum().clamp_min(1)


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
