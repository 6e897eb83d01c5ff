"""The puppet: limbs cut from labelled images and moved to where other poses want them.

METHOD section 4 (known: one part-based 2D puppet is the prior knowledge; designed: a limb is warped by the similarity
that its two joints define, parts compete by depth). Cutting training images for 3D pose out of labelled ones, guided by
motion capture, is Rogez and Schmid 2016. Nothing here is learned.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import bone_directions, project, root_position, smallest_circle, virtual_camera
from sa3dhp_core.protocols.data import LabelledImages
from sa3dhp_core.types import LabelledBatch
from sa3dhp_part_guided.config import PuppetConfig
from sa3dhp_part_guided.limbs import limb_of_label, limbs_of

GROUP = 20
"""Images that are put together at a time: what stays in a processor's cache."""
READ = 500
"""Images read at a time, and as many are measured."""
FEW = 6
"""A limb of fewer pixels is dressed like its counterpart on the other side."""
TINY = 1e-6
CORE, REACH, DEEP = 0.75, 2.0, 0.6
"""A limb is solid within this share of its measured radius, no pixel farther aside than this many radii belongs to it,
and its surface is nearer than its axis by this share."""
CAP_M = 0.05
"""A solid limb's ends are no rounder than this: a trunk is wide, but does not reach into the face."""
BROADSIDE, THIN_M = 0.7, 0.04
"""Radii are measured where a limb is seen at this share of its length; a limb that no image shows so is as thick."""
TRUNK = 1.6
"""Weight of trunk, hip and shoulder bones in the search for a similar pose: they tell which side is seen."""


