"""Which stroke each pixel sees: an exact, tiled, batched rasteriser of tapered capsules. Knows no colour.

A pixel is a point of the image plane; all that is computed are distances and linear forms at such points, so an
orthogonal map of scene and points together changes nothing. Tiles only skip what cannot be hit.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

TILE = 8
CELL_BITS = 6
"""A tile has two to the power of this many pixels."""
BITS = 8
"""Bits of a depth key that hold the stroke's number: at most 255 strokes, depth to about 1e-5 of itself."""
LARGEST = (1 << BITS) - 1
NEAREST_M = 0.15
"""Strokes with an end nearer than this are not drawn."""
TINY = 1e-20
"""Stands for zero under a root: vectorised roots of zeros are many times slower, and this one's vanishes in a sum."""
BLOCK, WORKSPACES = 1024, 5
"""Pairs of a tile and a stroke that are worked on at once, and arrays needed for it: they stay in the cache."""


@attrs.frozen
class Flat:
    """Strokes projected to the image plane; lengths in pixels, points relative to the image's centre.

    Attributes:
        along: ``(N, P, 3)`` linear form of a point (x, y, 1): distance from the first end along the stroke.
        aside: ``(N, P, 3)`` linear form: signed distance from the stroke's line.
        shape: ``(N, P, 5)`` length, radius at the first end, its change a pixel, inverse depth there, its change.
        focal: ``(N,)`` focal length.
    """

    along: Tensor
    aside: Tensor
    shape: Tensor
    focal: Tensor


@attrs.frozen
class Pairs:
    """Q pairs of a tile and a stroke that may touch it.

    Attributes:
        shape: ``(Q, 5)`` as in `Flat`. centres, forms: ``(2, Q)``, ``(2, Q, 2)`` the linear forms along and aside at
            the tile's centre, and their changes a pixel.
        unfocal: ``(Q, 1)`` one over the focal length. stroke: ``(Q, 1)`` int32.
    """

    shape: Tensor
    centres: Tensor
    forms: Tensor
    unfocal: Tensor
    stroke: Tensor


def flatten(ends: Tensor, radii: Tensor, focal: Tensor, offset: Tensor) -> Flat:
    """Project camera-frame strokes.

    Args:
        ends: ``(N, P, 2, 3)`` metres, camera frame. radii: ``(N, P, 2)``.
        focal: ``(N,)`` pixels. offset: ``(N, 2)`` principal point relative to the image's centre.
    """
    depth = ends[..., 2].clamp(min=NEAREST_M)
    flat = ends[..., :2] / depth.unsqueeze(-1) * focal[:, None, None, None] + offset[:, None, None]
    radius = radii / depth * focal[:, None, None]
    radius = radius * (ends[..., 2].amin(dim=-1, keepdim=True) > NEAREST_M)
    step = flat[:, :, 1] - flat[:, :, 0]
    length = step.norm(dim=-1)
    unit = step / length.clamp(min=1e-6).unsqueeze(-1)
    unit = torch.where(length.unsqueeze(-1) > 1e-6, unit, unit.new_tensor([1.0, 0.0]))
    normal = torch.stack([-unit[..., 1], unit[..., 0]], dim=-1)
    start = flat[:, :, 0]
    along = torch.cat([unit, -(unit * start).sum(-1, keepdim=True)], dim=-1)
    aside = torch.cat([normal, -(normal * start).sum(-1, keepdim=True)], dim=-1)
    near = depth.reciprocal()
    span = length.clamp(min=1e-6)
    shape = [length, radius[..., 0], (radius[..., 1] - radius[..., 0]) / span, near[..., 0]]
    return Flat(along, aside, torch.stack([*shape, (near[..., 1] - near[..., 0]) / span], dim=-1), focal)


