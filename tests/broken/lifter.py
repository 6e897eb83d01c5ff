"""Lifters that each break one promise, beside some that keep all."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance import Subject

BODY = skeleton()
ROOT = BODY.index(BODY.root)
EXACT = {"rotation-equivariant-mm": 0.05, "scale-invariant-mm": 0.05}


class Perceptron(nn.Module):
    """Two layers; a subclass breaks one thing."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(2 * len(BODY), 16), nn.Linear(16, 3 * len(BODY))

    def forward(self, keypoints: Tensor) -> Tensor:
        poses = self.leave(self.enter(keypoints.flatten(-2)).tanh()).unflatten(-1, (len(BODY), 3))
        return poses - poses[..., ROOT : ROOT + 1, :]


class Flat(nn.Module):
    """Everyone is flat and stands at the distance that makes the farthest joint lie at a metre: exact symmetries."""

    def __init__(self) -> None:
        super().__init__()
        self.height_m = nn.Parameter(torch.ones(()))

    def forward(self, keypoints: Tensor) -> Tensor:
        beside = keypoints - keypoints[..., ROOT : ROOT + 1, :]
        size = beside.norm(dim=-1, keepdim=True).amax(dim=-2, keepdim=True)
        flat = self.height_m * beside / size
        return torch.cat([flat, torch.zeros_like(flat[..., :1])], dim=-1)


class Shaped(Flat):
    """Tells one shape for everybody, which no turn changes."""

    def canonical_shape(self, keypoints: Tensor) -> Tensor:
        shape = torch.linspace(-0.5, 0.5, 3 * len(BODY)).to(keypoints).view(len(BODY), 3)
        return (shape - shape[ROOT]).expand(*keypoints.shape[:-1], 3)


class Pole(Shaped):
    """All joints are above one another: no turn about the vertical changes that."""

    def forward(self, keypoints: Tensor) -> Tensor:
        upright = keypoints * keypoints.new_tensor([0.0, 1.0])
        return super().forward(upright)


class Shifting(Shaped):
    """Takes what it sees for the shape."""

    def canonical_shape(self, keypoints: Tensor) -> Tensor:
        return self(keypoints)


class Batched(Perceptron):
    """Knows one leading axis."""

    def forward(self, keypoints: Tensor) -> Tensor:
        count, joints, _ = keypoints.shape
        return super().forward(keypoints).reshape(count, joints, 3)


class Rootless(Perceptron):
    def forward(self, keypoints: Tensor) -> Tensor:
        return super().forward(keypoints) + 0.1


class Crowded(Perceptron):
    """Subtracts the batch's mean."""

    def forward(self, keypoints: Tensor) -> Tensor:
        lead = tuple(range(keypoints.dim() - 2))
        return super().forward(keypoints - keypoints.mean(dim=lead, keepdim=True) if keypoints.numel() else keypoints)


class Idle(Perceptron):
    """Has a layer that nothing goes through."""

    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Linear(2, 2)


class Forgetful(Perceptron):
    """Its projection is no part of its state, and drawn anew for each build."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = torch.rand(3 * len(BODY))

    def forward(self, keypoints: Tensor) -> Tensor:
        moved = super().forward(keypoints) + self.offset.to(keypoints).unflatten(-1, (len(BODY), 3))
        return moved - moved[..., ROOT : ROOT + 1, :]


def lifted(kind: type[nn.Module], **figures: float) -> Subject:
    """A lifter, built anew at every call, with these figures."""
    named = {name.replace("_", "-"): value for name, value in figures.items()}
    return Subject("lifter", kind.__name__.lower(), lambda bench, **parts: kind(), figures=named)


TURNING = {"turn-equivariant-mm": 0.05}
SHAPED = {"shape-invariant-mm": 0.05}
GOOD = [
    Subject.given(Perceptron(), noun="lifter"),
    lifted(Flat, **EXACT),
    lifted(Shaped, **SHAPED),
    lifted(Pole, **TURNING),
]
BROKEN = {
    "keeps-axes-dtype-and-device": lifted(Batched),
    "puts-the-root-at-the-origin": lifted(Rootless),
    "lifts-each-person-alone": lifted(Crowded),
    "is-differentiable": lifted(Idle),
    "survives-being-stored": lifted(Forgetful),
    "turns-with-its-keypoints": lifted(Perceptron, **EXACT),
    "ignores-the-size-of-its-keypoints": lifted(Perceptron, **EXACT),
    "turns-with-its-people": lifted(Flat, **TURNING),
    "keeps-its-canonical-shapes": lifted(Shifting, **SHAPED),
}
MORE = [("keeps-its-canonical-shapes", lifted(Flat, **SHAPED))]