class Puppet:
    """Component `puppet`: `ImageSynthesis`.

    Each image takes its limbs from the labelled image of the most similar pose among some, and its backdrop from any.

    Args:
        config: keys. source: labelled images with part labels and keypoints. generator: chooses the pool.

    Raises:
        DataError: the images have no part labels or keypoints, or these do not tell the limbs apart.
    """

    def __init__(self, config: PuppetConfig, *, source: LabelledImages, generator: torch.Generator) -> None:
        self._config, self._skeleton = config, source.skeleton
        self._limbs = limbs_of(source.skeleton)
        pieces = [source.draw(min(READ, config.pool - k), generator) for k in range(0, config.pool, READ)]
        for name in ("parts", "keypoints"):
            if any(getattr(piece, name) is None for piece in pieces):
                raise DataError(
                    f"a puppet is cut along {name}, and these labelled images have none",
                    where="data.source",
                    expected="part labels and keypoints beside every image",
                    hint="the world's images have both",
                )
        self._images = torch.cat([piece.images.mul(255).round_().to(torch.uint8) for piece in pieces])
        self._poses = torch.cat([piece.poses for piece in pieces])
        self._keypoints = torch.cat([piece.keypoints for piece in pieces if piece.keypoints is not None])
        self._focal = torch.cat([piece.intrinsics[:, 0, 0] for piece in pieces])
        parts = torch.cat([piece.parts for piece in pieces if piece.parts is not None])
        limb = limb_of_label(parts, self._keypoints, self._limbs)
        self._limb = limb[parts.long()].to(torch.int8)
        self._label = torch.stack([(limb == number).nonzero()[0, 0] for number in range(len(self._limbs))])
        intrinsics = torch.cat([piece.intrinsics for piece in pieces])
        self._depth = root_position(self._poses, self._keypoints, intrinsics)[:, 2]
        self._directions = self._direction(self._poses)
        self._radius_m = self._measured_radii()

    def __call__(self, poses: Tensor, generator: torch.Generator) -> LabelledBatch:
        """Images of ``poses (B, J, 3)``; see `ImageSynthesis`."""
        pieces = [self._group(poses[first : first + GROUP], generator) for first in range(0, len(poses), GROUP)]
        fields = ("images", "poses", "parts", "intrinsics", "keypoints")
        return LabelledBatch(**{name: torch.cat([getattr(piece, name) for piece in pieces]) for name in fields})

    def _group(self, poses: Tensor, generator: torch.Generator) -> LabelledBatch:
        count, size = len(self._images), self._images.shape[-1]
        among = torch.randperm(count, generator=generator)[: max(1, round(self._config.candidates * count))]
        alike = among[(self._direction(poses).cpu() @ self._directions[among].T).argmax(dim=1)]
        behind, far = torch.randint(count, (2, len(poses)), generator=generator)
        thicker = torch.randn(len(poses), generator=generator).mul_(self._config.girth).exp_().to(poses)

        root = torch.zeros_like(poses[:, 0])
        root[:, 2] = self._depth[far].to(poses)
        eye = torch.eye(3).to(poses).expand(len(poses), 3, 3)
        middle, radius = smallest_circle(project(poses + root[:, None], eye))
        turn, intrinsics = virtual_camera(middle, radius, eye, size, self._config.margin)
        placed = (poses + root[:, None]) @ turn.transpose(1, 2)
        root = (turn @ root[..., None])[..., 0]
        keypoints = project(placed, intrinsics)

        cover, colour, limb = self._cut(alike, placed, keypoints, intrinsics[:, 0, 0] / root[:, 2], thicker)
        images = torch.lerp(self._backdrop(behind, poses), colour, cover)
        parts = torch.where(cover[:, 0] > 0.5, self._label.to(limb.device)[limb], 0).to(torch.uint8)
        return LabelledBatch(images.clamp_(0, 1), placed - root[:, None], parts, intrinsics, keypoints)

    def _cut(
        self, index: Tensor, placed: Tensor, keypoints: Tensor, scale: Tensor, thicker: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Limbs of images `index` (CPU) moved to a pose.

        Args:
            index: ``(B,)``. placed: ``(B, J, 3)`` camera frame. keypoints: ``(B, J, 2)`` pixels.
            scale: ``(B,)`` pixels a metre at the root. thicker: ``(B,)`` factor of girth.

        Returns:
            How far the person covers each pixel ``(B, 1, H, W)``, its colour ``(B, 3, H, W)`` and the limb that is
            nearest there ``(B, H, W)``.
        """
        limbs, count, size = self._limbs, len(index), self._images.shape[-1]
        start, end = limbs.start.to(placed.device), limbs.end.to(placed.device)
        images, mask = self._at(index, placed)
        texture = self._textures(images, mask)
        layers = torch.cat([texture, mask.unsqueeze(2)], dim=2).flatten(0, 1)

        first, length, along, aside = _frames(keypoints[:, start], keypoints[:, end])
        own = self._keypoints[index].to(placed)
        own_first, own_length, own_along, own_aside = _frames(own[:, start], own[:, end])
        ratio = (self._scale(index).to(scale) / scale / thicker)[:, None, None, None]
        grid = _pixels(size, placed) - first
        far, wide = (grid * along).sum(-1), (grid * aside).sum(-1)
        beyond = far - far.clamp(min=torch.zeros_like(length), max=length)  # ends are round: they keep their scale
        there = beyond * ratio + (far - beyond) / length * own_length
        place = own_first + there[..., None] * own_along + (wide * ratio)[..., None] * own_aside
        place = place * (2 / size) - 1
        taken = functional.grid_sample(layers, place.flatten(0, 1), padding_mode="border", align_corners=False)
        taken = taken.unflatten(0, (count, len(limbs)))

        size_m = self._radius_m.to(scale)[:, None, None]
        radius = size_m * (scale * thicker)[:, None, None, None]
        near = (REACH * radius - wide.abs() + 0.5).clamp(0, 1) * (place.abs().amax(dim=-1) < 1)
        gap = torch.hypot(beyond * (size_m / CAP_M).clamp(min=1), wide)
        opacity = torch.maximum(taken[:, :, 3] * near, (CORE * radius - gap + 0.5).clamp(0, 1))
        depth, farther = placed[:, start, 2], placed[:, end, 2]
        depth = depth[..., None, None] + (farther - depth)[..., None, None] * ((far - beyond) / length) - DEEP * size_m
        order = depth.argsort(dim=1)
        opacity = opacity.gather(1, order)
        clear = torch.cumprod(1 - opacity, dim=1)
        share = opacity * torch.cat([torch.ones_like(clear[:, :1]), clear[:, :-1]], dim=1)  # what nearer limbs leave
        cover = 1 - clear[:, -1:]
        seen = torch.zeros_like(share).scatter_(1, order, share)
        colour = (seen.unsqueeze(2) * taken[:, :, :3]).sum(1) / cover.clamp_min(TINY)
        return cover, colour, seen.argmax(dim=1)

    def _textures(self, images: Tensor, mask: Tensor) -> Tensor:
        """Each limb's colours spread over the whole crop ``(B, P, 3, H, W)``, so that hidden places have some."""
        count = len(images)
        spread = fill(images.repeat_interleave(len(self._limbs), 0), mask.flatten(0, 1).unsqueeze(1))
        spread = spread.unflatten(0, (count, -1))
        few = mask.sum((2, 3)) < FEW
        mirrored = self._limbs.mirrored.to(few.device)
        spread = torch.where(few[..., None, None, None], spread[:, mirrored], spread)
        person = mask.amax(dim=1, keepdim=True)
        mean = (images * person).sum((2, 3)) / person.sum((2, 3)).clamp(min=1)
        return torch.where((few & few[:, mirrored])[..., None, None, None], mean[:, None, :, None, None], spread)

    def _backdrop(self, index: Tensor, like: Tensor) -> Tensor:
        """Images without their people, whose place is filled from around it."""
        images, mask = self._at(index, like)
        person = functional.max_pool2d(mask.amax(dim=1, keepdim=True), 3, 1, 1)
        return fill(images, 1 - person)

    def _at(self, index: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Images ``(B, 3, H, W)`` of the pool and the masks ``(B, P, H, W)`` of their limbs."""
        images = self._images[index].to(like).div_(255)
        limb = self._limb[index].to(like.device)
        number = torch.arange(len(self._limbs), device=like.device, dtype=limb.dtype)
        return images, (limb[:, None] == number[:, None, None]).to(like)

    def _scale(self, index: Tensor | slice) -> Tensor:
        """Pixels a metre at the root."""
        return self._focal[index] / self._depth[index]

    def _direction(self, poses: Tensor) -> Tensor:
        """Bone directions ``(N, J * 3)``, weighted, for the search."""
        end = self._limbs.end[self._limbs.mirrored != torch.arange(len(self._limbs))]
        weight = poses.new_full((len(self._skeleton), 1), TRUNK)
        weight[end] = 1.0
        return (bone_directions(poses, self._skeleton) * weight).flatten(-2)

    def _measured_radii(self) -> Tensor:
        """``(P,)`` metres: twice the mean distance of a limb's pixels from its axis, seen broadside."""
        index = torch.arange(min(READ, len(self._images)))
        start, end, scale = self._limbs.start, self._limbs.end, self._scale(index)
        ends = self._keypoints[index]
        mask = self._at(index, ends)[1]
        whole = (self._poses[index][:, end] - self._poses[index][:, start]).norm(dim=-1) * scale[:, None]
        first, length, along, aside = _frames(ends[:, start], ends[:, end])
        grid = _pixels(mask.shape[-1], ends) - first
        far, wide = (grid * along).sum(-1), (grid * aside).sum(-1).abs()
        mask = mask * ((far >= 0) & (far <= length))
        radius = 2 * (wide * mask).sum((2, 3)) / mask.sum((2, 3)) / scale[:, None]
        radius = torch.where((length[..., 0, 0] > BROADSIDE * whole) & (mask.sum((2, 3)) >= FEW), radius, torch.nan)
        radii: Tensor = radius.nanquantile(0.5, dim=0).nan_to_num(THIN_M)
        return radii


def _frames(start: Tensor, end: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Image frames of limbs, each with axes for rows and columns: first end, length, unit vector, its normal."""
    step = end - start
    length = step.norm(dim=-1).clamp(min=1e-3)
    along = step / length[..., None]
    aside = torch.stack([-along[..., 1], along[..., 0]], dim=-1)
    axes = (slice(None), slice(None), None, None)
    return start[axes], length[axes], along[axes], aside[axes]


def _pixels(size: int, like: Tensor) -> Tensor:
    """Pixel centres ``(size, size, 2)`` as x, y."""
    line = torch.arange(size, device=like.device).to(like) + 0.5
    return torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)


def fill(images: Tensor, known: Tensor) -> Tensor:
    """Colours of ``images (N, 3, H, W)`` where ``known (N, 1, H, W)`` is 1; elsewhere those around it.

    A pull-push pyramid: what is far from all that is known is filled from a coarser level. Nothing known gives black.
    """
    levels = [(images * known, known)]
    while max(levels[-1][1].shape[-2:]) > 1:
        colour, weight = (functional.avg_pool2d(level, 2, ceil_mode=True) for level in levels[-1])
        levels.append((colour, weight))
    out = levels[-1][0] / levels[-1][1].clamp_min(TINY)
    for colour, weight in reversed(levels[:-1]):
        out = functional.interpolate(out, colour.shape[-2:], mode="bilinear", align_corners=False)
        out = torch.lerp(out, colour / weight.clamp_min(TINY), weight)
    return out
