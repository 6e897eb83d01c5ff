"""Recipe keys of this plugin's components. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs
from attrs.validators import ge, gt, in_, le, min_len


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@attrs.frozen
class SmallCnnConfig:
    """A residual CNN; its blocks are named ``res1`` … ``res<n>`` from input to output."""

    widths: tuple[int, ...] = attrs.field(
        default=(24, 48, 96, 160), validator=min_len(2), metadata=_help("channels of each block; each halves the size")
    )
    norm: Literal["batch", "group"] = attrs.field(
        default="batch", validator=in_(("batch", "group")), metadata=_help("normalisation layers")
    )
    stem_stride: int = attrs.field(default=2, validator=ge(1), metadata=_help("stride of the first convolution"))


@attrs.frozen
class TransformersConfig:
    """A backbone of the transformers library."""

    name: str = attrs.field(
        default="resnet",
        metadata=_help("model type (resnet, convnext, dinov2, …) to build from a configuration, or a folder or hub id"),
    )
    pretrained: bool = attrs.field(
        default=False, metadata=_help("load weights from the folder or hub id `name` instead of building new ones")
    )
    stage: str = attrs.field(
        default="stage3", metadata=_help("output stage; the published network ends at res4, stage3")
    )
    options: Mapping[str, Any] = attrs.field(
        factory=dict, metadata=_help("keys of the library's configuration class, for a model built from one")
    )
    mean: tuple[float, float, float] = attrs.field(
        default=(0.485, 0.456, 0.406), metadata=_help("subtracted from RGB in [0, 1]")
    )
    std: tuple[float, float, float] = attrs.field(default=(0.229, 0.224, 0.225), metadata=_help("RGB divisor"))


@attrs.frozen
class LatentEncoderConfig:
    """A backbone with a latent head."""

    backbone: Mapping[str, Any] = attrs.field(
        factory=lambda: {"use": "small-cnn"}, metadata={"component": "backbone", **_help("the backbone's table")}
    )
    head: Literal["compact", "published"] = attrs.field(
        default="compact",
        validator=in_(("compact", "published")),
        metadata=_help("`published`: 3x3 convolutions 512 (stride 2), 256, 128, 64, then 1024-512-256-128-latent"),
    )
    feature: int = attrs.field(default=256, validator=gt(0), metadata=_help("width of the compact head's feature"))
    grid: int = attrs.field(
        default=4, validator=gt(0), metadata=_help("side of the feature map that the head flattens")
    )
    head_norm: Literal["batch", "layer"] = attrs.field(
        default="batch", validator=in_(("batch", "layer")), metadata=_help("normalisation in the compact head")
    )
    standardise: bool = attrs.field(
        default=True,
        metadata=_help("give every image zero mean and unit deviation inside the disc before the backbone"),
    )
    disc: bool = attrs.field(
        default=True,
        metadata=_help("mask the input to the inscribed disc, so that a rotated crop has no telltale corners"),
    )


@attrs.frozen
class TransformersDetectorConfig:
    """An object detector of the transformers library, asked for people alone."""

    model: str = attrs.field(
        default="",
        metadata=_help("a folder with its weights, or a hub id, as PekingU/rtdetr_r18vd, to fetch"),
    )
    label: str = attrs.field(default="person", metadata=_help("the model's name of what is to be found"))
    least_score: float = attrs.field(
        default=0.5, validator=[ge(0.0), le(1.0)], metadata=_help("leave out what is less sure")
    )
    device: str = attrs.field(
        default="auto",
        metadata=_help("where it computes, as torch names it: cpu, cuda:1; auto: an accelerator where there is one"),
    )
