"""Lifters: 2D keypoints to 3D poses.

Component target: ``target(config, skeleton=Skeleton) -> Lifter``. A run's trained lifter is a value of its own, for
those who want its poses: a method may offer it once its stages are done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import attrs
from torch import Tensor

from sa3dhp_core.protocols.keypoints import Keypoints
from sa3dhp_core.types import Skeleton


@runtime_checkable
class Lifter(Protocol):
    """A `torch.nn.Module`.

    It may have ``canonical_shape(keypoints)``: of the same keypoints the shapes ``(..., J, 3)`` before they are turned
    into the camera's frame, root at the origin, in metres as poses are.
    """

    def __call__(self, keypoints: Tensor) -> Tensor:
        """Normalised camera-plane keypoints ``(..., J, 2)`` (pixels times K inverse) -> ``(..., J, 3)`` metres.

        Root-relative, camera frame; in evaluation mode each person is lifted alone.
        """
        ...


@attrs.frozen
class TrainedLifter:
    """What a method's ``trained_lifter(folders, engine) -> TrainedLifter`` returns; it loads, and trains nothing.

    Attributes:
        lift: what `Lifter` promises, for ``(N, J, 2)`` keypoints of any number on the CPU; the weights are frozen.
        skeleton: of keypoints and poses.
        splits: of the keypoints that the run was made with.
        keypoints: opens one of these splits.
        identity: plain data that change with the weights, and with the keypoints.
        canonical_shape: what `Lifter` says of it, for the keypoints that `lift` takes, where the method learned one.
    """

    lift: Callable[[Tensor], Tensor]
    skeleton: Skeleton
    splits: tuple[str, ...]
    keypoints: Callable[[str], Keypoints]
    identity: Mapping[str, Any]
    canonical_shape: Callable[[Tensor], Tensor] | None = None
