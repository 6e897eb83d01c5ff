"""Frames made as coarse as a crop of them, by means over boxes. Samples no homography; knows no crop's camera.

The means stand on a lattice about the crop's centre, half a crop pixel apart, and each is taken over as much of the
frame as a crop pixel covers. So a bilinear sample of the lattice at a crop pixel's centre is that pixel's mean: exactly
where crop and frame are parallel, and a little softer (at most half a crop pixel) where the lattice's points fall
between. Nothing depends on where the frame's corner is, so the lattice mirrors and turns with the crop. A mean is a
product of two axes' weights (a frame pixel's share of the box), so it costs two small matrix products.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from sa3dhp_core.geometry.sampling import Padding

FINER = 2
"""Lattice points across a crop pixel."""

RUN = 64
"""Frame pixels that a block of the matrix products reads, about; longer blocks multiply more zeros."""


def spans(maps: Tensor, size: int) -> Tensor:
    """How far apart in the frame neighbouring crop pixels are, at the crop's centre and corners.

    Args:
        maps: ``(N, 3, 3)`` homographies from the crop's pixels to the frame's.
        size: side of the crop.

    Returns:
        ``(N, 2, 2, 5)`` frame pixels: along x and y of the frame, for a step along x and y of the crop; zero where a
        point is behind the camera.
    """
    half = size / 2
    points = maps @ maps.new_tensor([[half, 0, size, 0, size], [half, 0, 0, size, size], [1, 1, 1, 1, 1]])
    depth = points[:, None, 2:].clamp(min=1e-6)
    flat = points[:, :2, None] / depth
    steps = (maps[:, :2, :2, None] - flat * maps[:, 2:, :2, None]) / depth
    return steps.masked_fill(points[:, None, 2:] <= 1e-6, 0)


def reduced(frames: Tensor, maps: Tensor, size: int, padding: Padding) -> tuple[Tensor, Tensor]:
    """Means of the frames on each crop's lattice, and the maps that lead from the crop to it.

    Args:
        frames: ``(N, C, H, W)`` float, or uint8 (then divided by 255).
        maps: ``(N, 3, 3)`` from the crop's pixels to the frame's; no corner of a crop may be behind the camera.
        size: side of the crops.
        padding: what lies outside the frame.

    Returns:
        ``(N, C, h, w)`` as large as the crops need, and ``(N, 3, 3)``.
    """
    middle = maps @ maps.new_tensor([size / 2, size / 2, 1])
    centre = middle[:, :2] / middle[:, 2:]
    across = spans(maps, size).square().sum(dim=2).sqrt()
    width = (across.amin(-1) * across.amax(-1)).sqrt()
    first, last = _reach(maps.detach(), centre.detach(), width.detach(), size)
    means, shares = frames, []
    for axis, dim in ((1, 2), (0, 3)):
        points = torch.arange(first[axis], last[axis] + 1, dtype=maps.dtype, device=maps.device)
        edge = centre[:, axis, None] + width[:, axis, None] * (points / FINER - 0.5)
        weights, starts, taps = _weights(edge, width[:, axis], frames.shape[dim], padding == "border")
        shares.append(weights.sum(-1) if padding == "grey" else weights)
        units = 255 if dim == 2 and frames.dtype == torch.uint8 else 1
        means = _product(weights / units, starts, taps, means, dim)
    if padding == "grey":
        means = means + 0.5 * (1 - shares[0][:, None, :, None] * shares[1][:, None, None])
    scale = FINER / width
    onto = torch.zeros_like(maps)
    onto[:, [0, 1], [0, 1]] = scale
    onto[:, :2, 2] = 0.5 - centre * scale - maps.new_tensor(first)
    onto[:, 2, 2] = 1
    return means, onto @ maps


def _reach(maps: Tensor, centre: Tensor, width: Tensor, size: int) -> tuple[list[int], list[int]]:
    """First and last (x, y) number of a lattice that holds all crops; number 0 is at their centres."""
    corners = maps @ maps.new_tensor([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]])
    places = (corners[:, :2] / corners[:, 2:] - centre[..., None]) * (FINER / width[..., None])
    both = torch.stack([places.amin((0, 2)).floor(), places.amax((0, 2)).ceil()]).long().tolist()
    return both[0], both[1]


def _weights(edge: Tensor, width: Tensor, length: int, on: bool) -> tuple[Tensor, Tensor, int]:
    """Each pixel's share ``(N, P, length)`` of the boxes that begin at ``edge (N, P)`` and are ``width (N,)`` long.

    Also ``(N, P)`` the first pixel that may have a share, and how many from there on. If it goes `on`, the outermost
    pixels go on beyond the frame.
    """
    taps = min(length, int(width.detach().amax().ceil()) + 1)
    starts = edge.detach().floor().clamp(0, length - taps).long()
    places = starts[..., None] + torch.arange(taps + 1, device=edge.device)
    before = ((places - edge[..., None]) / width[:, None, None]).clamp(0, 1)
    if on:
        before = before.masked_fill(places == 0, 0).masked_fill(places == length, 1)
    weights = before.new_zeros(*edge.shape, length).scatter(-1, places[..., :-1], before.diff(dim=-1))
    return weights, starts, taps


def _product(weights: Tensor, starts: Tensor, taps: int, images: Tensor, dim: int) -> Tensor:
    """``weights (N, P, L)`` times images ``(N, C, H, W)`` along `dim`, block by block of what the weights reach."""
    count, length = weights.shape[1:]
    lowest, highest = starts.amin(0).tolist(), starts.amax(0).tolist()
    step = max(8, RUN * count // (max(highest) - min(lowest) + RUN))
    lead, flat = images.shape[:2], images.flatten(0, 1)
    weights = weights[:, None].expand(*lead, count, length).flatten(0, 1)
    parts = []
    for low, high in pairwise([*range(0, count, step), count]):
        begin, end = min(lowest[low:high]), min(length, max(highest[low:high]) + taps)
        some = weights.narrow(1, low, high - low).narrow(2, begin, end - begin)
        read = flat.narrow(dim - 1, begin, end - begin).to(weights.dtype)
        parts.append(some.bmm(read) if dim == 2 else read.bmm(some.mT))
    return torch.cat(parts, dim=dim - 1).unflatten(0, lead)
