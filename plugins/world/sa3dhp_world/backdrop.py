"""Backdrops: a bank of painted textures, and their evaluation along rays. A backdrop lies at infinity."""

from __future__ import annotations

from functools import lru_cache

import attrs
import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from sa3dhp_core.atomic import generator_for

SIDE = 256
"""Pixels of a square texture; it is repeated by reflection."""


@attrs.frozen
class Backdrop:
    """Where each image's backdrop comes from.

    Attributes:
        bank: ``(K, 3, SIDE, SIDE)`` textures.
        index: ``(N,)`` texture of each image.
        rotation: ``(N, 3, 3)`` world to the frame of the backdrop's plane (z away from the camera).
        place: ``(N, 3)`` scale (textures a unit of the plane z = 1), offset x, offset y.
    """

    bank: Tensor
    index: Tensor
    rotation: Tensor
    place: Tensor

    def at(self, rows: Tensor | slice) -> Backdrop:
        """The backdrops of some images."""
        return Backdrop(self.bank, self.index[rows], self.rotation[rows], self.place[rows])


def look_up(backdrop: Backdrop, world_to_camera: Tensor, focal: Tensor, offset: Tensor, points: Tensor) -> Tensor:
    """Backdrop colours.

    Args:
        backdrop: of N images.
        world_to_camera: ``(N, 3, 3)`` orthogonal.
        focal, offset: ``(N,)``, ``(N, 2)`` pixels.
        points: ``(M, 2)`` image-plane points, pixels from the image's centre, the same for all.

    Returns:
        ``(N, 3, M)``.
    """
    to_plane = backdrop.rotation @ world_to_camera.transpose(1, 2)
    unscale = torch.zeros_like(to_plane)
    unscale[:, 0, 0] = unscale[:, 1, 1] = focal.reciprocal()
    unscale[:, :2, 2] = -offset / focal.unsqueeze(1)
    unscale[:, 2, 2] = 1
    homogeneous = torch.cat([points, torch.ones_like(points[:, :1])], dim=1).t()
    x, y, z = ((to_plane @ unscale) @ homogeneous).unbind(1)
    z = z.clamp_(min=0.05)
    scale, left, top = backdrop.place.T.unsqueeze(-1)
    grid = points.new_empty(len(x), len(points), 1, 2)
    torch.addcmul(left, x.div_(z), scale, out=grid[:, :, 0, 0])
    torch.addcmul(top, y.div_(z), scale, out=grid[:, :, 0, 1])
    out = []
    starts = [0, *((backdrop.index.diff() != 0).nonzero().squeeze(1) + 1).tolist(), len(grid)]
    for start, end in zip(starts, starts[1:], strict=False):
        texture = backdrop.bank[backdrop.index[start]].expand(end - start, -1, -1, -1)
        part = grid[start:end]
        out.append(grid_sample(texture, part, mode="bilinear", padding_mode="reflection", align_corners=False))
    return (out[0] if len(out) == 1 else torch.cat(out)).squeeze(3)


def _noise(octaves: int, draws: torch.Generator) -> Tensor:
    """Coloured noise ``(3, SIDE, SIDE)``, zero mean, about unit range."""
    total = torch.zeros(1, 3, SIDE, SIDE)
    for octave in range(octaves):
        cells = 4 * 2**octave
        grey = torch.randn(1, 1, cells, cells, generator=draws)
        tint = torch.randn(1, 3, cells, cells, generator=draws) * 0.35
        stretch = _bicubic(cells)
        total += 0.6**octave * (stretch @ (grey + tint) @ stretch.t())
    return total[0] * 0.35


@lru_cache(maxsize=8)
def _bicubic(cells: int) -> Tensor:
    """``(SIDE, cells)`` matrix of bicubic interpolation along one axis."""
    unit = torch.eye(cells)[:, None, None].expand(-1, -1, 4, -1)
    return interpolate(unit, size=(4, SIDE), mode="bicubic", align_corners=False)[:, 0, 0].t().contiguous()


