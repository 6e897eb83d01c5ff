"""Colours of what the rasteriser hit: light, cloth, front and back. Works on the seen pixels alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sa3dhp_world.raster import TINY, Flat
from sa3dhp_world.strokes import Strokes


def surface(ends: Tensor, forward: Tensor, light: Tensor, aside: Tensor) -> Tensor:
    """Dot products that shading needs, per stroke.

    Args:
        ends: ``(N, P, 2, 3)`` camera frame. forward: ``(N, P, 3)``. light: ``(N, 3)`` unit, towards the light.
        aside: ``(N, P, 3)`` the linear form whose direction the side vector follows.

    Returns:
        ``(N, P, 6)``: light, then forward, along the side, facing and axis vectors of the stroke.
    """
    axis = normalize(ends[:, :, 1] - ends[:, :, 0], dim=-1)
    normal = torch.linalg.cross(ends[:, :, 0], ends[:, :, 1])
    same = (normal[..., :2] * aside[..., :2]).sum(-1, keepdim=True)
    side = normalize(torch.where(same < 0, -normal, normal), dim=-1)
    facing = torch.linalg.cross(axis, side)
    middle = ends.mean(dim=2)
    facing = torch.where((facing * middle).sum(-1, keepdim=True) > 0, -facing, facing)
    frame = torch.stack([side, facing, axis], dim=-2)  # (N, P, 3, 3)
    lit = (frame * light[:, None, None]).sum(-1)
    front = (frame * forward.unsqueeze(-2)).sum(-1)
    return torch.cat([lit, front], dim=-1)


def shade(
    flat: Flat, strokes: Strokes, dots: Tensor, ambient: Tensor, points: Tensor, row: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour, coverage and inverse depth of strokes at points.

    Args:
        flat, strokes, dots: of N images with P strokes each.
        ambient: ``(N,)`` share of light that has no direction.
        points: ``(M, 2)`` image-plane points. row: ``(M,)`` stroke of each, as ``image * P + stroke``.

    Returns:
        ``(3, M)`` colours, ``(M,)`` coverage in [0, 1], ``(M,)`` inverse depth.
    """
    count = flat.along.shape[1]
    fields = (
        flat.along, flat.aside, flat.shape, dots, strokes.rule, strokes.texture, strokes.colours.flatten(2),
        ambient[:, None, None].expand(-1, count, 1), flat.focal[:, None, None].expand(-1, count, 1),
    )  # fmt: skip
    table = torch.cat(fields, dim=-1).flatten(0, 1).t().contiguous()
    p = table.new_empty(len(table), len(row))
    for column, values in zip(table, p, strict=True):
        torch.index_select(column, 0, row, out=values)
    x, y = points.t().contiguous()
    along = torch.addcmul(p[2], x, p[0]).addcmul_(y, p[1])
    aside = torch.addcmul(p[5], x, p[3]).addcmul_(y, p[4])
    place = along.clamp(min=0).minimum(p[6])
    excess = along.sub_(place)
    radius = torch.addcmul(p[7], place, p[8])
    distance = torch.addcmul(excess.square(), aside, aside).sqrt_()
    coverage = (radius - distance + 0.5).clamp_(0, 1)
    size = radius.clamp(min=1e-6)
    u, v = aside.div_(size), excess.div_(size)
    w = (1 - u * u).addcmul_(v, v, value=-1).clamp_(min=TINY).sqrt_()
    near = torch.addcmul(p[9], place, p[10])
    near.addcmul_(near * near, radius * w / p[32])
    lit = (u * p[11]).addcmul_(w, p[12]).addcmul_(v, p[13])
    front = (u * p[14]).addcmul_(w, p[15]).addcmul_(v, p[16])
    t = place / p[6].clamp(min=1e-6)
    share = ((front - p[18]) * p[17]).add_(0.5).clamp_(0, 1)
    share *= ((t - p[20]) * p[19]).add_(0.5).clamp_(0, 1)
    wave = torch.addcmul(p[23], p[22], t).mul_(2 * math.pi).sin_().mul_((p[24] * front).cos_())
    tone = (1 - p[31]).mul_(lit.mul_(0.5).add_(0.5)).add_(p[31])
    tone.addcmul_(tone * p[21], wave)
    colour = torch.lerp(p[25:28], p[28:31], share).mul_(tone)
    return colour.clamp_(0, 1), coverage, near
