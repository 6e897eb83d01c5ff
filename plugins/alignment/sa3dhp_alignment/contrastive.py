"""InfoNCE over frames and over motions (METHOD 1.2, L_LCR and L_HCR)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sa3dhp_alignment.config import InfoNceConfig
from sa3dhp_core.protocols.alignment import LossInput, LossParts, View


class InfoNce(nn.Module):
    """-log softmax of the positive pair's similarity; negatives are items of other clips, both views.

    The head maps features ``(N, F)`` (frame level) or motion embeddings ``(B, V)`` to unit vectors. Every item is an
    anchor once; the published code used the batch's first clip alone.
    """

    labelled: tuple[str, ...] = ()

    def __init__(self, config: InfoNceConfig, *, parts: LossParts) -> None:
        super().__init__()
        self.weight, self._temperature, self._motion = config.weight, config.temperature, config.level == "motion"
        self.name = config.name or ("hcr" if self._motion else "lcr")
        self.window = parts.frames
        frames = None if self._motion else tuple(range(0, parts.frames, config.stride))
        self.views = tuple(View(photometric=f"{config.photometric}:{draw}", frames=frames) for draw in (0, 1))
        self._parts = parts  # frozen priors stay outside this module's own state
        width = parts.motion_latent if self._motion else parts.feature
        layers: list[nn.Module] = []
        for outputs in config.widths:
            layers += [nn.Linear(width, outputs), nn.ReLU()]
            width = outputs
        self.head = nn.Sequential(*layers[:-1])

    def forward(self, given: LossInput) -> Tensor:
        """The mean over all anchors, a scalar."""
        keys, clips = [], None
        for view in self.views:
            encoded = given.views[view]
            if self._motion:
                items = self._parts.motion_prior.encode(encoded.z)
                clips = torch.arange(len(items), device=items.device)
            else:
                items = encoded.feature.flatten(0, 1)
                clips = torch.arange(len(encoded.feature), device=items.device)
                clips = clips.repeat_interleave(encoded.feature.shape[1])
            keys.append(functional.normalize(self.head(items), dim=-1))
        assert clips is not None
        return info_nce(keys[0], keys[1], clips, self._temperature)


def info_nce(first: Tensor, second: Tensor, clips: Tensor, temperature: float) -> Tensor:
    """InfoNCE of two views.

    Args:
        first: ``(N, D)`` unit vectors.
        second: ``(N, D)`` unit vectors; ``second[i]`` is the positive of ``first[i]``.
        clips: ``(N,)`` clip of each item; items of the same clip are no negatives.
        temperature: of the softmax.

    Returns:
        The mean over both directions; 0 where an anchor has no negative.
    """
    similarity = first @ second.T / temperature
    same = clips[:, None] == clips[None, :]
    same.fill_diagonal_(False)
    similarity = similarity.masked_fill(same, float("-inf"))
    target = torch.arange(len(first), device=first.device)
    return 0.5 * (functional.cross_entropy(similarity, target) + functional.cross_entropy(similarity.T, target))
