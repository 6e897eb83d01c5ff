"""The renderer: scenes and cameras to images, part labels, depth and keypoints. Batched, any device, no gradients.

The image is a function evaluated at image-plane points, backdrop included. So an orthogonal map M that keeps the
optical axis acts exactly: rendering with ``action = M`` equals rendering at points mapped by M's inverse, and for a
mirror equals the flipped image.
"""

from __future__ import annotations

import math

import attrs
import torch
from torch import Tensor

from sa3dhp_core.cards import part_labels, skeleton
from sa3dhp_world.backdrop import Backdrop, look_up
from sa3dhp_world.raster import TILE, flatten, rasterise
from sa3dhp_world.shading import shade, surface
from sa3dhp_world.strokes import Strokes

CENTRE = 0.5
"""Pixel coordinate of the middle of the first pixel: coordinates start at the image corner, as in core geometry."""
CHUNK_PIXELS = 64 * 64 * 64
"""Pixels that are worked on at once, so that intermediate results stay in the processor's cache."""


@attrs.frozen
class Scene:
    """N scenes.

    Attributes:
        strokes: all people's and objects' strokes, world frame.
        joints: ``(N, J, 3)`` of the subject, world frame, metres.
        light: ``(N, 3)`` unit, towards the light, world frame.
        ambient: ``(N,)`` share of light without direction.
        backdrop: what lies behind.
    """

    strokes: Strokes
    joints: Tensor
    light: Tensor
    ambient: Tensor
    backdrop: Backdrop

    def at(self, rows: Tensor | slice) -> Scene:
        """Some of the scenes."""
        return Scene(
            self.strokes.at(rows), self.joints[rows], self.light[rows], self.ambient[rows], self.backdrop.at(rows)
        )


@attrs.frozen
class Camera:
    """N pinhole cameras with square pixels.

    Attributes:
        rotation: ``(N, 3, 3)`` world to camera. centre: ``(N, 3)`` where it stands, world frame.
        intrinsics: ``(N, 3, 3)`` pixels.
    """

    rotation: Tensor
    centre: Tensor
    intrinsics: Tensor

    def see(self, points: Tensor) -> Tensor:
        """World points ``(N, ..., 3)`` in the camera frame."""
        middle = [1] * (points.dim() - 2)
        moved = points - self.centre.view(-1, *middle, 3)
        return torch.einsum("nij,n...j->n...i", self.rotation, moved)

    def at(self, rows: Tensor | slice) -> Camera:
        """Some of the cameras."""
        return Camera(self.rotation[rows], self.centre[rows], self.intrinsics[rows])


@attrs.frozen
class Picture:
    """What the renderer returns for N cameras.

    Attributes:
        images: ``(N, 3, H, W)`` in [0, 1].
        parts: ``(N, H, W)`` uint8 labels of the subject (card ``body-10``), 0 elsewhere.
        depth: ``(N, H, W)`` metres along the optical axis, infinite where nothing stands.
        keypoints: ``(N, J, 2)`` pixels. joints: ``(N, J, 3)`` metres, camera frame.
    """

    images: Tensor
    parts: Tensor
    depth: Tensor
    keypoints: Tensor
    joints: Tensor