def rasterise(flat: Flat, centres: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Nearest strokes of all pixels.

    Args:
        flat: projected strokes.
        centres: ``(L, 2)`` tile centres. offsets: ``(C, 2)`` of a tile's pixels from its centre.

    Returns:
        For each of the M pixels that see a stroke, ``(M,)`` each: the image, the pixel as ``tile * C + pixel of the
        tile``, the stroke as ``image * P + stroke``, and the nearest stroke that covers the pixel entirely and is seen
        through the edge of the first, or -1.
    """
    images, count = flat.along.shape[:2]
    tiles, cells = len(centres), len(offsets)
    reach = offsets.norm(dim=-1).amax() + 0.5
    homogeneous = torch.cat([centres, torch.ones_like(centres[:, :1])], dim=1).t()
    along = flat.along @ homogeneous
    aside = flat.aside @ homogeneous
    place = along.clamp(min=0).minimum(flat.shape[..., 0:1])
    widest = torch.maximum(flat.shape[..., 1], flat.shape[..., 1] + flat.shape[..., 0] * flat.shape[..., 2])
    far = (along - place).square_().addcmul_(aside, aside)
    bound = torch.where(widest > 0, widest + reach, -1.0).unsqueeze(-1)
    touched = ((far < bound * bound) & (bound > 0)).transpose(1, 2)  # (N, L, P)
    visits, sizes, pair, rank = _layers(touched.flatten(0, 1))
    row, stroke = visits[rank], pair.remainder(count)  # of each pair of a tile and a stroke: the tile, then the stroke
    image = row.div(tiles, rounding_mode="floor")
    number = image * count + stroke

    seen = Pairs(
        flat.shape.flatten(0, 1)[number],
        torch.stack([form.reshape(-1)[number * tiles + row - image * tiles] for form in (along, aside)]),
        torch.stack([form.flatten(0, 1)[number, :2] for form in (flat.along, flat.aside)]),
        flat.focal.index_select(0, image).reciprocal().unsqueeze(1),
        stroke.to(torch.int32).unsqueeze(1),
    )
    nearest, covering = _nearest(seen, len(visits), sizes, offsets)
    pixel = nearest.nonzero().squeeze(-1)
    top, below = nearest.index_select(0, pixel), covering.index_select(0, pixel)
    visit = pixel >> CELL_BITS
    image = visits.div(tiles, rounding_mode="floor")
    cell = pixel.add_((((visits - image * tiles) - torch.arange(len(visits), device=pixel.device)) * cells)[visit])
    image = image.index_select(0, visit)
    number = image * count
    under = torch.where((below != 0) & (below != top), (below & LARGEST) + number, -1)
    return image, cell, (top & LARGEST) + number, under


def _nearest(seen: Pairs, visits: int, sizes: list[int], offsets: Tensor) -> tuple[Tensor, Tensor]:
    """The largest depth key of each visited tile's pixels ``(V * C,)``, and the largest of strokes that cover it.

    Args:
        seen: all pairs, layer by layer.
        visits: number of visited tiles.
        sizes: of the layers, which are prefixes of these tiles.
        offsets: ``(C, 2)`` of a tile's pixels from its centre.
    """
    every, steps = len(seen.stroke), offsets.t().contiguous()
    room = seen.shape.new_empty(WORKSPACES, BLOCK, len(offsets))
    nearest = torch.zeros(visits, len(offsets), dtype=torch.int32, device=room.device)
    covering = torch.zeros_like(nearest)
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    for first in range(0, every, BLOCK):
        last = min(first + BLOCK, every)
        key, solid = _keys(seen, slice(first, last), steps, room[:, : last - first])
        for start, size in zip(starts, sizes, strict=True):  # the layers that this block has a part of
            low, high = max(first, start), min(last, start + size)
            if low < high:
                for best, found in ((nearest, key), (covering, solid)):
                    part = best[low - start : high - start]
                    torch.maximum(part, found[low - first : high - first], out=part)
    return nearest.view(-1), covering.view(-1)


def _layers(touched: Tensor) -> tuple[Tensor, list[int], Tensor, Tensor]:
    """Lay out the pairs of tiles and strokes so that the k-th stroke of every tile forms one block.

    Tiles with more strokes come first, so each block belongs to a prefix of the tiles: blocks are combined without any
    gathering.

    Args:
        touched: ``(R, P)`` whether a stroke may touch a tile.

    Returns:
        The visited tiles ``(V,)``; lengths of the blocks; and of the Q pairs, block by block, ``tile * P + stroke``
        and the position of their tile among those visited.
    """
    counts = touched.sum(dim=-1)
    ordered, visits = counts.sort(descending=True, stable=True)
    deepest = int(ordered[0]) if len(ordered) else 0
    sizes = (ordered.unsqueeze(0) > torch.arange(deepest, device=counts.device).unsqueeze(1)).sum(dim=1)
    starts = sizes.cumsum(0) - sizes
    place = torch.empty_like(visits)
    place[visits] = torch.arange(len(visits), device=counts.device)
    pair = touched.reshape(-1).nonzero().squeeze(-1)
    tile = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts, output_size=len(pair))
    layer = torch.arange(len(pair), device=counts.device) - (counts.cumsum(0) - counts)[tile]
    target = starts[layer] + place[tile]
    moved, rank = torch.empty_like(pair), torch.empty_like(pair)
    moved[target], rank[target] = pair, place[tile]
    lengths = sizes.tolist()
    return visits[: lengths[0] if lengths else 0], lengths, moved, rank


def _keys(seen: Pairs, rows: slice, steps: Tensor, room: Tensor) -> tuple[Tensor, Tensor]:
    """Depth keys ``(B, C)`` int32 of some pairs (larger is nearer, 0 is a miss), and those of pixels that the stroke
    covers entirely; both are in `room`.

    Args:
        seen: all pairs. rows: those to look at.
        steps: ``(2, C)`` a tile's pixels from its centre.
        room: ``(WORKSPACES, B, C)`` overwritten.
    """
    along, aside, place, near, bulge = room
    length, thick, thicker, close, closer = seen.shape[rows].split(1, dim=1)
    torch.addmm(seen.centres[0, rows].unsqueeze(1), seen.forms[0, rows], steps, out=along)
    torch.addmm(seen.centres[1, rows].unsqueeze(1), seen.forms[1, rows], steps, out=aside)
    torch.clamp(along, min=0, out=place)
    distance = along.sub_(torch.minimum(place, length, out=place)).square_().addcmul_(aside, aside)
    radius = aside.copy_(thick).addcmul_(place, thicker)
    near.copy_(close).addcmul_(place, closer)
    torch.mul(radius, radius, out=bulge).sub_(distance).clamp_(min=TINY).sqrt_().mul_(seen.unfocal[rows])
    distance.sqrt_().sub_(radius)  # towards the camera, pixels; then the distance is signed, negative inside
    near.addcmul_(torch.mul(near, near, out=place), bulge)
    near.view(torch.int32).bitwise_and_(~LARGEST).bitwise_or_(seen.stroke[rows])
    covered = torch.le(distance, -0.5, out=bulge).mul_(near)  # times 1 keeps all bits, times 0 leaves none
    return distance.lt_(0.5).mul_(near).view(torch.int32), covered.view(torch.int32)
