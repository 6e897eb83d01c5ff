"""How much predictions vary, by which a collapse shows that errors alone hide. Reads no card."""

from __future__ import annotations

from torch import Tensor

from sa3dhp_core.errors import DataError
from sa3dhp_core.evaluation.comparable import checked
from sa3dhp_core.types import Skeleton


def spread(prediction: Tensor, truth: Tensor, skeleton: Skeleton) -> float:
    """How much predictions vary, relative to the truth: 1 as much, 0 collapsed to one pose.

    The ratio of the root mean squared distances of root-relative joints from the mean pose. Takes ``(..., J, 3)``.

    Raises:
        DataError: shapes differ or do not fit, values are not finite, or all of the truth is one pose.
    """
    moving, fixed = checked(prediction, truth, skeleton)
    if not moving.numel():
        raise DataError("no poses to compare the spread of", found=tuple(prediction.shape))
    moving, fixed = ((poses - poses[skeleton.index(skeleton.root)]).flatten(2) for poses in (moving, fixed))
    own, wanted = (
        float(((poses - poses.mean(dim=2, keepdim=True)) ** 2).sum(dim=1).mean().sqrt()) for poses in (moving, fixed)
    )
    if wanted == 0:
        raise DataError("the truth does not vary, so there is no spread to compare with", found="one pose only")
    return own / wanted
