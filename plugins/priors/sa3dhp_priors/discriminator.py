"""The discriminator of decoded poses: one logit a joint, a part, and the whole body. It knows no latent."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sa3dhp_priors.body import Anatomy, Body, six_numbers


def _judge(inputs: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1))


class Discriminator(nn.Module):
    """Logits of the root's orientation, of every bone, of every part of the card, and of the whole body (METHOD 1.1).

    On the house skeleton these are the published 23.
    """

    def __init__(self, anatomy: Anatomy) -> None:
        super().__init__()
        self._parts = anatomy.parts()
        bones = len(anatomy.bones)
        self.root = _judge(6, 32)
        self.enter = nn.Parameter(torch.randn(bones, 3, 32) * 0.5)
        self.leave = nn.Parameter(torch.randn(bones, 32, 1) * 0.2)
        self.bias = nn.Parameter(torch.zeros(bones, 32))
        self.parts = nn.ModuleDict({name: _judge(3 * len(own), 64) for name, own in self._parts.items()})
        self.whole = nn.Sequential(
            nn.Linear(3 * bones, 256), nn.LeakyReLU(0.2), nn.Linear(256, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1)
        )

    def forward(self, body: Body) -> Tensor:
        """Bodies ``(N, ...)`` -> logits ``(N, 1 + B + parts + 1)``; true poses aim at +1, decoded ones at -1."""
        directions = body.directions
        hidden = torch.einsum("nbi,bih->nbh", directions, self.enter) + self.bias
        bones = torch.einsum("nbh,bho->nbo", nn.functional.leaky_relu(hidden, 0.2), self.leave)[..., 0]
        parts = [judge(directions[:, self._parts[name]].flatten(1)) for name, judge in self.parts.items()]
        whole = self.whole(directions.flatten(1))
        return torch.cat((self.root(six_numbers(body.orientation)), bones, *parts, whole), dim=-1)


def gap(logits: Tensor, target: float, distance: str) -> Tensor:
    """Mean distance of logits to a target of +1 or -1: ``squares`` (least squares) or ``absolute`` (least absolute)."""
    error = logits - target
    return error.square().mean() if distance == "squares" else error.abs().mean()
