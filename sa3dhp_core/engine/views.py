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
        index = list(orbit.frames)
        images = clips.images[:, index]
        spatial = None
        if orbit.spatial:
            relation = self._relations[orbit.spatial]
            generator = generator_for(seed, "spatial", orbit.spatial, orbit.per_frame)
            shape = (count, self.window) if orbit.per_frame else (count, 1)
            drawn = relation.draw(shape, generator)  # type: ignore[attr-defined]
            matrix = drawn.matrix.expand(count, self.window, 3, 3)[shard.rank :: shard.world, index]
            condition = drawn.condition.expand(count, self.window, -1)[shard.rank :: shard.world, index]
            spatial = Spatial(matrix.to(images), condition.to(images))
            images = relation.on_images(images, spatial, clips.intrinsics[:, index])  # type: ignore[attr-defined]
        if orbit.photometric:
            jitter = self._photometric[orbit.photometric]
            pieces = []
            for row in range(images.shape[0]):  # per clip, so that a shard repeats what the whole would draw
                clip = shard.rank + row * shard.world
                pieces.append(jitter(images[row], generator_for(seed, "photometric", orbit.photometric, clip)))
            images = torch.stack(pieces)
        return Drawn(orbit, images, spatial)

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