def render(
    scene: Scene, camera: Camera, size: tuple[int, int], action: Tensor | None = None, grid: Tensor | None = None
) -> Picture:
    """Render N scenes.

    Args:
        scene: the scenes. camera: their cameras.
        size: (width, height) in pixels.
        action: ``(N, 3, 3)`` or ``(3, 3)`` orthogonal map of the camera frame that keeps the optical axis; the scene
            seen is mapped by it (left and right exchanged where it mirrors).
        grid: ``(2, 2)`` map of pixel positions about the image's centre: where the image function is evaluated
            (identity if None).
    """
    scene = attrs.evolve(scene, strokes=scene.strokes.present())
    pixels = TILE * TILE * math.ceil(size[0] / TILE) * math.ceil(size[1] / TILE)
    step = max(1, CHUNK_PIXELS // pixels)
    if action is not None:
        action = action.expand(len(camera.centre), 3, 3)
    chunks = [
        _render(scene.at(rows), camera.at(rows), size, None if action is None else action[rows], grid)
        for rows in (slice(i, i + step) for i in range(0, len(camera.centre), step))
    ]
    if len(chunks) == 1:
        return chunks[0]
    return Picture(
        *(torch.cat(parts) for parts in zip(*(attrs.astuple(c, recurse=False) for c in chunks), strict=True))
    )


def _points(size: tuple[int, int], grid: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tile centres ``(L, 2)``, offsets of a tile's pixels ``(TILE * TILE, 2)`` from the image's centre, and the
    position of each tile's each pixel in the image, row by row, or -1 outside of it.
    """
    across, down = (math.ceil(side / TILE) for side in size)
    steps = torch.arange(TILE, dtype=like.dtype, device=like.device) - (TILE - 1) / 2
    offsets = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1).reshape(-1, 2)
    middles = [
        torch.arange(count, dtype=like.dtype, device=like.device) * TILE + TILE / 2 - side / 2
        for count, side in ((across, size[0]), (down, size[1]))
    ]
    centres = torch.stack(torch.meshgrid(*middles, indexing="xy"), dim=-1).reshape(-1, 2)
    half = centres.new_tensor([(side - 1) / 2 for side in size])
    x, y = (centres.unsqueeze(1) + offsets + half).round().long().flatten(0, 1).unbind(1)
    place = torch.where((x < size[0]) & (y < size[1]), y * size[0] + x, -1)
    if grid is not None:
        centres, offsets = centres @ grid.to(like).t(), offsets @ grid.to(like).t()
    return centres, offsets, place


def _render(scene: Scene, camera: Camera, size: tuple[int, int], action: Tensor | None, grid: Tensor | None) -> Picture:
    rotation = camera.rotation if action is None else action @ camera.rotation
    seen = attrs.evolve(camera, rotation=rotation)
    strokes, bones = scene.strokes, skeleton()
    ends = seen.see(strokes.ends)
    joints = seen.see(scene.joints)
    forward = torch.einsum("nij,npj->npi", rotation, strokes.forward)
    light = torch.einsum("nij,nj->ni", rotation, scene.light)
    focal = camera.intrinsics[:, 0, 0]
    middle = ends.new_tensor([side / 2 + CENTRE - 0.5 for side in size])
    offset = camera.intrinsics[:, :2, 2] - middle
    label = strokes.label
    if action is not None:
        mirrored = torch.linalg.det(action) < 0
        swap = torch.tensor(part_labels().mirror, device=label.device)
        label = torch.where(mirrored.unsqueeze(1), swap[label], label)
        joints = torch.where(mirrored.view(-1, 1, 1), joints[:, bones.mirror], joints)

    flat = flatten(ends, strokes.radii, focal, offset)
    centres, offsets, place = _points(size, grid, ends)
    points = (centres.unsqueeze(1) + offsets).flatten(0, 1)
    image, cell, stroke, under = rasterise(flat, centres, offsets)
    spot = place.index_select(0, cell)
    width, height = size
    if width % TILE or height % TILE:
        inside = (spot >= 0).nonzero().squeeze(1)
        image, cell, stroke, under, spot = (v[inside] for v in (image, cell, stroke, under, spot))
    rows = torch.arange(height, dtype=ends.dtype, device=ends.device) - (height - 1) / 2
    columns = torch.arange(width, dtype=ends.dtype, device=ends.device) - (width - 1) / 2
    ordered = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).reshape(-1, 2)
    if grid is not None:
        ordered = ordered @ grid.to(ends).t()
    images = look_up(scene.backdrop, rotation, focal, offset, ordered)  # (N, 3, H W)
    edge = (under >= 0).nonzero().squeeze(1)
    at = points.index_select(0, torch.cat([cell, cell[edge]]))
    dots = surface(ends, forward, light, flat.aside)
    colour, cover, near = shade(flat, strokes, dots, scene.ambient, at, torch.cat([stroke, under[edge]]))
    count = len(cell)
    channel = image * (3 * width * height) + spot
    canvas = images.view(-1)
    for c in range(3):
        behind = canvas.index_select(0, channel)
        behind[edge] = colour[c, count:]
        canvas.index_copy_(0, channel, torch.lerp(behind, colour[c, :count], cover[:count]))
        channel += width * height

    pixel = image * (width * height) + spot
    parts = torch.zeros(len(ends) * width * height, dtype=torch.uint8, device=ends.device)
    parts.index_copy_(0, pixel, label.reshape(-1).to(torch.uint8).index_select(0, stroke))
    depth = torch.full(parts.shape, math.inf, device=ends.device, dtype=ends.dtype)
    depth.index_copy_(0, pixel, near[:count].reciprocal())
    keypoints = joints[..., :2] / joints[..., 2:].clamp(min=1e-3) * focal[:, None, None]
    return Picture(
        images.view(-1, 3, height, width),
        parts.view(-1, height, width),
        depth.view(-1, height, width),
        keypoints + camera.intrinsics[:, None, :2, 2],
        joints,
    )
