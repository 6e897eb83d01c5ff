"""Exact person crops: a frame seen by a virtual camera. Takes the camera as given (see `cameras.virtual_camera`)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry.reduction import reduced, spans
from sa3dhp_core.geometry.sampling import PADDINGS, Padding, sample_finer
from sa3dhp_core.geometry.shapes import fit_all, need

POINTS = 1 << 20
"""Sampling points held in memory at once (times channels and a few copies)."""

MOST = 64
"""Samples across a crop pixel at most, where each is sampled; beyond that it aliases a little."""

EXACT = 2
"""Samples across a crop pixel up to which each is sampled in any case."""

UNEVEN = 2.0
"""How unlike in size a crop's pixels may be in the frame, for one reduction to serve them all."""


def crop(
    images: Tensor,
    intrinsics: Tensor,
    rotation: Tensor,
    virtual_intrinsics: Tensor,
    size: int,
    padding: Padding = "border",
    antialias: bool = True,
) -> Tensor:
    """What the virtual camera sees: ``(..., 3, size, size)``, by the homography ``K R^T K_v^-1``.

    Against aliasing each crop pixel is the mean of s x s bilinear samples, s the number of frame pixels across the
    largest, rounded up, item by item. Beyond 2 x 2 the crop is sampled once a pixel, from means of the frame over boxes
    as large as its pixels (see `reduction`), unless perspective makes some more than twice as large as others.

    Args:
        images: ``(*A, 3, H, W)`` frames, float in [0, 1], or uint8 (then divided by 255). One frame without leading
            axes serves all cameras; leading axes align at the first one.
        intrinsics: ``(..., 3, 3)`` of the frames.
        rotation: ``(..., 3, 3)`` from the frame's camera into the virtual one.
        virtual_intrinsics: ``(..., 3, 3)``.
        size: side of the crop in pixels.
        padding: what lies outside the frame: ``border``, ``grey`` or ``black``.
        antialias: as above; False: a bilinear sample a pixel, for frames whose own pixels are means over nearly as much
            as a crop pixel covers.

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
    maps = _maps(real, turn, virtual)
    lead = torch.broadcast_shapes(frames.shape[:-3], maps.shape[:-2])
    channels, height, width = frames.shape[-3:]
    number = torch.arange(frames.shape[:-3].numel()).reshape(frames.shape[:-3]).expand(lead).flatten().tolist()
    plan = _plan(maps.expand(*lead, 3, 3).reshape(-1, 3, 3), size, height, width, padding, antialias)
    crops = plan.take(frames.reshape(-1, channels, height, width), number, range(len(number)))
    return crops.reshape(*lead, channels, size, size)


@attrs.frozen(eq=False)
class CropPlan:
    """What cameras see of frames of one size, decided before there is a frame: crops of many frames cost less so.

    Attributes:
        maps: ``(N, 3, 3)`` from each crop's pixels to the frame's.
        ways: of each crop, how many samples across a pixel, and whether a reduction stands for them.
        windows: ``(N, 2, 2)`` first and last (row, column) that each reads.
        alone: of each, its window as (row, column, height, width), and the map from the crop to it.
        size: side of the crops.
        height: of the frames.
        width: of the frames.
        padding: what lies outside of them.
    """

    maps: Tensor
    ways: Sequence[tuple[int, bool]]
    windows: Tensor
    alone: Sequence[tuple[list[int], Tensor]]
    size: int
    height: int
    width: int
    padding: Padding

    def reach(self, rows: Sequence[int]) -> tuple[int, int, int, int]:
        """The part of a frame that some crops are made of: first row and column, height and width."""
        windows = [self.alone[row][0] for row in rows]
        y, x = (min(window[axis] for window in windows) for axis in (0, 1))
        bottom, right = (max(window[axis] + window[2 + axis] for window in windows) for axis in (0, 1))
        return y, x, bottom - y, right - x

    def take(
        self, frames: Tensor, number: Sequence[int], rows: Sequence[int], corners: Sequence[tuple[int, int]] = ()
    ) -> Tensor:
        """Crops ``(n, C, size, size)``.

        Args:
            frames: ``(F, C, H, W)`` float, or uint8 (then divided by 255); or parts of them, each of which holds its
                crops' `reach` and is at least as large as the others'.
            number: of the frame of each crop.
            rows: of each crop in the plan.
            corners: row and column at which each part begins.
        """
        corners = corners or [(0, 0)] * len(frames)
        alike: dict[tuple[int, bool], list[int]] = {}
        for place, row in enumerate(rows):
            alike.setdefault(self.ways[row], []).append(place)
        parts, places = [], []
        for (level, reduces), some in sorted(alike.items()):
            most = max(1, POINTS // (self.size * level) ** 2)
            for members in (some[first : first + most] for first in range(0, len(some), most)):
                cut, maps = self._cut(frames, [number[k] for k in members], [rows[k] for k in members], corners)
                parts.append((_reduced if reduces else _sampled)(cut, maps, self.size, level, self.padding))
                places += members
        if len(parts) == 1:
            return parts[0]
        empty = _unit(frames.new_zeros(0, frames.shape[1], self.size, self.size), self.maps)
        return torch.cat([empty, *parts])[torch.tensor(places, dtype=torch.int64).argsort().to(self.maps.device)]

    def _cut(
        self, frames: Tensor, number: Sequence[int], rows: Sequence[int], corners: Sequence[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        """The frames' windows ``(n, C, h, w)``, and the maps from the crops to them."""
        if len(rows) == 1:
            (y, x, tall, wide), maps = self.alone[rows[0]]
            y, x = y - corners[number[0]][0], x - corners[number[0]][1]
            return frames[number[0] : number[0] + 1, :, y : y + tall, x : x + wide], maps
        begin = torch.tensor([corners[n] for n in number])
        first, (tall, wide) = _common_size(self.windows[rows], begin + torch.tensor(frames.shape[-2:]))
        pairs = zip(number, (first - begin).tolist(), strict=True)
        cut = [frames[n, :, y : y + tall, x : x + wide] for n, (y, x) in pairs]
        return torch.stack(cut), _moved(self.maps[rows], first)


