"""Exact crops of the people of a shot, by virtual cameras; the lens is undone while sampling. Writes no file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import frame_pixels_across, plan_crops, project, virtual_camera
from sa3dhp_datasets.lens import Array, Lens
from sa3dhp_datasets.shots import Person, Pictures, ReducedPictures, Region, Shot

SPARE = 1.2
"""Pixels of a picture that is read smaller, across one in the middle of a crop of it, at least."""

MOST = 0.8
"""Share of a picture beyond which all of it is read."""

TOGETHER = 2**18
"""Bytes of crops, or of what they are sampled from, that are worked on at once: small ones cost mostly the calls."""

Corner = tuple[int, int]
"""Row and column of a picture."""


@attrs.frozen(eq=False)
class Part:
    """A part ``(h, w, 3)`` of a picture, where it begins, and the numbers of the cameras that look at it."""

    picture: NDArray[np.uint8]
    corner: Corner
    numbers: Sequence[int]


@attrs.frozen
class View:
    """What virtual cameras see of pictures of one size.

    Attributes:
        shape: height and width of the pictures.
        reach: numbers of cameras to the part of a picture that they see.
    """

    shape: tuple[int, int]
    reach: Callable[[Sequence[int]], Region]
    _look: Callable[[Tensor, Sequence[int], Sequence[int], Sequence[Corner]], Tensor]

    def __call__(
        self,
        parts: Sequence[NDArray[np.uint8]],
        which: Sequence[int],
        numbers: Sequence[int],
        corners: Sequence[Corner] = (),
    ) -> Tensor:
        """What cameras see, ``(n, 3, size, size)`` float in [0, 255].

        Args:
            parts: ``(h, w, 3)`` of pictures, all of one size; at least what the cameras see of them.
            which: number of the part that each camera looks at.
            numbers: of the cameras.
            corners: row and column of the picture where each part begins; at its corner if none are given.
        """
        images = torch.stack([torch.from_numpy(part).permute(2, 0, 1) for part in parts])
        return self._look(images.float(), which, numbers, corners)


@attrs.frozen
class Framing:
    """How a person is framed.

    Attributes:
        size: side of the crop in pixels.
        box_scale: radius of the person's circle over the box's longer side.
        margin: half of a crop over that radius.
    """

    size: int
    box_scale: float
    margin: float


@attrs.frozen(eq=False)
class Cut:
    """The crops of one clip: what is cut where, and what belongs to it.

    Attributes:
        frames: ``(T,)`` numbers of the shot's pictures.
        boxes: ``(T, 4)`` x, y, width, height of the person, pixels of the picture.
        rotation: ``(T, 3, 3)`` from the shot's camera into the crop's.
        intrinsics: ``(T, 3, 3)`` of the crop's camera, pixels.
        poses: ``(T, J, 3)`` metres, root-relative, in the crop's camera; None where the set has none.
        keypoints: ``(T, J, 2)`` pixels of the crop, NaN where unseen; None where the set has none.
        flags: name to ``(T,)``.
    """

    frames: NDArray[np.int64]
    boxes: Tensor
    rotation: Tensor
    intrinsics: Tensor
    poses: Tensor | None
    keypoints: Tensor | None
    flags: dict[str, Tensor]


def cut_of(shot: Shot, person: Person, rows: NDArray[np.int64], framing: Framing) -> Cut:
    """Decide the crops of some rows of a person, without a picture.

    Raises:
        DataError: a box or a joint is not finite, or a joint is not in front of the camera.
    """
    frames, boxes = person.frames[rows], person.boxes[rows]
    centre, radius = _circles(shot, boxes, frames, framing.box_scale)
    camera = _ideal(shot.lens).expand(len(rows), 3, 3)
    rotation, virtual = virtual_camera(centre, radius, camera, framing.size, framing.margin)
    poses, seen = None, None
    if person.joints is not None:
        turned = torch.from_numpy(person.joints[rows]) @ rotation.transpose(-1, -2)
        _need_in_front(shot, turned, frames)
        root = skeleton().index(skeleton().root)
        poses = (turned - turned[:, root : root + 1]).float()
    if person.keypoints is not None:
        plane = torch.from_numpy(shot.lens.plane(person.keypoints[rows]))
        rays = torch.cat([plane, torch.ones_like(plane[..., :1])], dim=-1) @ rotation.transpose(-1, -2)
        seen = project(rays, virtual).float()
    flags = {name: torch.from_numpy(flag[rows].copy()) for name, flag in person.flags.items()}
    return Cut(frames, torch.from_numpy(boxes), rotation, virtual, poses, seen, flags)


def _circles(shot: Shot, boxes: Array, frames: NDArray[np.int64], scale: float) -> tuple[Tensor, Tensor]:
    """Centres and radii of people, in pixels of the shot's camera without its distortion."""
    corners = np.stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    ideal = shot.lens.plane(corners) * shot.lens.focal_px + shot.lens.centre_px
    if not np.isfinite(ideal).all():
        row = int(np.flatnonzero(~np.isfinite(ideal).all((1, 2)))[0])
        found, where = boxes[row].round(1).tolist(), f"{shot.where}: {shot.title}, frame {frames[row]}"
        raise DataError("a box that the camera cannot see", where=where, found=found, expected="[x, y, width, height]")
    low, high = torch.from_numpy(ideal).unbind(1)
    return (low + high) / 2, scale * (high - low).abs().amax(-1)


