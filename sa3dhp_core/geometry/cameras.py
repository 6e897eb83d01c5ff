"""Pinhole cameras, virtual cameras and exact crops (DESIGN 5). Frame: x right, y down, z away."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional

from sa3dhp_core.geometry.orthogonal import pixel_grid, rotation_x, rotation_z, sample_pixels


def project(points: Tensor, intrinsics: Tensor) -> Tensor:
    """Camera-frame points ``(..., J, 3)`` to pixels ``(..., J, 2)`` by ``intrinsics (..., 3, 3)``."""
    image = points @ intrinsics.transpose(-1, -2)
    return image[..., :2] / image[..., 2:]


def viewpoint(azimuth: Tensor, elevation: Tensor, roll: Tensor) -> Tensor:
    """World (z up) to camera rotations ``(..., 3, 3)`` from angles in radians.

    The camera stands at the given azimuth and looks down by the elevation; roll turns it about its axis.
    """
    looking = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]).to(azimuth)
    return rotation_z(roll) @ rotation_x(elevation) @ looking @ rotation_z(azimuth)


def smallest_circle(points: Tensor, chunk: int = 2048) -> tuple[Tensor, Tensor]:
    """Exact smallest circles around points.

    Args:
        points: ``(..., J, 2)``.
        chunk: items computed at once.

    Returns:
        Centres ``(..., 2)`` and radii ``(...)``.
    """
    lead, count = points.shape[:-2], points.shape[-2]
    flat = points.reshape(-1, count, 2).double()
    pieces = [_circle_of(piece) for piece in flat.split(chunk)]
    centre = torch.cat([c for c, _ in pieces]).to(points).view(*lead, 2)
    radius = torch.cat([r for _, r in pieces]).to(points).view(lead)
    return centre, radius


def _circle_of(points: Tensor) -> tuple[Tensor, Tensor]:
    """Farthest-point improvement: add the worst point to the support, solve the support exactly, until none is out."""
    n, count, _ = points.shape
    rows = torch.arange(n, device=points.device)
    farthest = (points - points.mean(dim=1, keepdim=True)).norm(dim=-1).argmax(dim=1)
    support = torch.stack([farthest] * 3, dim=1)
    centre = points[rows, support[:, 0]]
    radius = torch.zeros_like(centre[:, 0])
    for _ in range(4 * count):
        distance = (points - centre[:, None]).norm(dim=-1)
        worst, index = distance.max(dim=1)
        open_ = worst > radius * (1 + 1e-12) + 1e-12
        if not bool(open_.any()):
            break
        candidates = torch.cat([support, index[:, None]], dim=1)
        best_centre, best_radius, best_support = _solve_support(points, rows, candidates)
        centre = torch.where(open_[:, None], best_centre, centre)
        radius = torch.where(open_, best_radius, radius)
        support = torch.where(open_[:, None], best_support, support)
    return centre, radius


def _solve_support(points: Tensor, rows: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Smallest circle around four candidate points: the best pair or triple that contains all four."""
    four = points[rows[:, None], candidates]
    centres, radii, members = [], [], []
    for pair in combinations(range(4), 2):
        a, b = four[:, pair[0]], four[:, pair[1]]
        centres.append((a + b) / 2)
        radii.append((a - b).norm(dim=-1) / 2)
        members.append(candidates[:, [pair[0], pair[1], pair[1]]])
    for triple in combinations(range(4), 3):
        centre, radius = _circumscribed(*(four[:, i] for i in triple))
        centres.append(centre)
        radii.append(radius)
        members.append(candidates[:, list(triple)])
    centre, radius = torch.stack(centres, dim=1), torch.stack(radii, dim=1)
    reach = (four[:, None] - centre[:, :, None]).norm(dim=-1).amax(dim=-1)
    valid = reach <= radius * (1 + 1e-9) + 1e-12
    cost = torch.where(valid & torch.isfinite(radius), radius, torch.full_like(radius, torch.inf))
    best = cost.argmin(dim=1)
    return centre[rows, best], radius[rows, best], torch.stack(members, dim=1)[rows, best]


