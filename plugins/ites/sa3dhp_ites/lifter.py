"""Lifters: units, a trunk and a head. Any trunk goes with either head; nothing here learns."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sa3dhp_core.types import Skeleton
from sa3dhp_ites.config import GraphConfig, MlpConfig
from sa3dhp_ites.graph import JointGraph
from sa3dhp_ites.heads import DepthHead, DictionaryHead, Lifted
from sa3dhp_ites.perceptron import Perceptron, folded
from sa3dhp_ites.units import Normaliser


class ItesLifter(nn.Module):
    """`Lifter` that the method can train.

    Args:
        units: keypoints to units.
        trunk: ``(N, J, 2)`` to features; says whether they are per joint, and how wide.
        head: features and keypoints to `Lifted`.
        skeleton: of the keypoints.
    """

    def __init__(self, units: Normaliser, trunk: nn.Module, head: nn.Module, skeleton: Skeleton) -> None:
        super().__init__()
        self.units, self.trunk, self.head = units, trunk, head
        self.skeleton = skeleton

    @property
    def canonical(self) -> bool:
        """Whether it tells a canonical shape, as a teacher must."""
        return isinstance(self.head, DictionaryHead)

    def lift(self, points: Tensor) -> Lifted:
        """``(N, J, 2)`` keypoints in units to poses in units."""
        lifted: Lifted = self.head(self.trunk(points), points)
        return lifted

    def forward(self, keypoints: Tensor) -> Tensor:
        """``(..., J, 2)`` on the camera plane, NaN where unseen, to ``(..., J, 3)`` metres, root at the origin.

        Metres are the skeleton's: people are taken to be of its card's size. Joints that were not seen are where the
        dictionary puts them, or on the rays of their usual places.
        """
        lifted = self._lifted(keypoints)
        points = lifted.points.view(*keypoints.shape[:-1], 3)
        if lifted.modelled is not None:
            points = points.where(keypoints[..., :1].isfinite(), lifted.modelled.view_as(points))
        return self.units.metres(points, keypoints)

    def canonical_shape(self, keypoints: Tensor) -> Tensor:
        """``(..., J, 2)`` keypoints to shapes ``(..., J, 3)``, metres, root at the origin; a dictionary tells them."""
        shape = self._lifted(keypoints).canonical
        assert shape is not None, "a head without a dictionary tells no canonical shape"
        root = self.skeleton.index(self.skeleton.root)
        return (self.units.unit_m * (shape - shape[:, [root]])).view(*keypoints.shape[:-1], 3)

    def _lifted(self, keypoints: Tensor) -> Lifted:
        return self.lift(self.units(keypoints).reshape(-1, *keypoints.shape[-2:]))


def mlp_lifter(config: MlpConfig, *, skeleton: Skeleton) -> ItesLifter:
    """Target of `ites-mlp`."""
    trunk = Perceptron(len(skeleton), config.width, config.bottleneck, config.blocks, config.norm == "batch")
    return _lifter(trunk, config, skeleton)


def graph_lifter(config: GraphConfig, *, skeleton: Skeleton) -> ItesLifter:
    """Target of `ites-graph`."""
    return _lifter(JointGraph(skeleton, config.width, config.blocks), config, skeleton)


def _lifter(trunk: Perceptron | JointGraph, config: MlpConfig | GraphConfig, skeleton: Skeleton) -> ItesLifter:
    head: nn.Module
    if config.head == "depth":
        head = DepthHead(trunk.width, trunk.per_joint, skeleton)
    else:
        features = trunk.width * (len(skeleton) if trunk.per_joint else 1)
        head = DictionaryHead(features, config.shapes, skeleton)
    return ItesLifter(Normaliser(skeleton, config.top, config.centred), trunk, head, skeleton)


def lift_all(lifter: nn.Module, keypoints: Tensor, size: int = 1024) -> Tensor:
    """Poses ``(N, J, 3)`` in metres of ``(N, J, 2)`` keypoints, in evaluation mode, on the lifter's device."""
    return _by_parts(folded(lifter), lifter, keypoints, size)


def shapes_of_all(lifter: ItesLifter, keypoints: Tensor, size: int = 1024) -> Tensor:
    """Canonical shapes ``(N, J, 3)`` in metres, as `lift_all` lifts poses."""
    return _by_parts(lifter.canonical_shape, lifter, keypoints, size)


@torch.no_grad()
def _by_parts(tell: Callable[[Tensor], Tensor], lifter: nn.Module, keypoints: Tensor, size: int) -> Tensor:
    device = next(lifter.parameters()).device
    return torch.cat([tell(some.to(device)).cpu() for some in keypoints.split(size)])
