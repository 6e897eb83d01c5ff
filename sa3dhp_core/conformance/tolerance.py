"""One table of tolerances, and comparisons that look at shapes first, because torch broadcasts silently."""

from __future__ import annotations

import torch
from torch import Tensor

from sa3dhp_core.conformance.promises import BrokenPromise

TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 4e-2, torch.float16: 5e-3}
"""Largest difference, relative to values of size 1, that counts as equal."""

PICTURE = 0.08
"""Largest mean difference of two pictures, relative to their mean brightness, that counts as one resampled.

On the bench bilinear resampling costs 0.05, a turn that is wrong by two degrees 0.09 or more.
"""

PIXELS_PX = 1e-3
"""Largest distance of two keypoints, pixels, that counts as the same place."""


def need_equal(found: Tensor, expected: Tensor, what: str, factor: float = 1.0, of: torch.dtype | None = None) -> None:
    """Raise `BrokenPromise` unless the tensors have one shape and agree within the tolerance of the coarser dtype.

    Args:
        found: any shape.
        expected: the same shape.
        what: the sentence to say.
        factor: how many tolerances may lie between them.
        of: the dtype whose tolerance counts, if not that of `found`: what was computed in between may be coarser.
    """
    if found.shape != expected.shape:
        raise BrokenPromise(what, f"shape {tuple(found.shape)}", f"shape {tuple(expected.shape)}")
    limit = factor * TOLERANCE[of or found.dtype]
    other = expected.to(found)
    difference = (found - other).abs()
    allowed = limit * (1 + other.abs())
    if bool((difference > allowed).any()) or bool(difference.isnan().any()):
        raise BrokenPromise(what, f"a difference of {float(difference.max()):.3g}", f"at most {limit:.3g} of the value")
