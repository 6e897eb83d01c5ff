"""Supervised training of an image encoder through the frozen pose decoder (METHOD 1.1.4)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sa3dhp_core.engine.kernels import fused_offered
from sa3dhp_core.protocols.pose_prior import PosePrior
from sa3dhp_core.protocols.task import Relief, Update, halved
from sa3dhp_core.types import WHOLE, Shard


class ImageDraw(Protocol):
    """Draws of labelled images in two parts, of which the second may compute on another device."""

    def read(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images ``(count, 3, H, W)`` and poses ``(count, J, 3)`` as they are stored, on the CPU."""
        ...

    def augment(self, images: Tensor, poses: Tensor, generator: torch.Generator, shard: Shard) -> tuple[Tensor, Tensor]:
        """This rank's share ``(b, 3, H, W)``, ``(b, J, 3)`` of them, changed; `generator` goes on from `read`.

        What becomes of the poses does not depend on the images, neither on what they show nor on their size.
        """
        ...


def cosine(step: int, steps: int, warm_up: int, floor: float) -> float:
    """Learning-rate factor: linear warm-up, then cosine to `floor`."""
    rise = min(1.0, (step + 1) / (warm_up + 1))
    return rise * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, steps)))))


class SupervisedTask:
    """`Task`: minimise ``||D_p(G(x)) - y||`` and, beside it, the latent's error in units of its spread.

    The decoder alone passes a gradient that is many times larger along some latent dimensions than along others; with
    the second term the same network learns several times faster.

    Args:
        encoder: trained; its normalisation layers learn statistics unless `frozen_statistics`.
        prior: frozen.
        draw: labelled images.
        steps, batch, learning_rate, ema: as the recipe says.
        latent: weight of the latent's error.
        frozen_statistics: keep normalisation layers in evaluation mode.
        key: the recipe's key that says `batch`.
        crops: the recipe's keys that say the side of a crop, and what they hold.
    """

    clip_norm: float | None = 1.0
    sharded = ("encoder",)

    def __init__(
        self,
        encoder: nn.Module,
        prior: PosePrior,
        draw: ImageDraw,
        *,
        steps: int,
        batch: int,
        learning_rate: float,
        ema: float,
        latent: float = 1.0,
        frozen_statistics: bool = False,
        key: str = "settings.source.batch",
        crops: Mapping[str, int] | None = None,
    ) -> None:
        self.steps, self.samples, self.ema = steps, batch, ema or None
        self.modules: dict[str, nn.Module] = {"encoder": encoder}
        self._prior, self._draw, self._batch, self._rate = prior, draw, batch, learning_rate
        self._latent, self._key, self._crops = latent, key, crops or {}
        encoder.train(not frozen_statistics)
        self._spread: Tensor | None = None

    def optimizers(self) -> Mapping[str, tuple[torch.optim.Optimizer, Any]]:
        """AdamW with warm-up and cosine decay."""
        weights = list(self.modules["encoder"].parameters())
        optimizer = torch.optim.AdamW(weights, lr=self._rate, weight_decay=1e-3, fused=fused_offered(weights))
        steps = self.steps
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine(step, steps, 30, 0.02))
        return {"encoder": (optimizer, schedule)}

    def reliefs(self) -> Iterator[Relief | None]:
        """Keys that would make a step smaller."""
        yield halved(self._key, self._batch)
        yield from smaller_crops(self._crops)

    def updates(self, step: int, generator: torch.Generator, shard: Shard) -> Iterator[Update]:
        """One update a step."""
        return self.updates_from(self.draw(step, generator, shard), step, generator, shard)

    def draw(self, step: int, generator: torch.Generator, shard: Shard) -> tuple[Tensor, Tensor]:
        """The global batch of images and poses, as they are stored."""
        shard.check(self._batch, self._key)
        return self._draw.read(self._batch, generator)

    def updates_from(
        self, batch: tuple[Tensor, Tensor], step: int, generator: torch.Generator, shard: Shard
    ) -> Iterator[Update]:
        """One update, of what `draw` gave."""
        device = next(self.modules["encoder"].parameters()).device
        images, poses = self._draw.augment(batch[0].to(device), batch[1].to(device), generator, shard)
        z = self.modules["encoder"](images).z
        poses = poses.to(z)
        if self._spread is None:
            self._spread = self._latent_spread(z)
        error = (self._prior.decode(z) - poses).norm(dim=-1).mean()
        loss = error / 0.1
        if self._latent:
            loss = loss + self._latent * ((z - self._prior.encode(poses)) / self._spread).abs().mean()
        yield Update("encoder", loss, {"train_mpjpe_mm": 1000 * error.detach()})

    @torch.no_grad()
    def _latent_spread(self, like: Tensor) -> Tensor:
        """Deviation of each latent dimension over a fixed draw of labelled poses; the same on every rank and resume.

        Nobody wants the images that come with them: of each a pixel is enough.
        """
        generator = torch.Generator().manual_seed(0)
        images, poses = self._draw.read(1024, generator)
        _, poses = self._draw.augment(images[..., :1, :1], poses, generator, WHOLE)
        spread = self._prior.encode(poses.to(like)).std(dim=0)
        return spread.clamp_min(0.1 * spread.mean())


def smaller_crops(crops: Mapping[str, int], share: float = 1.0) -> Iterator[Relief]:
    """Crops of about half as many pixels, a multiple of 32 on each side.

    Args:
        crops: the recipe's keys that say the side of a crop, and what they hold.
        share: of what a step keeps that is of these crops, 0 to 1.
    """
    for key, side in crops.items():
        then = max(32, 32 * round(side / math.sqrt(2) / 32))
        if then < side:
            yield Relief(key, side, then, share * (1 - (then / side) ** 2))


@torch.no_grad()
def restandardise(encoder: nn.Module, batches: Iterator[Tensor], limit: int, device: torch.device) -> None:
    """Re-estimate normalisation statistics on up to `limit` batches of unlabelled images (a control in FINDINGS)."""
    layers = [m for m in encoder.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # cumulative average
    encoder.train()
    for number, images in enumerate(batches):
        if number >= limit:
            break
        encoder(images.to(device))
    encoder.eval()
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
