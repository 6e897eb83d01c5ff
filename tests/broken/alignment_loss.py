"""Alignment losses that each break one promise, beside some that keep all."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.components import Component
from sa3dhp_core.conformance import Bench, Subject
from sa3dhp_core.conformance.losses import plain_parts
from sa3dhp_core.protocols.alignment import LossInput, LossParts, View
from tests.broken.keys import Keys

PLACE = "tests.broken.alignment_loss"
CLAIMS = ("non-negative", "zero-when-consistent", "permutation-invariant")


class Fair(nn.Module):
    """How far the mirrored view is from the mirrored anchor, and labelled images from their poses."""

    name, weight, window = "fair", 1.0, 4
    labelled: tuple[str, ...] = ("source",)
    anchor = View(by="stopped", frames=(0, 3))
    partner = View(spatial="mirror", photometric="strong", frames=(0, 3))
    views: tuple[View, ...] = (anchor, partner)

    def __init__(self, config: Any, *, parts: LossParts) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, given: LossInput) -> Tensor:
        partner = given.views[self.partner]
        assert partner.spatial is not None
        answer = self.parts.networks["mirror"](given.views[self.anchor].z, partner.spatial.condition)
        (labelled,) = given.labelled.values()
        error = labelled.encoding.z - self.parts.pose_prior.encode(labelled.poses)
        return (self.seen(partner.z) - answer).abs().mean() + error.abs().mean()

    def seen(self, z: Tensor) -> Tensor:
        return z


class Headed(Fair):
    """Compares features by a head of its own, and remembers how far they were."""

    past: Tensor

    def __init__(self, config: Any, *, parts: LossParts) -> None:
        super().__init__(config, parts=parts)
        self.head = nn.Linear(parts.feature, 4)
        self.register_buffer("past", torch.zeros(()))

    def forward(self, given: LossInput) -> Tensor:
        first, second = (self.head(given.views[view].feature).tanh().mean((0, 1)) for view in self.views)
        now = (first - second).square().sum()
        value = super().forward(given) + now + self.past
        self.past.copy_(now.detach())
        return value


class Weightless(Fair):
    weight = -1.0


class Beyond(Fair):
    """Its frames leave the window."""

    window = 3


class Unclaimed(Fair):
    """Wants tracks and does not say so."""

    labelled = ("tracks",)


class PerClip(Fair):
    """A value for each clip."""

    def forward(self, given: LossInput) -> Tensor:
        return super().forward(given).expand(len(given.views[self.partner].z))


class Shifted(Fair):
    def forward(self, given: LossInput) -> Tensor:
        return super().forward(given) - 1.0


class Constant(Fair):
    """Never zero."""

    def forward(self, given: LossInput) -> Tensor:
        return super().forward(given) + 0.01


class FirstClip(Fair):
    """Sees the first clip alone, as the published contrastive loss did."""

    def forward(self, given: LossInput) -> Tensor:
        return super().forward(given) + given.views[self.partner].z[0].square().mean()


class Grasping(Fair):
    """The frozen prior is a part of it: its state would be trained and stored."""

    def __init__(self, config: Any, *, parts: LossParts) -> None:
        super().__init__(config, parts=parts)
        self.prior = parts.pose_prior


class Numb(Fair):
    """Detaches the student's view."""

    def seen(self, z: Tensor) -> Tensor:
        return z.detach()


class Overwriting(Fair):
    def forward(self, given: LossInput) -> Tensor:
        given.prior_poses.mul_(0.5)
        return super().forward(given)


class Restless(Fair):
    """Draws from the global generator."""

    def forward(self, given: LossInput) -> Tensor:
        return super().forward(given) * torch.rand(())


class Secretive(Fair):
    """Counts its steps in an attribute that no checkpoint holds."""

    steps = 0

    def forward(self, given: LossInput) -> Tensor:
        self.steps += 1
        return self.steps * super().forward(given)


def twice(config: Any, *, parts: LossParts) -> Any:
    """A reference that disagrees with `Fair`."""
    fair = Fair(config, parts=parts)
    return lambda given: 2 * fair(given)


def offered(kind: type[Fair], *claims: str, reference: str = "") -> Subject:
    """A component with this target and these claims."""
    return Subject.offered(
        Component(
            "alignment_loss",
            kind.__name__.lower(),
            "a part of the tests",
            "tests.broken.keys:Keys",
            f"{PLACE}:{kind.__name__}",
            claims,
            reference=reference,
        )
    )


GOOD = [
    offered(Fair, *CLAIMS, reference=f"{PLACE}:Fair"),
    offered(Headed, "non-negative", "permutation-invariant"),
    Subject.given(Fair(Keys(), parts=plain_parts(Bench())), noun="alignment_loss", capabilities=CLAIMS),
]
BROKEN = {
    "has-the-attributes": offered(Weightless),
    "asks-for-views-inside-its-window": offered(Beyond),
    "names-labelled-images-that-there-are": offered(Unclaimed),
    "is-a-finite-number": offered(PerClip),
    "is-never-negative": offered(Shifted, "non-negative"),
    "is-zero-when-consistent": offered(Constant, "zero-when-consistent"),
    "ignores-the-order-of-the-batch": offered(FirstClip, "permutation-invariant"),
    "leaves-frozen-parts-alone": offered(Grasping),
    "teaches-the-student": offered(Numb),
    "leaves-its-input-alone": offered(Overwriting),
    "draws-from-its-generator-alone": offered(Restless),
    "goes-on-from-its-state": offered(Secretive),
    "agrees-with-its-reference": offered(Fair, reference=f"{PLACE}:twice"),
}
