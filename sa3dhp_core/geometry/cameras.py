"""Pinhole cameras: projection, view points, and virtual cameras that look at a person. Never looks into an image.

Frames are OpenCV's (x right, y down, z away); intrinsics ``(..., 3, 3)`` are in pixels without skew. As everywhere in
this package, pixel coordinates start at the image's corner, so that a crop's centre is ``size / 2``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sa3dhp_core.geometry.orthogonal import rotation_x, rotation_z
from sa3dhp_core.geometry.shapes import fit_all, need


def project(points: Tensor, intrinsics: Tensor) -> Tensor:
    """Camera-frame points ``(*A, *B, J, 3)`` in any unit to pixels ``(*A, *B, J, 2)``.

    Args:
        points: in front of the camera (z > 0), absolute.
        intrinsics: ``(*A, 3, 3)`` or ``(*A, *B, 3, 3)`` pixels.

    Raises:
        DataError: a shape does not fit.
    """
    need(points, "points", None, 3)
    need(intrinsics, "intrinsics", 3, 3)
    points, camera = fit_all((points, 2), (intrinsics.to(points), 2))
    homogeneous = points @ camera.transpose(-1, -2)
    return homogeneous[..., :2] / homogeneous[..., 2:]


def rays(pixels: Tensor, intrinsics: Tensor) -> Tensor:
    """Pixels ``(..., 2)`` to the camera-frame points ``(..., 3)`` at depth 1 that project onto them.

    Args:
        pixels: ``(..., 2)``.
        intrinsics: ``(..., 3, 3)`` pixels, broadcast against the pixels' leading axes.
    """
    focal = torch.diagonal(intrinsics[..., :2, :2], dim1=-2, dim2=-1)
    at = (pixels - intrinsics[..., :2, 2]) / focal
    return torch.cat([at, torch.ones_like(at[..., :1])], dim=-1)


def root_position(poses: Tensor, keypoints: Tensor, intrinsics: Tensor) -> Tensor:
    """Where the root stands in the camera, so that a root-relative pose projects onto its keypoints: least squares.

    Args:
        poses: ``(..., J, 3)`` root-relative, camera frame.
        keypoints: ``(..., J, 2)`` pixels.
        intrinsics: ``(..., 3, 3)`` pixels.

    Returns:
        ``(..., 3)`` in the unit of the poses.

    Raises:
        DataError: a shape does not fit.
    """
    need(poses, "poses", None, 3)
    need(keypoints, "keypoints", None, 2)
    flat = rays(keypoints, intrinsics.unsqueeze(-3))[..., :2]
    equations = torch.cat([torch.eye(2).to(flat).expand(*flat.shape, 2), -flat[..., None]], dim=-1)
    wanted = flat * poses[..., 2:] - poses[..., :2]
    found: Tensor = torch.linalg.lstsq(equations.flatten(-3, -2), wanted.flatten(-2).unsqueeze(-1)).solution
    return found.squeeze(-1)


def viewpoint(azimuth: Tensor | float, elevation: Tensor | float, roll: Tensor | float = 0.0) -> Tensor:
    """Rotation ``(..., 3, 3)`` from the world (right-handed, z up) into a camera (x right, y down, z away).

    Args:
        azimuth: radians ``(...)``. At 0 the camera looks along the world's +y with the world's +x on its right; it
            turns counter-clockwise as seen from above.
        elevation: radians; positive: the camera stands above and looks down.
        roll: radians; the image's content turns clockwise.
    """
    given = [angle for angle in (azimuth, elevation, roll) if isinstance(angle, Tensor)]
    like = given[0] if given else torch.zeros(())
    azimuth, elevation, roll = torch.broadcast_tensors(
        *(torch.as_tensor(angle, dtype=like.dtype, device=like.device) for angle in (azimuth, elevation, roll))
    )
    level = like.new_tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    return rotation_z(roll) @ rotation_x(elevation) @ level @ rotation_z(-azimuth)


def turn_between(start: Tensor, end: Tensor) -> Tensor:
    """The smallest rotation ``(..., 3, 3)`` that takes one unit vector ``(..., 3)`` to another.

    A product of two half-turns, about `start` and about the bisector, hence orthogonal however close the vectors are
    to opposite; for exactly opposite ones some half-turn across is taken.
    """
    start, end = torch.broadcast_tensors(start, end)
    smallest = torch.nn.functional.one_hot(start.abs().argmin(dim=-1), 3).to(start)
    across = torch.nn.functional.normalize(torch.linalg.cross(start, smallest), dim=-1)
    between = start + end
    opposite = (between * between).sum(-1, keepdim=True) < 1e-12
    axis = torch.nn.functional.normalize(torch.where(opposite, across, between), dim=-1)
    one = torch.eye(3, dtype=start.dtype, device=start.device)
    return (2 * axis.unsqueeze(-1) * axis.unsqueeze(-2) - one) @ (2 * start.unsqueeze(-1) * start.unsqueeze(-2) - one)


def virtual_camera(
    centre_px: Tensor, radius_px: Tensor, intrinsics: Tensor, size: int, margin: float = 1.15
) -> tuple[Tensor, Tensor]:
    """A camera at the same place that looks at a person, so that a crop of it behaves well under O(3).

    It is turned by the smallest rotation that takes the centre's ray to the optical axis. Its focal length makes the
    cone around that ray which just holds the circle of ``margin * radius_px`` fill the crop's inscribed disc; the
    cone's half-angle is exact, off-centre too: with the centre at the distance c from the principal point, in focal
    lengths, and the radius r, ``sin a = r / sqrt(1 + c^2)`` where ``r <= c``, else ``a = atan c + atan(r - c)``.

    Args:
        centre_px: ``(..., 2)`` of the circle around the person, pixels of the frame.
        radius_px: ``(...)``.
        intrinsics: ``(..., 3, 3)`` of the frame's camera.
        size: side of the crop in pixels.
        margin: how much wider than the circle the disc is.

    Returns:
        The rotation ``(..., 3, 3)`` from the frame's camera into the virtual one, and the latter's intrinsics
        ``(..., 3, 3)`` with the principal point at ``size / 2``.

    Raises:
        DataError: a shape does not fit.
    """
    need(centre_px, "centre", 2)
    need(intrinsics, "intrinsics", 3, 3)
    intrinsics = intrinsics.to(centre_px)
    ray = rays(centre_px, intrinsics)
    axis = ray.new_tensor([0.0, 0.0, 1.0])
    rotation = turn_between(torch.nn.functional.normalize(ray, dim=-1), axis)

    focal = torch.minimum(intrinsics[..., 0, 0], intrinsics[..., 1, 1])
    radius = (radius_px.to(centre_px) * margin / focal).clamp(min=1e-6)
    square = ray[..., 0] ** 2 + ray[..., 1] ** 2
    away = square.clamp(min=1e-20).sqrt()
    far_off = radius / (1 + square - radius**2).clamp(min=1e-6).sqrt()
    around = radius / (1 - away * (radius - away)).clamp(min=1e-3)
    virtual_focal = (size / 2) / torch.where(radius <= away, far_off, around)
    zero, one = torch.zeros_like(virtual_focal), torch.ones_like(virtual_focal)
    rows = [[virtual_focal, zero, one * size / 2], [zero, virtual_focal, one * size / 2], [zero, zero, one]]
    return rotation, torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
