"""Bone lengths: fixed ones, and ones that a few latent dimensions set. Knows no pose and no network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sa3dhp_priors.body import Anatomy

SPREADS = 3.0
"""Latent ends of a proportion lie at so many standard deviations of the training bodies."""


LEAST = 0.4
"""No proportion reaches less far than this share of the widest: unseen bodies must fit, and distances keep meaning."""


class FixedLengths(nn.Module):
    """The same bone lengths for every pose; left and right alike."""

    latent = 0
    mean: Tensor

    def __init__(self, anatomy: Anatomy, from_training: bool) -> None:
        super().__init__()
        self._groups, self._from_training = anatomy.groups, from_training
        self.register_buffer("mean", anatomy.card_lengths())

    @torch.no_grad()
    def start(self, lengths: Tensor) -> None:
        """Take the mean of the training poses' ``(N, B)`` lengths, unless the card's are wanted."""
        if self._from_training:
            self.mean.copy_(spread(shared(lengths, self._groups), self._groups).mean(dim=0))

    def encode(self, lengths: Tensor) -> Tensor:
        """``(..., B)`` -> ``(..., 0)``: nothing to tell."""
        return lengths[..., :0]

    def decode(self, code: Tensor) -> Tensor:
        """``(..., 0)`` -> ``(..., B)`` metres."""
        return self.mean.expand(*code.shape[:-1], -1)


class VariableLengths(nn.Module):
    """Principal components of the logarithm of bone lengths, in [-1, 1] for `SPREADS` standard deviations either way.

    The start stands for a population without data: each length by itself, 5 %.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, anatomy: Anatomy, latent: int) -> None:
        super().__init__()
        self._groups = anatomy.groups
        count = len(self._groups)
        self.latent = latent
        self.register_buffer("mean", shared(anatomy.card_lengths(), self._groups).log())
        self.register_buffer("components", torch.eye(latent, count) * 0.05)

    @torch.no_grad()
    def start(self, lengths: Tensor) -> None:
        """Fit mean and components to the training poses' ``(N, B)`` lengths."""
        logs = shared(lengths, self._groups).log()
        mean = logs.mean(dim=0)
        variances, vectors = torch.linalg.eigh((logs - mean).T.double() @ (logs - mean).double() / logs.shape[0])
        scaled = (vectors * variances.clamp_min(0).sqrt().clamp_min(1e-4)).T.flip(0)
        kept = min(self.latent, scaled.shape[0])
        self.mean.copy_(mean)
        widths = scaled.norm(dim=-1, keepdim=True)
        scaled = scaled / widths * widths.clamp_min(LEAST * float(widths[0]))
        self.components.zero_()
        self.components[:kept] = scaled[:kept].to(self.components.dtype)

    def encode(self, lengths: Tensor) -> Tensor:
        """``(..., B)`` metres -> ``(..., latent)`` within [-1, 1]."""
        logs = shared(lengths, self._groups).log() - self.mean
        squares = self.components.square().sum(dim=-1).clamp_min(1e-12)
        return (logs @ self.components.T / squares / SPREADS).clamp(-1.0, 1.0)

    def decode(self, code: Tensor) -> Tensor:
        """``(..., latent)`` -> ``(..., B)`` metres, left and right alike."""
        logs = self.mean + (code.clamp(-1.0, 1.0) * SPREADS) @ self.components
        return spread(logs, self._groups).exp()


def shared(lengths: Tensor, groups: list[list[int]]) -> Tensor:
    """Mean length ``(..., G)`` of each group of bones, from ``(..., B)``."""
    return torch.stack([lengths[..., group].mean(dim=-1) for group in groups], dim=-1)


def spread(values: Tensor, groups: list[list[int]]) -> Tensor:
    """Give every bone its group's value: ``(..., G)`` -> ``(..., B)``."""
    group_of = {bone: number for number, group in enumerate(groups) for bone in group}
    return values[..., [group_of[bone] for bone in range(len(group_of))]]
