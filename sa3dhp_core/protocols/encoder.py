"""Image encoders and the backbones that they are built on.

Component targets: ``target(config) -> Backbone`` (noun `backbone`) and
``target(config, backbone=Backbone, latent=int, bound=Callable) -> ImageEncoder`` (noun `image_encoder`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from sa3dhp_core.types import Encoding


@runtime_checkable
class Backbone(Protocol):
    """A `torch.nn.Module`: images ``(N, 3, H, W)`` in [0, 1] to a feature map ``(N, C, h, w)``.

    Attributes:
        channels: C.
        blocks: named groups of layers, from input to output, so that a recipe can train only some
            (``train_only = ["res3"]``).
    """

    channels: int
    blocks: Mapping[str, nn.Module]

    def __call__(self, images: Tensor) -> Tensor:
        """Images in [0, 1] to a feature map."""
        ...


@runtime_checkable
class ImageEncoder(Protocol):
    """A `torch.nn.Module`: images to bounded embeddings, frame by frame.

    In evaluation mode a frame's embedding does not depend on the other frames of the batch.

    Attributes:
        feature: width of `Encoding.feature`.
        blocks: the backbone's blocks and ``head``.
    """

    feature: int
    blocks: Mapping[str, nn.Module]

    def __call__(self, images: Tensor) -> Encoding:
        """``(N, 3, H, W)`` in [0, 1] -> embeddings ``(N, latent)`` and features ``(N, feature)``."""
        ...
