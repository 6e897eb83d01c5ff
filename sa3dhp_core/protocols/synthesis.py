"""Image synthesis: labelled images become images of poses that no camera saw.

Component target: ``target(config, source=LabelledImages, generator=Generator) -> ImageSynthesis``. The component learns
what it needs from `source` alone, with random numbers from `generator` alone.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from sa3dhp_core.types import LabelledBatch


@runtime_checkable
class ImageSynthesis(Protocol):
    """Makes labelled images of given poses."""

    def __call__(self, poses: Tensor, generator: torch.Generator) -> LabelledBatch:
        """Images of ``poses (B, J, 3)`` metres, root-relative, camera frame; drawn from the generator alone.

        The batch's poses are those given, in the virtual camera of each crop (DESIGN section 5): a camera at the same
        place that looks at the person's middle. Everything is on the device of `poses`.
        """
        ...
