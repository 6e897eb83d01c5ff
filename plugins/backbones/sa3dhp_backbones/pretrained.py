"""Backbones of the transformers library, by name. Downloads only what the user names, through that library."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sa3dhp_backbones.config import TransformersConfig
from sa3dhp_core.errors import PluginError, nearest


class TransformersBackbone(nn.Module):
    """`Backbone` around a transformers backbone; its blocks are named ``res1`` (the stem), ``res2``, … as published."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, channels: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.model = model
        self.channels = channels
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    @property
    def blocks(self) -> Mapping[str, nn.Module]:
        """Stem and stages by name; a model without stages is one block, ``all``."""
        encoder = getattr(self.model, "encoder", None)
        stages = getattr(encoder, "stages", None)
        if stages is None:
            return {"all": self.model}
        named: dict[str, nn.Module] = {"res1": getattr(self.model, "embedder", None) or self.model.embeddings}  # type: ignore[dict-item]
        return named | {f"res{number}": stage for number, stage in enumerate(stages, start=2)}

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` in [0, 1] to the chosen stage's feature map."""
        maps: tuple[Tensor, ...] = self.model((images - self.mean) / self.std).feature_maps
        return maps[-1]


def build_transformers(config: TransformersConfig) -> TransformersBackbone:
    """Build from a configuration, or load from a local folder or hub id.

    Raises:
        PluginError: the model type, stage or folder does not exist, or its weights are not at hand.
    """
    from transformers import AutoBackbone, AutoConfig

    try:
        if config.pretrained:
            model = AutoBackbone.from_pretrained(config.name, out_features=[config.stage])
        else:
            settings = AutoConfig.for_model(config.name, **dict(config.options), out_features=[config.stage])
            model = AutoBackbone.from_config(settings)
    except (ValueError, OSError, KeyError) as error:
        raise PluginError(
            f"the backbone cannot be built: {str(error).splitlines()[0]}",
            where="encoder.backbone",
            found={"name": config.name, "stage": config.stage, "pretrained": config.pretrained},
            expected="a model type with a backbone, or a local folder or hub id of its weights",
            hint=nearest(config.name, ("resnet", "convnext", "convnextv2", "dinov2", "swin", "beit")),
        ) from error
    _drop_unused_stages(model, config.stage)
    return TransformersBackbone(model, int(model.channels[-1]), config.mean, config.std)


def _drop_unused_stages(model: nn.Module, stage: str) -> None:
    """Forget stages behind the output: they would be computed, stored and trained for nothing."""
    encoder = getattr(model, "encoder", None)
    stages = getattr(encoder, "stages", None)
    if isinstance(stages, nn.ModuleList) and stage.startswith("stage"):
        encoder.stages = stages[: int(stage.removeprefix("stage"))]  # type: ignore[union-attr]