def plan_crops(
    intrinsics: Tensor,
    rotation: Tensor,
    virtual_intrinsics: Tensor,
    size: int,
    frame: tuple[int, int],
    *,
    padding: Padding = "border",
    antialias: bool = True,
) -> CropPlan:
    """`crop` for frames that come one at a time.

    Args:
        intrinsics: ``(3, 3)`` of all frames, or ``(N, 3, 3)``.
        rotation: ``(N, 3, 3)``, as of `crop`.
        virtual_intrinsics: ``(N, 3, 3)``.
        size: side of the crops.
        frame: height and width of every frame.
        padding: as of `crop`.
        antialias: as of `crop`.
    """
    maps = _maps(intrinsics.to(rotation), rotation, virtual_intrinsics.to(rotation))
    return _plan(maps, size, *frame, padding, antialias)


def _plan(maps: Tensor, size: int, height: int, width: int, padding: Padding, antialias: bool) -> CropPlan:
    finer, even = _samples(maps.detach(), size)
    if not antialias:
        finer, even = torch.ones_like(finer), torch.zeros_like(even)
    windows = _windows(maps.detach(), size, height, width, torch.where(even, finer, 0))
    ways = list(zip(finer.tolist(), even.tolist(), strict=True))
    sides = (windows[:, 1] - windows[:, 0]).clamp(min=1)
    corners = torch.minimum(windows[:, 0], torch.tensor([height, width]) - sides)
    own = torch.cat([corners, sides], dim=1).tolist()
    alone = list(zip(own, _moved(maps, corners).split(1), strict=False))
    return CropPlan(maps, ways, windows, alone, size, height, width, padding)


def _moved(maps: Tensor, corners: Tensor) -> Tensor:
    """Maps ``(N, 3, 3)`` to windows whose first (row, column) are ``corners (N, 2)``."""
    shift = torch.eye(3, dtype=maps.dtype).repeat(len(maps), 1, 1)
    shift[:, :2, 2] = -corners.flip(-1).to(shift.dtype)
    return shift.to(maps.device) @ maps


def frame_pixels_across(intrinsics: Tensor, rotation: Tensor, virtual_intrinsics: Tensor, size: int) -> Tensor:
    """``(...)`` how many frame pixels a pixel in the middle of a crop spans, along the axis where they are fewest.

    Arguments as those of `crop`, with equal leading axes.
    """
    maps = _maps(intrinsics.to(rotation), rotation, virtual_intrinsics.to(rotation))
    return spans(maps.reshape(-1, 3, 3), size)[..., 0].norm(dim=1).amin(-1).reshape(maps.shape[:-2])


def _maps(intrinsics: Tensor, rotation: Tensor, virtual_intrinsics: Tensor) -> Tensor:
    """From a crop's pixels to the frame's."""
    return intrinsics @ rotation.transpose(-1, -2) @ torch.linalg.inv_ex(virtual_intrinsics).inverse


def _sampled(frames: Tensor, maps: Tensor, size: int, finer: int, padding: Padding) -> Tensor:
    frames = _unit(frames, maps)
    fine = sample_finer(frames, maps.to(frames), size, finer, padding)
    return functional.avg_pool2d(fine, finer) if finer > 1 else fine


def _reduced(frames: Tensor, maps: Tensor, size: int, finer: int, padding: Padding) -> Tensor:
    small, onto = reduced(frames, maps.to(frames) if frames.is_floating_point() else maps, size, padding)
    return sample_finer(small, onto, size, 1)


def _windows(maps: Tensor, size: int, height: int, width: int, more: Tensor) -> Tensor:
    """``(N, 2, 2)`` first and last (row, column) that each crop reads, and ``more (N,)`` around; all where behind."""
    points = maps @ maps.new_tensor([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]])
    ends = points[:, [1, 0]] / points[:, 2:].clamp(min=1e-6)
    reach = 1 + more.to(ends)[:, None]
    box = torch.stack([ends.amin(-1).floor() - reach, ends.amax(-1).ceil() + reach], dim=1)
    last = maps.new_tensor([height, width])
    everything = torch.stack([torch.zeros_like(last), last])
    behind = (points[:, 2] <= 1e-6).any(-1)[:, None, None]
    return torch.minimum(torch.where(behind, everything, box).clamp(min=0), last).long().cpu()


def _common_size(windows: Tensor, ends: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Windows of one size, at least a pixel, that hold the given ones and end before ``ends (N, 2)``.

    Returns:
        ``(N, 2)`` their first corners, and that size.
    """
    size = (windows[:, 1] - windows[:, 0]).amax(dim=0).clamp(min=1)
    tall, wide = size.tolist()
    return torch.minimum(windows[:, 0], ends - size), (tall, wide)


def _unit(frames: Tensor, like: Tensor) -> Tensor:
    return frames.to(like.dtype) / 255 if frames.dtype == torch.uint8 else frames


def _samples(maps: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """``(N,)`` frame pixels across each crop's largest pixel, rounded up, and whether one reduction serves them all."""
    steps = spans(maps, size)
    widest = steps.norm(dim=1).amax(dim=(1, 2))
    across = steps.norm(dim=2)
    even = (across.amax(-1) <= UNEVEN * across.amin(-1)).all(-1)
    finer = (widest - 0.05).ceil().clamp(1, MOST).long().cpu()
    return finer, even.cpu() & (finer > EXACT)
