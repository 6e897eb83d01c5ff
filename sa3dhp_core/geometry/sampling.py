"""Sampling images along homographies. Holds the pixel-centre convention in one place; knows nothing of people.

Pixel coordinates are continuous and start at the image's corner: pixel (row i, column j) has its centre at
``(j + 1/2, i + 1/2)``.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Padding = Literal["border", "grey", "black"]
Between = Literal["bilinear", "nearest"]
PADDINGS: tuple[Padding, ...] = ("border", "grey", "black")


def pixel_grid(height: int, width: int, like: Tensor, finer: int = 1) -> Tensor:
    """Homogeneous pixel centres ``(3, H*W)`` of an image, or of `finer` times finer sub-pixels of it."""
    x = (torch.arange(width * finer, dtype=like.dtype, device=like.device) + 0.5) / finer
    y = (torch.arange(height * finer, dtype=like.dtype, device=like.device) + 0.5) / finer
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns.flatten(), rows.flatten(), torch.ones_like(rows.flatten())])


def sample(
    images: Tensor,
    grid: Tensor,
    maps: Tensor,
    padding: Padding = "border",
    side: int | None = None,
    between: Between = "bilinear",
) -> Tensor:
    """Values of ``images (N, C, H, W)`` at the homographies ``maps (N, 3, 3)`` of ``grid (3, P)``.

    The grid is that of a square of `side` pixels, or (None) of an image of the same size as the given ones. Points
    behind the camera (third coordinate not positive) count as outside.
    """
    height, width = images.shape[-2:]
    shape = (height, width) if side is None else (side, side)
    scale = maps.new_tensor([[2 / width, 0, -1], [0, 2 / height, -1], [0, 0, 1]])
    maps = scale @ maps
    if bool((maps[:, 2] == maps.new_tensor([0.0, 0.0, 1.0])).all()):
        flat = maps[:, :2] @ grid
    else:
        points = maps @ grid
        flat = torch.where(points[:, 2:] > 1e-6, points[:, :2] / points[:, 2:].clamp(min=1e-6), 1e4)
    return _read(images, flat.transpose(1, 2).reshape(-1, *shape, 2), padding, between)


def sample_finer(images: Tensor, maps: Tensor, size: int, finer: int, padding: Padding = "border") -> Tensor:
    """`sample` between pixels on the grid of a square of `size` pixels, `finer` times finer: ``(N, C, P, P)``.

    The grid is the product of two axes, so the maps act on each axis alone; that is quicker where the grid is large.
    """
    height, width = images.shape[-2:]
    maps = maps.new_tensor([[2 / width, 0, -1], [0, 2 / height, -1], [0, 0, 1]]) @ maps
    at = (torch.arange(size * finer, dtype=maps.dtype, device=maps.device) + 0.5) / finer
    rows, columns = maps[..., 1:2] * at + maps[..., 2:], maps[..., :1] * at
    depth = rows[:, 2, :, None] + columns[:, 2, None]
    flat = rows[:, :2, :, None] + columns[:, :2, None]
    ends = max(1, size * finer - 1)
    if bool((depth[:, ::ends, ::ends] > 1e-6).all()):
        flat = flat / depth[:, None]
    else:
        flat = torch.where(depth[:, None] > 1e-6, flat / depth.clamp(min=1e-6)[:, None], 1e4)
    return _read(images, flat.permute(0, 2, 3, 1).contiguous(), padding, "bilinear")


def _read(images: Tensor, where: Tensor, padding: Padding, between: Between) -> Tensor:
    """Values at ``where (N, H, W, 2)``, -1 and 1 at the edges of the images."""
    if padding == "grey":
        return functional.grid_sample(images - 0.5, where, between, "zeros", align_corners=False) + 0.5
    mode = "border" if padding == "border" else "zeros"
    return functional.grid_sample(images, where, between, mode, align_corners=False)
