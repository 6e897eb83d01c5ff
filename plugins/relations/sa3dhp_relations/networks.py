"""Networks that act on embeddings as a relation does. They map inputs to outputs; their tasks live in `tasks`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from sa3dhp_core.protocols.pose_prior import PosePrior
from sa3dhp_core.protocols.relation import Relation
from sa3dhp_core.protocols.task import Task
from sa3dhp_relations import config as keys
from sa3dhp_relations.tasks import Draw, EncodeMotion, LatentNetwork, relation_task

Bound = Callable[[Tensor], Tensor]


class Modulated(nn.Module):
    """A residual layer whose normalised input is scaled and shifted by the condition (FiLM)."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.film = nn.Linear(condition, 2 * width) if condition else None
        self.inner = nn.Linear(width, width)

    def forward(self, hidden: Tensor, condition: Tensor) -> Tensor:
        """``(..., width)``, ``(..., P)`` -> ``(..., width)``."""
        normed: Tensor = self.norm(hidden)
        if self.film is not None:
            scale, shift = self.film(condition).chunk(2, dim=-1)
            normed = normed * (1 + scale) + shift
        return hidden + nn.functional.gelu(self.inner(normed))


class ResidualMlpNetwork(LatentNetwork):
    """``T(z; c) = z + A [z, c, c x z] + MLP(z; c)`` (c: `expanded` condition), held inside the latent domain.

    Nothing is squashed on the way: values beyond the range of `bound` are clamped with the gradient passed through,
    so the identity and everything close to it stay exact. Before its first step the affine part is the ridge
    regression of its training pairs (`start`), and the MLP sees standardised embeddings.
    """

    centre: Tensor
    spread: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, config: keys.ResidualMlp, width: int, condition: int, bound: Bound) -> None:
        super().__init__()
        self.config = config
        told = expanded(torch.zeros(condition)).shape[-1]
        self.affine = nn.Linear(width + told + width * told, width)
        self.start_pairs = min(4096, 8 * self.affine.in_features)
        self.enter = nn.Linear(width + told, config.hidden)
        self.hidden = nn.ModuleList(Modulated(config.hidden, told) for _ in range(config.layers))
        self.leave = nn.Linear(config.hidden, width)
        for layer in (self.affine, self.leave):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        with torch.no_grad():
            self.register_buffer("low", bound(torch.full((width,), -1e4)).clone())
            self.register_buffer("high", bound(torch.full((width,), 1e4)).clone())

    def forward(self, embedding: Tensor, condition: Tensor) -> Tensor:
        """``(..., width)``, ``(..., P)`` -> ``(..., width)`` inside the latent domain."""
        told = expanded(condition)
        standard = (embedding - self.centre) / self.spread
        hidden = self.enter(torch.cat((standard, told), dim=-1))
        for layer in self.hidden:
            hidden = layer(hidden, told)
        raw = embedding + self.affine(products(embedding, told)) + self.leave(hidden) * self.spread
        return raw + (raw.clamp(self.low, self.high) - raw).detach()

    @torch.no_grad()
    def start(self, embedding: Tensor, condition: Tensor, target: Tensor) -> None:
        """Set the standardisation, and the affine part to the ridge regression of ``target - embedding``."""
        super().start(embedding, condition, target)
        self.centre.copy_(embedding.mean(dim=0))
        self.spread.copy_(embedding.std(dim=0).clamp_min(1e-3 * embedding.std()))
        inputs = products(embedding, expanded(condition)).double()
        inputs = torch.cat((inputs, torch.ones_like(inputs[:, :1])), dim=-1)
        gram = inputs.T @ inputs
        ridge = 1e-3 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        solution = torch.linalg.solve(gram + ridge, inputs.T @ (target - embedding).double()).to(embedding)
        self.affine.weight.copy_(solution[:-1].T)
        self.affine.bias.copy_(solution[-1])

    def task(
        self, relation: Relation, pose_prior: PosePrior, motion_prior: EncodeMotion | None, draw: Draw, frames: int
    ) -> Task:
        """How it learns `relation`; see `tasks.relation_task`."""
        config = self.config
        optimizer = partial(torch.optim.AdamW, lr=config.learning_rate, weight_decay=1e-4)
        return relation_task(self, optimizer, config, relation, pose_prior, motion_prior, draw, frames)


class FcNetwork(LatentNetwork):
    """The paper's relation network: fully connected 1024-512-out, squashed by the latent bound (METHOD 1.1)."""

    def __init__(self, config: keys.Fc, width: int, condition: int, bound: Bound) -> None:
        super().__init__()
        self.config = config
        self.bound = bound
        widths = (width + condition, *config.hidden)
        layers: list[nn.Module] = []
        for before, after in zip(widths, widths[1:], strict=False):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], width))

    def forward(self, embedding: Tensor, condition: Tensor) -> Tensor:
        """``(..., width)``, ``(..., P)`` -> ``(..., width)`` inside the latent domain."""
        return self.bound(self.layers(torch.cat((embedding, condition), dim=-1)))

    def task(
        self, relation: Relation, pose_prior: PosePrior, motion_prior: EncodeMotion | None, draw: Draw, frames: int
    ) -> Task:
        """How it learns `relation`; see `tasks.relation_task`."""
        config = self.config
        optimizer = partial(torch.optim.RMSprop, lr=config.learning_rate)
        return relation_task(self, optimizer, config, relation, pose_prior, motion_prior, draw, frames)


def expanded(condition: Tensor) -> Tensor:
    """A short condition with the products of its pairs: the entries of flip^m Rz(angle) are linear in it."""
    width = condition.shape[-1]
    if not 2 <= width <= 4:
        return condition
    first, second = torch.triu_indices(width, width, offset=1, device=condition.device)
    return torch.cat((condition, condition[..., first] * condition[..., second]), dim=-1)


def products(embedding: Tensor, condition: Tensor) -> Tensor:
    """``[z, c, c x z]``: ``(..., width + P + P * width)``; linear in it, a map of z may differ for every element."""
    crossed = (condition[..., :, None] * embedding[..., None, :]).flatten(-2)
    return torch.cat((embedding, condition, crossed), dim=-1)


def residual_mlp(
    config: keys.ResidualMlp, width: int, condition: int, bound: Bound, pose_prior: PosePrior
) -> ResidualMlpNetwork:
    """Target of the component `residual-mlp`."""
    return ResidualMlpNetwork(config, width, condition, bound)


def fc(config: keys.Fc, width: int, condition: int, bound: Bound, pose_prior: PosePrior) -> FcNetwork:
    """Target of the component `fc`."""
    return FcNetwork(config, width, condition, bound)
