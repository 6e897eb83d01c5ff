"""View planning: each distinct (frame, spatial draw, photometric draw, encoder) is encoded once per step.

A temporal relation only re-indexes frames, and most spatial elements are shared by several losses, so the union of all
requests is far smaller than their sum. Every draw is seeded by its own name: a loss gets exactly the embeddings that
it would get alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import attrs
import torch
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.engine.passes import Frames, Orbit, Sight, merged, planned
from sa3dhp_core.protocols.alignment import Encoded, View
from sa3dhp_core.protocols.relation import NamesItsCrops
from sa3dhp_core.types import ClipBatch, Encoding, Shard, Spatial

Photometric = Callable[[Tensor, torch.Generator], Tensor]
"""``(N, 3, H, W)`` images and a generator to jittered images of the same shape."""


@runtime_checkable
class DrawnApart(Protocol):
    """A photometric transform whose few random numbers are drawn first, so that many draws are applied at once."""

    def draw(self, count: int, generators: Sequence[torch.Generator]) -> Tensor:
        """``(G, count, P)``, on the CPU: from each generator, for as many images."""
        ...

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """``(N, 3, H, W)`` and ``(N, P)`` -> ``(N, 3, H, W)``; an image's result depends on its own row alone."""
        ...


BLOCK, SPACING = 3, 10
"""Frames whose elements and jitter are drawn together, and their distance: 0, 10, 20; 1, 11, 21; … Blocks are drawn
whole, so what a frame gets depends on its block's name alone, neither on the window nor on the other frames that are
asked for; and a loss that uses every tenth frame wastes none."""


@attrs.frozen
class Drawn:
    """The images of one orbit, ``(B, F, 3, H, W)``, and the spatial elements that were drawn for them."""

    orbit: Orbit
    images: Tensor
    spatial: Spatial | None


