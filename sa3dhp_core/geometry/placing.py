"""Where a person stands in a camera, from how large a pose appears. Knows no image."""

from __future__ import annotations

import torch
from torch import Tensor

from sa3dhp_core.geometry.cameras import project
from sa3dhp_core.geometry.circles import smallest_circle
from sa3dhp_core.geometry.shapes import need

STEPS = 8
NEAREST_M = 0.1
"""Least depth of a joint."""


def root_in_circle(poses: Tensor, intrinsics: Tensor, radius_px: float) -> Tensor:
    """Where the root stands, so that the smallest circle around the projected joints is centred and of this radius.

    By repeated proportion: the depth grows with the radius that is seen, the place moves by the centre's distance.

    Args:
        poses: ``(N, J, 3)`` metres, root-relative, camera frame.
        intrinsics: ``(N, 3, 3)`` pixels; the circle's centre is the principal point.
        radius_px: above 0.

    Returns:
        ``(N, 3)`` metres.

    Raises:
        DataError: a shape does not fit, or a coordinate is not finite.
    """
    need(poses, "poses", None, 3)
    focal, middle = intrinsics[:, 0, 0].to(poses), intrinsics[:, :2, 2].to(poses)
    low, high = poses.amin(dim=1), poses.amax(dim=1)
    extent = ((high - low)[:, :2].norm(dim=-1) / 2).clamp(min=1e-3)
    nearest = NEAREST_M - low[:, 2]
    depth = torch.maximum(focal * extent / radius_px, nearest)
    root = torch.stack([*(-(low + high)[:, :2] / 2).unbind(-1), depth], dim=-1)
    for _ in range(STEPS):
        centre, radius = smallest_circle(project(poses + root[:, None], intrinsics))
        away = root[:, 2:] + (low + high)[:, 2:] / 2
        across = root[:, :2] + (middle - centre) * away / focal[:, None]
        depth = torch.maximum(root[:, 2] + (radius / radius_px - 1) * away[:, 0], nearest)
        root = torch.cat([across, depth[:, None]], dim=-1)
    return root
