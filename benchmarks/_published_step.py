"""The five losses of METHOD 1.2 written plainly: each draws, jitters and encodes its own views. It measures nothing.

Nothing here is slower than it need be: one call of the encoder a view, one draw of jitter a view, no gradient where the
publication has none. Every clip is a contrastive anchor, as in the platform, not the first alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional

from sa3dhp_core.geometry import act_on_images, mirror_matrix, rotation_z
from sa3dhp_core.types import ClipBatch

LOSSES = ("lcr", "hcr", "pose-relation", "flip-backward", "slow-backward")
"""In the published order; the platform's losses have these names in the recipe `sa3dhp-paper`."""

RELATION = {"pose-relation": "flip-rotation", "flip-backward": "flip-backward", "slow-backward": "slow-backward"}

TEMPERATURE = 0.07


@attrs.frozen
class Model:
    """What is trained and what is frozen.

    Attributes:
        encoder: G.
        motion: E_m.
        networks: T by relation.
        heads: projection heads of the two contrastive losses.
    """

    encoder: nn.Module
    motion: Callable[[Tensor], Tensor]
    networks: Mapping[str, nn.Module]
    heads: Mapping[str, nn.Module]


def window(loss: str, frames: int) -> int:
    """How many frames the loss's clips have."""
    return 2 * frames if loss == "slow-backward" else frames


def views(loss: str, clips: ClipBatch, jitter: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Images of anchor and partner ``(B, T, 3, H, W)``; `jitter` takes and returns such images."""
    images = clips.images
    if loss in ("lcr", "hcr"):
        return jitter(images), jitter(images)
    if loss == "slow-backward":
        half = images.shape[1] // 2
        return jitter(images[:, ::2]), jitter(images[:, half // 2 : half // 2 + half].flip(1))
    matrix = mirror_matrix() @ rotation_z(torch.tensor(math.radians(50.0)))
    turned = act_on_images(matrix.to(images).expand(len(images), 3, 3), images, clips.intrinsics[:, 0])
    return jitter(images), jitter(turned.flip(1) if loss == "flip-backward" else turned)


def loss_of(loss: str, model: Model, anchor: Tensor, partner: Tensor) -> Tensor:
    """The scalar of one loss from its two views ``(B, T, 3, H, W)``."""
    z, feature = _encoded(model, anchor)
    with torch.set_grad_enabled(loss not in ("flip-backward", "slow-backward")):
        partner_z, partner_feature = _encoded(model, partner)
    if loss == "lcr":
        clips = torch.arange(len(z), device=z.device).repeat_interleave(z.shape[1])
        head = model.heads["lcr"]
        return _contrast(head(feature.flatten(0, 1)), head(partner_feature.flatten(0, 1)), clips)
    if loss == "hcr":
        head = model.heads["hcr"]
        clips = torch.arange(len(z), device=z.device)
        return _contrast(head(model.motion(z)), head(model.motion(partner_z)), clips)
    if loss != "pose-relation":
        z, partner_z = model.motion(z), model.motion(partner_z)
    answer: Tensor = model.networks[RELATION[loss]](z, z[..., :0])
    return (answer - partner_z).abs().mean()


def _encoded(model: Model, images: Tensor) -> tuple[Tensor, Tensor]:
    out: Any = model.encoder(images.flatten(0, 1))
    return out.z.unflatten(0, images.shape[:2]), out.feature.unflatten(0, images.shape[:2])


def _contrast(first: Tensor, second: Tensor, clips: Tensor) -> Tensor:
    """InfoNCE both ways; items of the same clip are no negatives."""
    first, second = functional.normalize(first, dim=-1), functional.normalize(second, dim=-1)
    similarity = first @ second.T / TEMPERATURE
    same = (clips[:, None] == clips) & ~torch.eye(len(clips), dtype=torch.bool, device=clips.device)
    similarity = similarity.masked_fill(same, -math.inf)
    own = torch.arange(len(clips), device=clips.device)
    return (functional.cross_entropy(similarity, own) + functional.cross_entropy(similarity.T, own)) / 2