def paint(count: int, detail: float, clutter: float, limbs: float, saturation: float, *seed: object) -> Tensor:
    """Paint `count` textures ``(count, 3, SIDE, SIDE)`` in [0, 1], a function of the seed.

    Args:
        count: how many.
        detail: contrast of noise and stripes, 0 (a flat gradient) to 1.
        clutter: density of blocks and bars, 0 to 1.
        limbs: density of painted limb-like strokes with round shading, 0 to 1.
        saturation: colourfulness, 0 to 1.
        seed: words and numbers.
    """
    steps = torch.linspace(-1, 1, SIDE)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    out = torch.empty(count, 3, SIDE, SIDE)
    for number in range(count):
        draws = generator_for("backdrop", number, *seed)
        uniform = lambda *shape: torch.rand(*shape, generator=draws)  # noqa: E731, B023
        tint = lambda: _colour(uniform, saturation)  # noqa: E731, B023
        low, high = tint(), tint()
        angle = 6.283 * uniform(1)
        ramp = 0.5 + 0.5 * (x * angle.cos() + y * angle.sin())
        mild = 0.25 + 0.75 * detail
        canvas = torch.lerp(low[:, None, None], torch.lerp(low, high, mild)[:, None, None], ramp)
        canvas += detail * 0.45 * _noise(5, draws)
        if detail > 0 and uniform(1) < 0.6 * detail:
            turn, waves = 3.1416 * uniform(1), 4 + 24 * uniform(1)
            stripes = torch.sin(3.1416 * waves * (x * turn.cos() + y * turn.sin()) + 6.28 * uniform(1))
            canvas += 0.22 * detail * (stripes * 4).clamp(-1, 1) * (tint() - 0.5)[:, None, None] * 2
        for _ in range(round(clutter * 70)):
            _block(canvas, x, y, uniform(8), tint(), tint())
        for _ in range(round(limbs * 60)):
            _limb(canvas, x, y, uniform(8), tint())
        out[number] = canvas.clamp(0, 1)
    return out


def _colour(uniform: object, saturation: float) -> Tensor:
    grey, hue = uniform(1), uniform(3)  # type: ignore[operator]
    return torch.lerp(0.1 + 0.8 * grey.expand(3), hue, saturation)


def _window(x: Tensor, centre: Tensor, reach: float) -> tuple[slice, slice]:
    to_pixel = lambda value: int(max(0.0, min(1.0, (float(value) + 1) / 2)) * SIDE)  # noqa: E731
    rows = slice(to_pixel(centre[1] - reach), to_pixel(centre[1] + reach) + 1)
    return rows, slice(to_pixel(centre[0] - reach), to_pixel(centre[0] + reach) + 1)


def _block(canvas: Tensor, x: Tensor, y: Tensor, draw: Tensor, first: Tensor, second: Tensor) -> None:
    """Paint a turned rectangle, plain or striped."""
    centre, half = draw[:2] * 2 - 1, 0.03 + 0.22 * draw[2:4].square()
    rows, columns = _window(x, centre, float(half.norm()))
    turn = 3.1416 * draw[4] if draw[5] < 0.5 else 1.5708 * (draw[4] > 0.5)
    dx, dy = x[rows, columns] - centre[0], y[rows, columns] - centre[1]
    u, v = dx * turn.cos() + dy * turn.sin(), dy * turn.cos() - dx * turn.sin()
    inside = ((half[0] - u.abs()) * SIDE / 2 + 0.5).clamp(0, 1) * ((half[1] - v.abs()) * SIDE / 2 + 0.5).clamp(0, 1)
    bars = (0.5 + 4 * torch.sin(u / half[0] * 3.1416 * (1 + 4 * draw[7]))).clamp(0, 1) if draw[6] < 0.35 else 0 * u
    colour = torch.lerp(first[:, None, None], second[:, None, None], bars)
    canvas[:, rows, columns] = torch.lerp(canvas[:, rows, columns], colour, inside)


def _limb(canvas: Tensor, x: Tensor, y: Tensor, draw: Tensor, colour: Tensor) -> None:
    """Paint a tapered, round-shaded stroke that could be somebody's arm or leg."""
    start, angle, length = draw[:2] * 2 - 1, 6.283 * draw[2], 0.12 + 0.25 * draw[3]
    step = torch.stack([angle.cos(), angle.sin()]) * length
    rows, columns = _window(x, start + step / 2, float(length) / 2 + 0.06)
    dx, dy = x[rows, columns] - start[0], y[rows, columns] - start[1]
    t = ((dx * step[0] + dy * step[1]) / length**2).clamp(0, 1)
    radius = (0.022 + 0.03 * draw[4]) * (1 - 0.4 * t)
    distance = torch.hypot(dx - t * step[0], dy - t * step[1])
    inside = ((radius - distance) * SIDE / 2 + 0.5).clamp(0, 1)
    tone = 0.55 + 0.45 * (1 - (distance / radius).square()).clamp(min=0).sqrt()
    canvas[:, rows, columns] = torch.lerp(canvas[:, rows, columns], colour[:, None, None] * tone, inside)
