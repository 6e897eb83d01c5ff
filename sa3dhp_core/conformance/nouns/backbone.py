"""What a backbone must keep: a feature map of each image by itself, as wide as it says, in blocks that have names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.modules import made, need_finite
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.conformance.vision import crops, image_checks

NOUN = "backbone"


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """A backbone is built from its config alone."""
    return {}


def outputs(module: Any, images: Tensor) -> dict[str, Tensor]:
    """The feature map."""
    return {"map": module(images)}


@check(NOUN, "is a module that maps images to a feature map with the channels that it states, and names its blocks")
def maps_images_to_features(subject: Subject, bench: Bench) -> None:
    backbone = made(subject, bench).eval()
    must(isinstance(backbone, nn.Module), "is no torch.nn.Module", type(backbone).__name__)
    must(type(backbone.channels) is int and backbone.channels > 0, "channels is no width", backbone.channels)
    must(backbone.blocks and all(isinstance(b, nn.Module) for b in backbone.blocks.values()), "has no blocks")
    images = crops(bench, 2)
    with torch.no_grad():
        features = backbone(images)
    found = (features.ndim, tuple(features.shape[:2]), features.dtype)
    must(found == (4, (2, backbone.channels), images.dtype), "no map of that shape", found, (4, (2, backbone.channels)))
    must(min(features.shape[2:]) > 0, "the map is empty", tuple(features.shape))
    need_finite({"map": features}, "the output")


image_checks(NOUN, outputs)