class ViewPlan:
    """The union of several losses' requests.

    Lean, it asks for the fewest frames and keeps the fewest activations: shorter windows are the middle of longer ones
    instead of their beginning; relations that do the same to crops share their draws; a frame that is asked for with
    and without gradient is encoded once; and each loss has a turn of its own. Then frames are named by their distance
    from the window's middle, so that a loss gets what it would get alone from its own, shorter window.

    Attributes:
        window: frames of the windows to draw.
        turns: numbers of the requests that are answered together.
        passes: what is encoded, in order.

    Args:
        requests: (views, window) of each loss.
        relations: `Relation` by name, for spatial draws.
        photometric: photometric transforms by name.
        labelled: names of the labelled images that each loss asks for beside its views.
        lean: see above.
    """

    def __init__(
        self,
        requests: Sequence[tuple[Sequence[View], int]],
        relations: Mapping[str, object],
        photometric: Mapping[str, Photometric],
        labelled: Sequence[Sequence[str]] = (),
        lean: bool = False,
    ) -> None:
        self.window = max((window for _, window in requests), default=1)
        self._relations, self._photometric, self._lean = dict(relations), photometric, lean
        self._origin = self.window // 2 - BLOCK * SPACING // 2 if lean else 0
        self._asked = tuple(self._placed(views, window) for views, window in requests)
        numbers = range(len(requests))
        self.turns = tuple((number,) for number in numbers) if lean else (tuple(numbers),)
        asked = [[wanted for number in turn for wanted in self._asked[number].values()] for turn in self.turns]
        names = [[name for number in turn for name in (labelled[number] if labelled else ())] for turn in self.turns]
        passes = planned(asked, names, shared=lean)
        self.passes = merged(passes) if lean else passes
        self._places = {
            (orbit.sight, frame): (orbit, place) for orbit in self.orbits for place, frame in enumerate(orbit.frames)
        }

    @property
    def orbits(self) -> tuple[Orbit, ...]:
        """All that is encoded of a window."""
        return tuple(orbit for one in self.passes for orbit in one.orbits)

    def __len__(self) -> int:
        """Number of frames encoded per window."""
        return sum(one.frames for one in self.passes)

    def _placed(self, views: Sequence[View], window: int) -> dict[View, tuple[Sight, Frames]]:
        """The views' sights, and their frames counted in this plan's window."""
        start = self.window // 2 - window // 2 if self._lean else 0
        wanted = {view: range(window) if view.frames is None else view.frames for view in views}
        return {view: (self._sight(view), tuple(start + f for f in frames)) for view, frames in wanted.items()}

    def _sight(self, view: View) -> Sight:
        relation = self._relations.get(view.spatial)
        if not (self._lean and isinstance(relation, NamesItsCrops)):
            return Sight(view.spatial, view.photometric, view.per_frame, view.by)
        name = relation.crops_name and f"{type(relation).__name__} {relation.crops_name}"
        self._relations.setdefault(name, relation)
        single = not name or relation.condition == 0  # type: ignore[attr-defined]
        return Sight(name, view.photometric, view.per_frame and not single, view.by)

    def draw(self, orbits: Sequence[Orbit], clips: ClipBatch, count: int, seed: int, shard: Shard) -> tuple[Drawn, ...]:
        """Transform the clips into the images of some of the orbits.

        Args:
            orbits: of this plan.
            clips: this rank's windows, ``(b, window, 3, H, W)``.
            count: windows of the global batch.
            seed: of this step.
            shard: this rank's part.
        """
        return tuple(self._draw_orbit(orbit, clips, count, seed, shard) for orbit in orbits)

    def _draw_orbit(self, orbit: Orbit, clips: ClipBatch, count: int, seed: int, shard: Shard) -> Drawn:
        images = clips.images[:, list(orbit.frames)]
        spatial = None
        sight = orbit.sight
        if sight.spatial:
            relation = self._relations[sight.spatial]
            drawn = self._elements(relation, orbit, count, seed)
            mine = slice(shard.rank, None, shard.world)
            spatial = Spatial(drawn.matrix[mine].to(images), drawn.condition[mine].to(images))
            intrinsics = clips.intrinsics[:, list(orbit.frames)]
            images = relation.on_images(images, spatial, intrinsics)  # type: ignore[attr-defined]
        if sight.photometric:
            images = self._jittered(images, orbit, seed, shard)
        return Drawn(orbit, images, spatial)

    def _elements(self, relation: object, orbit: Orbit, count: int, seed: int) -> Spatial:
        """Elements ``(count, F, ...)`` of the global batch: one a clip, or one a frame."""

        def draw(*block: int) -> Spatial:
            wide = BLOCK if block else 1
            generator = generator_for(seed, "spatial", orbit.sight.spatial, *block)
            drawn: Spatial = relation.draw((count, wide), generator)  # type: ignore[attr-defined]
            return Spatial(drawn.matrix.expand(count, wide, 3, 3), drawn.condition.expand(count, wide, -1))

        if not orbit.sight.per_frame:
            one = draw()
            frames = len(orbit.frames)
            return Spatial(one.matrix.expand(-1, frames, 3, 3), one.condition.expand(-1, frames, -1))
        blocks = self._blocks(orbit.frames)
        pieces = [(draw(block), slots) for block, (_, slots) in blocks.items()]
        order = torch.tensor([place for places, _ in blocks.values() for place in places]).argsort()
        matrix = torch.cat([drawn.matrix[:, slots] for drawn, slots in pieces], dim=1)
        condition = torch.cat([drawn.condition[:, slots] for drawn, slots in pieces], dim=1)
        return Spatial(matrix[:, order], condition[:, order])

    def _jittered(self, images: Tensor, orbit: Orbit, seed: int, shard: Shard) -> Tensor:
        """Jitter ``(b, F, 3, H, W)`` a clip and a block at a time; a block is always drawn whole."""
        name, blocks = orbit.sight.photometric, self._blocks(orbit.frames)
        jitter = self._photometric[name]

        def generator(row: int, block: int) -> torch.Generator:
            return generator_for(seed, "photometric", name, shard.rank + row * shard.world, block)

        rows = range(len(images))
        if isinstance(jitter, DrawnApart):
            drawn = jitter.draw(BLOCK, [generator(row, block) for row in rows for block in blocks])
            order = torch.tensor([place for places, _ in blocks.values() for place in places]).argsort()
            slots = torch.tensor([BLOCK * nth + s for nth, (_, taken) in enumerate(blocks.values()) for s in taken])
            numbers = drawn.unflatten(0, (len(rows), -1)).flatten(1, 2)[:, slots[order]]
            return jitter.apply(images.flatten(0, 1), numbers.flatten(0, 1)).unflatten(0, images.shape[:2])
        out = torch.empty_like(images)
        for row in rows:
            for block, (places, slots) in blocks.items():
                filled = [places[0]] * BLOCK  # gaps are filled: how much is drawn may depend on it
                for slot, place in zip(slots, places, strict=True):
                    filled[slot] = place
                out[row, places] = jitter(images[row, filled], generator(row, block))[slots]
        return out

    def _blocks(self, frames: Sequence[int]) -> dict[int, tuple[list[int], list[int]]]:
        """Block number to the positions in `frames` of the frames that lie in it, and their slots in the block."""
        found: dict[int, tuple[list[int], list[int]]] = {}
        for place, frame in enumerate(frames):
            named = frame - self._origin
            block = named % SPACING + SPACING * (named // (SPACING * BLOCK))
            places, slots = found.setdefault(block, ([], []))
            places.append(place)
            slots.append(named // SPACING % BLOCK)
        return found

    def hand_out(self, number: int, encoded: Mapping[Orbit, tuple[Encoding, Spatial | None]]) -> dict[View, Encoded]:
        """One request's views, as slices of the orbits' encodings (``z (B, F, D)``, gathered over ranks)."""
        return {view: self._view(view, *asked, encoded) for view, asked in self._asked[number].items()}

    def _view(
        self, view: View, sight: Sight, frames: Frames, encoded: Mapping[Orbit, tuple[Encoding, Spatial | None]]
    ) -> Encoded:
        at = [self._places.get((sight, frame)) or self._places[sight.learning, frame] for frame in frames]
        starts: dict[Orbit, int] = {}
        for orbit, _ in at:
            starts.setdefault(orbit, sum(len(one.frames) for one in starts))
        index = [starts[orbit] + place for orbit, place in at]
        z, feature = (
            _taken([getattr(encoded[orbit][0], part) for orbit in starts], index) for part in ("z", "feature")
        )
        if view.by == "stopped":
            z, feature = z.detach(), feature.detach()
        return Encoded(z, feature, self._elements_of(view, [encoded[orbit][1] for orbit in starts], index, z))

    def _elements_of(
        self, view: View, drawn: Sequence[Spatial | None], index: list[int], like: Tensor
    ) -> Spatial | None:
        known = [spatial for spatial in drawn if spatial is not None]
        if known:
            return Spatial(
                _taken([spatial.matrix for spatial in known], index),
                _taken([spatial.condition for spatial in known], index),
            )
        if not view.spatial:
            return None
        none = self._relations[view.spatial].draw(like.shape[:2], torch.Generator())  # type: ignore[attr-defined]
        return Spatial(none.matrix.to(like.device), none.condition.to(like.device))


def _taken(parts: Sequence[Tensor], index: list[int]) -> Tensor:
    """Frames of several ``(B, F, ...)``, one after the other."""
    whole = parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)
    return whole if index == list(range(whole.shape[1])) else whole[:, index]
