"""Exact person crops: a frame seen by a virtual camera. Takes the camera as given (see `cameras.virtual_camera`)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry.sampling import PADDINGS, Padding, pixel_grid, sample
from sa3dhp_core.geometry.shapes import fit_all, need

POINTS = 1 << 22
"""Sampling points held in memory at once (times channels and a few copies)."""


def crop(
    images: Tensor,
    intrinsics: Tensor,
    rotation: Tensor,
    virtual_intrinsics: Tensor,
    size: int,
    padding: Padding = "border",
) -> Tensor:
    """What the virtual camera sees: ``(..., 3, size, size)``, by the homography ``K R^T K_v^-1``.

    Against aliasing each crop pixel is the mean of s x s bilinear samples, s the number of frame pixels across a crop
    pixel, rounded up, item by item; so a strong reduction costs about as much as reading the person's frame pixels.

    Args:
        images: ``(*A, 3, H, W)`` frames, float in [0, 1], or uint8 (then divided by 255). One frame without leading
            axes serves all cameras; leading axes align at the first one.
        intrinsics: ``(..., 3, 3)`` of the frames.
        rotation: ``(..., 3, 3)`` from the frame's camera into the virtual one.
        virtual_intrinsics: ``(..., 3, 3)``.
        size: side of the crop in pixels.
        padding: what lies outside the frame: ``border``, ``grey`` or ``black``.

    Raises:
        DataError: a shape does not fit.
    """
    need(images, "images", None, None, None)
    for name, matrix in (
        ("intrinsics", intrinsics),
        ("rotation", rotation),
        ("virtual intrinsics", virtual_intrinsics),
    ):
        need(matrix, name, 3, 3)
    if padding not in PADDINGS:
        raise DataError("unknown padding", found=padding, expected=" or ".join(PADDINGS))
    intrinsics, virtual_intrinsics = intrinsics.to(rotation), virtual_intrinsics.to(rotation)
    frames, real, turn, virtual = fit_all((images, 3), (intrinsics, 2), (rotation, 2), (virtual_intrinsics, 2))
    maps = real @ turn.transpose(-1, -2) @ torch.linalg.inv_ex(virtual).inverse
    lead = torch.broadcast_shapes(frames.shape[:-3], maps.shape[:-2])
    maps = maps.expand(*lead, 3, 3).reshape(-1, 3, 3)
    frames = frames.expand(*lead, *frames.shape[-3:])
    finer = _samples(maps.detach(), size)
    order = [torch.unravel_index(torch.tensor(i), lead) if lead else () for i in range(len(maps))]
    crops: list[Tensor | None] = [None] * len(maps)
    for level in sorted(set(finer)):
        members = [i for i, s in enumerate(finer) if s == level]
        step = max(1, POINTS // (size * level) ** 2)
        for begin in range(0, len(members), step):
            part = members[begin : begin + step]
            chosen = torch.stack([frames[tuple(int(k) for k in order[i])] for i in part])
            for i, picture in zip(part, _seen(chosen, maps[part], size, level, padding), strict=True):
                crops[i] = picture
    if not crops:
        return _unit(images.new_zeros(*lead, images.shape[-3], size, size), maps)
    return torch.stack([picture for picture in crops if picture is not None]).reshape(
        *lead, images.shape[-3], size, size
    )


def _seen(frames: Tensor, maps: Tensor, size: int, finer: int, padding: Padding) -> Tensor:
    frames = _unit(frames, maps)
    fine = sample(frames, pixel_grid(size, size, maps, finer).to(frames), maps.to(frames), padding, size * finer)
    return functional.avg_pool2d(fine, finer) if finer > 1 else fine


def _unit(frames: Tensor, like: Tensor) -> Tensor:
    return frames.to(like.dtype) / 255 if frames.dtype == torch.uint8 else frames


def _samples(maps: Tensor, size: int) -> list[int]:
    """How many samples across each crop pixel: frame pixels across it at the crop's centre and corners, rounded up."""
    ends = maps.new_tensor([[0.5, 0.5, 1], [0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]]) * maps.new_tensor(
        [size, size, 1.0]
    )
    points = maps @ ends.t()
    depth = points[:, 2:].clamp(min=1e-6)
    flat = points[:, :2] / depth
    across = torch.stack(
        [(maps[:, :2, axis : axis + 1] - flat * maps[:, 2:, axis : axis + 1]) / depth for axis in (0, 1)]
    )
    widest = across.norm(dim=2).masked_fill(points[:, 2] <= 1e-6, 0).amax(dim=(0, 2))
    return [max(1, math.ceil(min(value, 64.0) - 0.05)) for value in widest.tolist()]
