"""View planning: each distinct (frame, spatial draw, photometric draw, encoder) is encoded once per step.

A temporal relation only re-indexes frames, and most spatial elements are shared by several losses, so the union of all
requests is far smaller than their sum. Every draw is seeded by its own name: a loss gets exactly the embeddings that
it would get alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
import torch
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.protocols.alignment import Encoded, View
from sa3dhp_core.types import ClipBatch, Encoding, Shard, Spatial

Photometric = Callable[[Tensor, torch.Generator], Tensor]
"""``(N, 3, H, W)`` images and a generator to jittered images of the same shape."""


BLOCK, SPACING = 3, 10
"""Frames whose elements and jitter are drawn together, and their distance: 0, 10, 20; 1, 11, 21; … Blocks are drawn
whole, so what a frame gets depends on its block's name alone, neither on the window nor on the other frames that are
asked for; and a loss that uses every tenth frame wastes none."""


@attrs.frozen
class Orbit:
    """One distinct encoding of the window: the union of frames that any view asks of it."""

    spatial: str
    photometric: str
    per_frame: bool
    by: str
    frames: tuple[int, ...]


@attrs.frozen
class Drawn:
    """The images of one orbit, ``(B, F, 3, H, W)``, and the spatial elements that were drawn for them."""

    orbit: Orbit
    images: Tensor
    spatial: Spatial | None


class ViewPlan:
    """The union of several losses' requests.

    Args:
        requests: (views, window) of each loss.
        relations: `Relation` by name, for spatial draws.
        photometric: photometric transforms by name.
    """

    def __init__(
        self,
        requests: Sequence[tuple[Sequence[View], int]],
        relations: Mapping[str, object],
        photometric: Mapping[str, Photometric],
    ) -> None:
        self.window = max((window for _, window in requests), default=1)
        self._relations, self._photometric = relations, photometric
        self._asked: list[dict[View, tuple[int, ...]]] = []
        union: dict[tuple[str, str, bool, str], set[int]] = {}
        for views, window in requests:
            asked = {view: tuple(range(window)) if view.frames is None else view.frames for view in views}
            self._asked.append(asked)
            for view, frames in asked.items():
                union.setdefault((view.spatial, view.photometric, view.per_frame, view.by), set()).update(frames)
        self.orbits = tuple(Orbit(*key, frames=tuple(sorted(frames))) for key, frames in union.items())

    def __len__(self) -> int:
        """Number of frames encoded per window."""
        return sum(len(orbit.frames) for orbit in self.orbits)

    def draw(self, clips: ClipBatch, count: int, seed: int, shard: Shard) -> tuple[Drawn, ...]:
        """Transform the clips into the images of every orbit.

        Args:
            clips: this rank's windows, ``(b, window, 3, H, W)``.
            count: windows of the global batch.
            seed: of this step.
            shard: this rank's part.
        """
        return tuple(self._draw_orbit(orbit, clips, count, seed, shard) for orbit in self.orbits)

    def _draw_orbit(self, orbit: Orbit, clips: ClipBatch, count: int, seed: int, shard: Shard) -> Drawn:
        images = clips.images[:, list(orbit.frames)]
        spatial = None
        if orbit.spatial:
            relation = self._relations[orbit.spatial]
            drawn = self._elements(relation, orbit, count, seed)
            mine = slice(shard.rank, None, shard.world)
            spatial = Spatial(drawn.matrix[mine].to(images), drawn.condition[mine].to(images))
            intrinsics = clips.intrinsics[:, list(orbit.frames)]
            images = relation.on_images(images, spatial, intrinsics)  # type: ignore[attr-defined]
        if orbit.photometric:
            images = self._jittered(images, orbit, seed, shard)
        return Drawn(orbit, images, spatial)

    @staticmethod
    def _elements(relation: object, orbit: Orbit, count: int, seed: int) -> Spatial:
        """Elements ``(count, F, ...)`` of the global batch: one a clip, or one a frame."""

        def draw(*block: int) -> Spatial:
            wide = BLOCK if block else 1
            generator = generator_for(seed, "spatial", orbit.spatial, *block)
            drawn: Spatial = relation.draw((count, wide), generator)  # type: ignore[attr-defined]
            return Spatial(drawn.matrix.expand(count, wide, 3, 3), drawn.condition.expand(count, wide, -1))

        if not orbit.per_frame:
            one = draw()
            frames = len(orbit.frames)
            return Spatial(one.matrix.expand(-1, frames, 3, 3), one.condition.expand(-1, frames, -1))
        blocks = _blocks(orbit.frames)
        pieces = [(draw(block), slots) for block, (_, slots) in blocks.items()]
        order = torch.tensor([place for places, _ in blocks.values() for place in places]).argsort()
        matrix = torch.cat([drawn.matrix[:, slots] for drawn, slots in pieces], dim=1)
        condition = torch.cat([drawn.condition[:, slots] for drawn, slots in pieces], dim=1)
        return Spatial(matrix[:, order], condition[:, order])

    def _jittered(self, images: Tensor, orbit: Orbit, seed: int, shard: Shard) -> Tensor:
        """Jitter ``(b, F, 3, H, W)`` a clip and a block at a time; a block is always drawn whole, its gaps filled."""
        jitter, blocks = self._photometric[orbit.photometric], _blocks(orbit.frames)
        out = torch.empty_like(images)
        for row in range(images.shape[0]):
            clip = shard.rank + row * shard.world
            for block, (places, slots) in blocks.items():
                filled = [places[0]] * BLOCK
                for slot, place in zip(slots, places, strict=True):
                    filled[slot] = place
                generator = generator_for(seed, "photometric", orbit.photometric, clip, block)
                out[row, places] = jitter(images[row, filled], generator)[slots]
        return out

    def hand_out(self, encoded: Mapping[Orbit, tuple[Encoding, Spatial | None]]) -> tuple[dict[View, Encoded], ...]:
        """For each request its views' slices of the orbits' encodings (``z (B, F, D)``, gathered over ranks)."""
        by_key = {(o.spatial, o.photometric, o.per_frame, o.by): o for o in encoded}
        return tuple(
            {
                view: self._slice(by_key[(view.spatial, view.photometric, view.per_frame, view.by)], frames, encoded)
                for view, frames in asked.items()
            }
            for asked in self._asked
        )

    @staticmethod
    def _slice(
        orbit: Orbit, frames: tuple[int, ...], encoded: Mapping[Orbit, tuple[Encoding, Spatial | None]]
    ) -> Encoded:
        encoding, spatial = encoded[orbit]
        if frames == orbit.frames:
            return Encoded(encoding.z, encoding.feature, spatial)
        position = {frame: place for place, frame in enumerate(orbit.frames)}
        index = [position[frame] for frame in frames]
        drawn = None if spatial is None else Spatial(spatial.matrix[:, index], spatial.condition[:, index])
        return Encoded(encoding.z[:, index], encoding.feature[:, index], drawn)


def _blocks(frames: Sequence[int]) -> dict[int, tuple[list[int], list[int]]]:
    """Block number to the positions in `frames` of the frames that lie in it, and their slots in the block."""
    found: dict[int, tuple[list[int], list[int]]] = {}
    for place, frame in enumerate(frames):
        block = frame % SPACING + SPACING * (frame // (SPACING * BLOCK))
        places, slots = found.setdefault(block, ([], []))
        places.append(place)
        slots.append(frame // SPACING % BLOCK)
    return found
