"""Backbones of the transformers library, by name. Downloads only what the user names, through that library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_backbones.config import TransformersConfig
from sa3dhp_core.errors import PluginError, nearest

UNUSED = ("mask_token", "swin.layernorm.weight", "swin.layernorm.bias")
"""Ends of the names of parameters that only other uses of a model need: no feature map depends on them."""


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
        """Stem, stages and the norm of the output, where there is one; a model without stages is one block, ``all``."""
        encoder = getattr(self.model, "encoder", None)
        stages = getattr(encoder, "stages", None)
        if stages is None:
            return {"all": self.model}
        named: dict[str, nn.Module] = {"res1": getattr(self.model, "embedder", None) or self.model.embeddings}  # type: ignore[dict-item]
        named |= {f"res{number}": stage for number, stage in enumerate(stages, start=2)}
        norms = getattr(self.model, "hidden_states_norms", None)
        return named if norms is None else named | {"norm": norms}

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, 3, H, W)`` in [0, 1] to the chosen stage's feature map."""
        maps: tuple[Tensor, ...] = self.model((images - self.mean) / self.std).feature_maps
        return maps[-1]


def build_transformers(config: TransformersConfig) -> TransformersBackbone:
    """Build from a configuration, or load from a local folder or hub id.

    Raises:
        PluginError: the model type, stage, folder or option does not exist, or its weights are not at hand.
    """
    from transformers import AutoBackbone

    try:
        model = _loaded(config) if config.pretrained else AutoBackbone.from_config(_settings(config))
    except PluginError:
        raise
    except Exception as error:  # each model family has its own way to refuse what it is given
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise PluginError(
            f"the backbone cannot be built: {' '.join(lines[:2])}",
            where="encoder.backbone",
            found={"name": config.name, "stage": config.stage, "pretrained": config.pretrained},
            expected="a model type with a backbone, or a local folder or hub id of its weights",
            hint=nearest(config.name, ("resnet", "convnext", "convnextv2", "dinov2", "swin", "beit")),
        ) from error
    _drop_unused_stages(model, config.stage)
    _freeze_unused(model)
    return TransformersBackbone(model, int(model.channels[-1]), config.mean, config.std)


def _settings(config: TransformersConfig) -> Any:
    """The library's configuration; it takes any key in silence, so keys that it does not know are refused here."""
    from transformers import AutoConfig

    known = [name for name in AutoConfig.for_model(config.name).to_dict() if not name.startswith("_")]
    if unknown := next((name for name in config.options if name not in known), None):
        raise PluginError(
            f"{config.name!r} has no such option",
            where=f"encoder.backbone.options.{unknown}",
            found=unknown,
            hint=nearest(unknown, known),
        )
    return AutoConfig.for_model(config.name, **dict(config.options), out_features=[config.stage])


def _loaded(config: TransformersConfig) -> Any:
    """A model with its weights. The class is asked itself: `AutoBackbone` takes no folder in transformers 5."""
    from transformers import AutoBackbone, AutoConfig

    settings = AutoConfig.from_pretrained(config.name, out_features=[config.stage])
    family = type(AutoBackbone.from_config(settings))
    model, found = family.from_pretrained(config.name, config=settings, output_loading_info=True)
    layers = (key for key in sorted(found["missing_keys"]) if key.startswith(("embed", "encoder")))
    if missing := next((key for key in layers if not key.endswith("num_batches_tracked")), None):
        raise PluginError(
            "a weight is missing, so that a layer would begin at random",
            where=f"encoder.backbone: {config.name}",
            found=f"no {missing!r}",
            expected=f"weights of a {settings.model_type} model",
        )
    return model


def _drop_unused_stages(model: nn.Module, stage: str) -> None:
    """Forget stages behind the output: they would be computed, stored and trained for nothing."""
    encoder = getattr(model, "encoder", None)
    stages = getattr(encoder, "stages", None)
    if isinstance(stages, nn.ModuleList) and stage.startswith("stage"):
        encoder.stages = stages[: int(stage.removeprefix("stage"))]  # type: ignore[union-attr]


def _freeze_unused(model: nn.Module) -> None:
    """Ask no gradient of what never gets one: distributed training would wait for it."""
    for name, parameter in model.named_parameters():
        if name.endswith(UNUSED):
            parameter.requires_grad_(False)
