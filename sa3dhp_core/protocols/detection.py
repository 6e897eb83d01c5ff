"""Detectors: where people are in images.

Component target: ``target(config) -> Detector``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import attrs
from torch import Tensor


@attrs.frozen(eq=False)
class Detections:
    """The people found in one image, the surest first.

    Attributes:
        boxes: ``(K, 4)`` x, y, width, height in pixels from the image's corner; K may be 0.
        scores: ``(K,)`` in [0, 1], never rising.
    """

    boxes: Tensor
    scores: Tensor


@runtime_checkable
class Detector(Protocol):
    """Finds people, and nothing else, in images of any size."""

    def __call__(self, images: Tensor) -> Sequence[Detections]:
        """One answer for each of ``images (N, 3, H, W)``, RGB in [0, 1]; each image is looked at alone."""
        ...