def _need_in_front(shot: Shot, joints: Tensor, frames: NDArray[np.int64]) -> None:
    wrong = ~(torch.isfinite(joints).all(-1) & (joints[..., 2] > 0)).all(-1)
    if bool(wrong.any()):
        frame = int(frames[int(wrong.nonzero()[0])])
        where = f"{shot.where}: {shot.title}, frame {frame}"
        raise DataError("a joint is not finite, or not in front of the camera", where=where, expected="metres, z > 0")


def cut_crops(
    pictures: Pictures, shot: Shot, cuts: Sequence[Cut], size: int, threads: int = 0
) -> Iterator[tuple[int, int, Tensor]]:
    """The crops of a shot's clips: number of the clip, of the frame in it, and ``(3, size, size)`` uint8.

    Pictures are read once, one at a time. Those that can be read smaller are, by the largest whole factor that leaves a
    crop's middle `SPARE` of their pixels across each of its own, which depends on the crop alone; and of those no more
    than what is cut.

    Args:
        pictures: of the shot.
        shot: what they are of.
        cuts: what is cut.
        size: side of the crops.
        threads: that may decode the pictures; 0: as many as there are cores.

    Raises:
        DataError: see `Pictures.frames`; or there are fewer pictures than the annotations speak of.
    """
    if not cuts:
        return
    rotation, virtual = torch.cat([cut.rotation for cut in cuts]), torch.cat([cut.intrinsics for cut in cuts])
    factors, views = torch.ones(len(rotation), dtype=torch.int64), dict[int, View]()
    if isinstance(pictures, ReducedPictures):
        factors = (frame_pixels_across(_ideal(shot.lens), rotation, virtual, size) / SPARE).long().clamp(min=1)
    for factor in factors.unique().tolist():
        shape = -(-pictures.height // factor), -(-pictures.width // factor)
        lens = shot.lens.scaled(1 / factor, 1 / factor)
        views[factor] = view_through(lens, rotation.float(), virtual.float(), size, shape, antialias=factor == 1)
    places = [(clip, row) for clip, cut in enumerate(cuts) for row in range(len(cut.frames))]
    wanted: dict[int, dict[int, list[int]]] = {}
    for number, (frame, factor) in enumerate(zip(_frames(cuts), factors.tolist(), strict=True)):
        wanted.setdefault(frame, {}).setdefault(factor, []).append(number)
    if wanted and max(wanted) >= len(pictures):
        what = "the annotations speak of more pictures than there are"
        raise DataError(what, where=f"{shot.where}: {shot.title}", found=len(pictures), expected=max(wanted) + 1)
    waiting: dict[int, list[Part]] = {factor: [] for factor in views}
    for factor, part in _read(pictures, wanted, views, threads):
        waiting[factor].append(part)
        if (len(waiting[factor]) + 1) * max(3 * size**2, part.picture.size) > TOGETHER:
            yield from _looked(views[factor], waiting[factor], places)
            waiting[factor] = []
    for factor, some in waiting.items():
        if some:
            yield from _looked(views[factor], some, places)


def _looked(view: View, parts: Sequence[Part], places: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, Tensor]]:
    which = [nth for nth, part in enumerate(parts) for _ in part.numbers]
    numbers = [number for part in parts for number in part.numbers]
    crops = view([part.picture for part in parts], which, numbers, [part.corner for part in parts])
    for number, image in zip(numbers, crops.clamp_(0, 255).round_().to(torch.uint8), strict=True):
        yield *places[number], image


