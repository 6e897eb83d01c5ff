"""The smallest circle around points of the plane, in batches. Nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry.shapes import need

PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
TRIPLES = ((0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3))


def smallest_circle(points: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest circle that encloses the points ``(..., J, 2)``: centre ``(..., 2)`` and radius ``(...)``.

    Exact. A basis of at most three points is kept; the point farthest outside its circle enters, and the basis of the
    smallest circle around those four is kept. The radius grows with every exchange, so it ends after a few (Welzl
    1991 and Gaertner 1999 for the bases; here all items of a batch take their steps together). Differentiable.

    Raises:
        DataError: a shape does not fit, or a point is not finite.
    """
    need(points, "points", None, 2)
    if not bool(torch.isfinite(points).all()):
        raise DataError("points have NaN or infinite coordinates", expected="finite numbers")
    flat = points.reshape(-1, *points.shape[-2:]).double()
    middle = flat.mean(dim=1, keepdim=True).detach()
    centred = flat - middle
    with torch.no_grad():
        basis = _basis(centred)
    centre = _circle(centred.gather(1, basis.unsqueeze(-1).expand(-1, -1, 2)))
    with torch.no_grad():
        farthest = _squared(centred, centre).argmax(dim=1)
    edge = centred.gather(1, farthest.view(-1, 1, 1).expand(-1, 1, 2)).squeeze(1)
    gap = ((edge - centre) ** 2).sum(-1)
    radius = torch.where(gap > 0, gap, 1.0).sqrt() * (gap > 0)
    centre = (centre + middle.squeeze(1)).to(points.dtype)
    return centre.reshape(*points.shape[:-2], 2), radius.to(points.dtype).reshape(points.shape[:-2])


def _squared(points: Tensor, centre: Tensor) -> Tensor:
    """Squared distances ``(N, J)`` of ``(N, J, 2)`` from ``(N, 2)``."""
    return ((points - centre.unsqueeze(1)) ** 2).sum(-1)


def _basis(points: Tensor) -> Tensor:
    """Indices ``(N, 3)`` of the points on which the smallest circle rests (a pair repeats its second)."""
    basis = points.new_zeros(len(points), 3, dtype=torch.long)
    basis[:, 1:] = _squared(points, points[:, 0]).argmax(dim=1, keepdim=True)
    running = torch.arange(len(points), device=points.device)
    reached = points.new_full((len(points),), -1.0)
    for _ in range(4 * points.shape[1] + 8):
        part = points[running]
        centre = _circle(part.gather(1, basis[running].unsqueeze(-1).expand(-1, -1, 2)))
        outside, farthest = _squared(part, centre).max(dim=1)
        four = torch.cat([basis[running], farthest.unsqueeze(1)], dim=1)
        chosen, squared = _of_four(part.gather(1, four.unsqueeze(-1).expand(-1, -1, 2)))
        going = (squared > reached[running]) & (outside > 0)
        reached[running] = torch.where(going, squared, reached[running])
        basis[running] = torch.where(going.unsqueeze(1), four.gather(1, chosen), basis[running])
        running = running[going]
        if not len(running):
            break
    return basis


def _of_four(points: Tensor) -> tuple[Tensor, Tensor]:
    """For ``(N, 4, 2)``: positions ``(N, 3)`` of the basis of the smallest circle, and its squared radius ``(N,)``."""
    sets = torch.tensor([(a, b, b) for a, b in PAIRS] + list(TRIPLES), device=points.device)
    centres = _circle(points[:, sets].flatten(0, 1)).view(len(points), len(sets), 2)
    reach = ((points.unsqueeze(1) - centres.unsqueeze(2)) ** 2).sum(-1).amax(-1)
    squared, best = torch.nan_to_num(reach, nan=torch.inf).min(dim=1)
    return sets[best], squared


def _circle(three: Tensor) -> Tensor:
    """Centre ``(N, 2)`` of the circle through ``(N, 3, 2)``; of collinear (or two) points, the middle of the first."""
    first = three[:, 0]
    b, c = three[:, 1] - first, three[:, 2] - first
    area = 2 * (b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0])
    flat = area.abs() <= 1e-14 * ((b**2).sum(-1) + (c**2).sum(-1))
    safe = torch.where(flat, 1.0, area)
    bb, cc = (b**2).sum(-1), (c**2).sum(-1)
    offset = torch.stack([c[:, 1] * bb - b[:, 1] * cc, b[:, 0] * cc - c[:, 0] * bb], dim=-1) / safe.unsqueeze(-1)
    return first + torch.where(flat.unsqueeze(-1), b / 2, offset)