def _circumscribed(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    u, v = b - a, c - a
    cross = 2 * (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    uu, vv = u.square().sum(-1), v.square().sum(-1)
    offset = torch.stack([v[:, 1] * uu - u[:, 1] * vv, u[:, 0] * vv - v[:, 0] * uu], dim=-1) / cross[:, None]
    return a + offset, offset.norm(dim=-1)


def virtual_camera(
    centre_px: Tensor, radius_px: Tensor, intrinsics: Tensor, size: int, margin: float = 1.15
) -> tuple[Tensor, Tensor]:
    """The camera that looks at a circle's centre and whose crop the circle, enlarged by `margin`, fills.

    Args:
        centre_px: ``(..., 2)`` of the circle in the frame.
        radius_px: ``(...)``.
        intrinsics: ``(..., 3, 3)`` of the frame.
        size: side of the square crop, pixels.
        margin: enlargement.

    Returns:
        Rotation ``(..., 3, 3)`` from the frame's camera to the virtual one, least twist, and its intrinsics
        ``(..., 3, 3)``, principal point at the crop's centre.
    """
    inverse = torch.linalg.inv(intrinsics)

    def ray(pixels: Tensor) -> Tensor:
        return functional.normalize((inverse @ functional.pad(pixels, (0, 1), value=1.0)[..., None])[..., 0], dim=-1)

    axis = ray(centre_px)
    forward = torch.zeros_like(axis)
    forward[..., 2] = 1.0
    rotation = minimal_rotation(axis, forward)
    around = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]).to(centre_px)
    edges = torch.stack([ray(centre_px + offset * radius_px[..., None]) for offset in around], dim=-2)
    cosine = (edges * axis[..., None, :]).sum(-1).clamp(-1, 1)
    tangent = ((1 - cosine.square()).clamp_min(1e-12).sqrt() / cosine).amax(dim=-1)
    focal = size / 2 / (margin * tangent)
    virtual = torch.zeros(*focal.shape, 3, 3).to(centre_px)
    virtual[..., 0, 0] = virtual[..., 1, 1] = focal
    virtual[..., 0, 2] = virtual[..., 1, 2] = (size - 1) / 2
    virtual[..., 2, 2] = 1.0
    return rotation, virtual


def minimal_rotation(start: Tensor, end: Tensor) -> Tensor:
    """Rotations ``(..., 3, 3)`` of least angle that take unit vectors `start` to `end` (Rodrigues)."""
    cross = torch.linalg.cross(start, end)
    cosine = (start * end).sum(-1)[..., None, None]
    zero = torch.zeros_like(cross[..., 0])
    x, y, z = cross.unbind(-1)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    eye = torch.eye(3).to(start)
    return eye + skew + skew @ skew / (1 + cosine).clamp_min(1e-9)


def crop(images: Tensor, intrinsics: Tensor, rotation: Tensor, virtual_intrinsics: Tensor, size: int) -> Tensor:
    """Sample frames ``(N, C, H, W)`` as virtual cameras see them: ``(N, C, size, size)``.

    Strong reduction is anti-aliased: the frame is first averaged down by powers of two.
    """
    reduction = (virtual_intrinsics[:, 0, 0] / intrinsics.expand(len(images), 3, 3)[:, 0, 0]).reciprocal()
    crops = []
    for frame, k, r, v, shrink in zip(
        images, intrinsics.expand(len(images), 3, 3), rotation, virtual_intrinsics, reduction.tolist(), strict=True
    ):
        level = max(0, int(torch.tensor(shrink).log2().floor()))
        frame = functional.avg_pool2d(frame[None], 2**level) if level else frame[None]
        to_source = k @ r.T @ torch.linalg.inv(v)
        points = pixel_grid(size, size, frame).to(to_source) @ to_source.T
        source = points[..., :2] / points[..., 2:]
        source = (source + 0.5) / 2**level - 0.5
        crops.append(sample_pixels(frame, source[None].to(frame)))
    return torch.cat(crops)
