"""The encodings of one step, made pass by pass as its plan says. It knows no loss and steps nothing.

What several turns read is cut from its graph: their gradients gather at the cut, and go through the encoder once, after
the last of them. Then its activations are let go, before other passes are encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from sa3dhp_core.engine.passes import Orbit, Pass
from sa3dhp_core.engine.views import Drawn, ViewPlan
from sa3dhp_core.types import Encoding, Spatial


class Encodings:
    """What the turns of a step read.

    Attributes:
        orbits: encodings ``(B, F, ...)`` of the target's frames, gathered over ranks, and their spatial elements.
        labelled: encodings ``(S, ...)`` of labelled images by name, gathered.

    Args:
        plan: what is encoded when.
        modules: ``encoder`` and, if asked for, ``teacher``.
        draw: makes the images of some orbits.
        images: labelled images ``(S, 3, H, W)`` by name.
        gather: concatenates a rank's ``(b, ...)`` to the global batch, with gradient.
        chunk: images that an encoder sees at a time; 0 for all of a pass.
    """

    def __init__(
        self,
        plan: ViewPlan,
        modules: Mapping[str, nn.Module],
        draw: Callable[[Sequence[Orbit]], Sequence[Drawn]],
        images: Mapping[str, Tensor],
        gather: Callable[[Tensor], Tensor],
        chunk: int = 0,
    ) -> None:
        self._plan, self._modules, self._draw, self._images, self._gather = plan, modules, draw, images, gather
        self._chunk = chunk
        self.orbits: dict[Orbit, tuple[Encoding, Spatial | None]] = {}
        self.labelled: dict[str, Encoding] = {}
        self._whole: list[Encoding] = []
        self._cut: dict[Pass, list[tuple[Tensor, Tensor]]] = {}

    def begin(self, turn: int) -> None:
        """Encode what this turn is the first to read."""
        self._whole = []
        for one in self._plan.passes:
            if one.first == turn:
                self._encode(one)

    def back(self, turn: int, total: Tensor) -> Iterator[tuple[Tensor, bool]]:
        """What to back-propagate at the end of a turn, one after the other; each is applied before the next is made.

        Yields:
            a scalar, and whether more follows in this step.
        """
        ending = [one for one in self._cut if one.last == turn]
        final = turn == len(self._plan.turns) - 1
        if not self._cut:
            yield total, not final
            return
        scale = total.new_zeros((), requires_grad=True)  # its gradient is what the engine scales losses by
        yield total + scale, bool(ending) or not final
        for number, one in enumerate(ending, start=1):
            pieces = [_through(value, leaf) for value, leaf in self._cut.pop(one)]
            assert scale.grad is not None
            yield torch.stack(pieces).sum() / scale.grad, not (final and number == len(ending))

    def outputs(self) -> Tensor:
        """Sum of all that this turn's loss reaches in a sharded module: each output must take part on every rank."""
        return torch.stack([e.z.sum() + e.feature.sum() for e in self._whole] or [torch.zeros(())]).sum()

    def _encode(self, one: Pass) -> None:
        drawn = self._draw(one.orbits)
        images = [*(d.images.flatten(0, 1) for d in drawn), *(self._images[name] for name in one.labelled)]
        sizes = [len(i) for i in images]
        found = [(d.orbit, d.images.shape[:2], d.spatial) for d in drawn]
        del drawn  # their images are let go before the encoder takes its room
        out = self._encoded(one.by, images)
        pieces = [Encoding(*both) for both in zip(out.z.split(sizes), out.feature.split(sizes), strict=True)]
        for name, piece in zip(one.labelled, pieces[len(found) :], strict=True):
            self.labelled[name] = self._kept(one, Encoding(*(self._gather(part) for part in piece)))
        for (orbit, shape, spatial), piece in zip(found, pieces[: len(found)], strict=True):
            gathered = Encoding(*(self._gather(part.unflatten(0, shape)) for part in piece))
            if spatial is not None:
                matrix, condition = spatial.matrix.to(piece.z), spatial.condition.to(piece.z)
                spatial = Spatial(self._gather(matrix), self._gather(condition))
            self.orbits[orbit] = (self._kept(one, gathered), spatial)

    def _encoded(self, by: str, images: list[Tensor]) -> Encoding:
        """One call, or several of at most `chunk` images; takes the images away from the caller."""
        module = self._modules["teacher" if by == "teacher" else "encoder"]
        if self._chunk:
            parts = [part for image in images for part in image.split(self._chunk)]
        else:
            parts = [images[0] if len(images) == 1 else torch.cat(images)]
        images.clear()
        outs = []
        with torch.set_grad_enabled(by == "student"):
            while parts:
                outs.append(module(parts.pop(0)))
        if len(outs) == 1:
            return Encoding(outs[0].z, outs[0].feature)
        return Encoding(torch.cat([out.z for out in outs]), torch.cat([out.feature for out in outs]))

    def _kept(self, one: Pass, encoding: Encoding) -> Encoding:
        """As it is where one turn alone needs its graph; else cut from it."""
        if one.first == one.last:
            self._whole.append(encoding)
            return encoding
        leaves = Encoding(*(part.detach().requires_grad_() for part in encoding))
        self._cut.setdefault(one, []).extend(zip(encoding, leaves, strict=True))
        return leaves


def _through(value: Tensor, leaf: Tensor) -> Tensor:
    """The scalar whose gradient at `value` is the gradient that has gathered at the cut."""
    wide = torch.promote_types(value.dtype, torch.float32)
    gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
    return (value.to(wide) * gradient.to(wide)).sum()