def _frames(cuts: Sequence[Cut]) -> list[int]:
    return [frame for cut in cuts for frame in cut.frames.tolist()]


def _read(
    pictures: Pictures, wanted: Mapping[int, Mapping[int, Sequence[int]]], views: Mapping[int, View], threads: int
) -> Iterator[tuple[int, Part]]:
    """Factor of each picture that is wanted, and what is seen of it."""
    regions = {number: {by: views[by].reach(some) for by, some in parts.items()} for number, parts in wanted.items()}
    for by, view in views.items():
        _alike([parts for parts in regions.values() if by in parts], by, view.shape)
    for number, by, picture in _pictures(pictures, regions, threads):
        y, x, _, _ = regions[number][by]
        yield by, Part(picture, (y, x), wanted[number][by])


def _pictures(
    pictures: Pictures, regions: Mapping[int, Mapping[int, Region]], threads: int
) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """Number, factor and RGB of the parts."""
    if isinstance(pictures, ReducedPictures):
        yield from pictures.reduced(regions, threads)
        return
    for number, picture in pictures.frames(regions):
        y, x, tall, wide = regions[number][1]
        yield number, 1, picture[y : y + tall, x : x + wide].copy()  # lets go of the picture


def _alike(parts: Sequence[dict[int, Region]], by: int, whole: tuple[int, int]) -> None:
    """Give all regions of one factor the size of the largest, within the picture."""
    tall, wide = (max((part[by][side] for part in parts), default=1) for side in (2, 3))
    if tall * wide > MOST * whole[0] * whole[1]:
        tall, wide = whole
    for part in parts:
        y, x, _, _ = part[by]
        part[by] = min(y, whole[0] - tall), min(x, whole[1] - wide), tall, wide


def view_through(
    lens: Lens, rotation: Tensor, virtual: Tensor, size: int, shape: tuple[int, int], antialias: bool = True
) -> View:
    """What virtual cameras see of pictures that a lens made.

    Args:
        lens: the pictures' camera.
        rotation: ``(N, 3, 3)`` from that camera into the virtual ones.
        virtual: ``(N, 3, 3)`` their intrinsics, pixels.
        size: side of the crops.
        shape: height and width of every picture.
        antialias: see `crop`.
    """
    if not lens.bends:
        plan = plan_crops(_ideal(lens).float(), rotation, virtual, size, shape, antialias=antialias)
        return View(shape, plan.reach, plan.take)

    def bent(images: Tensor, which: Sequence[int], numbers: Sequence[int], corners: Sequence[Corner]) -> Tensor:
        pairs = zip(which, numbers, strict=True)
        return torch.stack([_bent_crop(images[n], lens, rotation[k], virtual[k], size, antialias) for n, k in pairs])

    return View(shape, lambda numbers: (0, 0, *shape), bent)


def _bent_crop(
    image: Tensor, lens: Lens, rotation: Tensor, virtual: Tensor, size: int, antialias: bool = True
) -> Tensor:
    """One crop of ``(3, H, W)`` float through a lens that bends: as `crop`, with its pixels in a homography's place."""
    finer = max(1, int(np.ceil(float(lens.focal_px.max() / virtual[0, 0]) - 0.05))) if antialias else 1
    axis = (torch.arange(size * finer, dtype=torch.float64) + 0.5) / finer
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    rays = torch.stack([columns, rows, torch.ones_like(rows)], dim=-1) @ torch.linalg.inv(virtual.double()).T
    turned = rays @ rotation.double()
    pixels = torch.from_numpy(lens.pixels((turned[..., :2] / turned[..., 2:].clamp(min=1e-6)).numpy()))
    height, width = image.shape[-2:]
    where = (pixels / torch.tensor([width, height]) * 2 - 1).float()
    seen = functional.grid_sample(image[None], where[None], "bilinear", "border", align_corners=False)
    return functional.avg_pool2d(seen, finer)[0]


def _ideal(lens: Lens) -> Tensor:
    (fx, fy), (x, y) = lens.focal_px, lens.centre_px
    return torch.tensor([[fx, 0.0, x], [0.0, fy, y], [0.0, 0.0, 1.0]], dtype=torch.float64)
