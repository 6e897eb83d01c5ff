"""Relations act in three places at once: on clips, on pose sequences and, through a learned network, on embeddings.

Component targets: ``target(config, skeleton=Skeleton) -> Relation`` (noun `relation`) and
``target(config, width=int, condition=int, bound=Callable, pose_prior=PosePrior) -> RelationNetwork``
(noun `relation_network`), and ``target(config) -> RelationScore`` (noun `relation_score`).
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from sa3dhp_core.protocols.task import Task
from sa3dhp_core.types import Spatial, Temporal


@runtime_checkable
class Relation(Protocol):
    """One relation, or a family of them whose parameter is drawn.

    Attributes:
        name: canonical name, for example ``flip @ rotate(50)``.
        condition: width P of what a conditioned network is told; 0 where the relation is a single element.
        acts_on_time: whether it re-indexes time (then it relates motion embeddings, not single poses).
    """

    name: str
    condition: int
    acts_on_time: bool

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Spatial:
        """Draw spatial elements with leading axes `shape`; a single element is repeated."""
        ...

    def temporal(self, frames: int) -> Temporal:
        """The index map whose anchor and partner have `frames` frames."""
        ...

    def on_poses(self, poses: Tensor, spatial: Spatial) -> Tensor:
        """Act on ``(..., J, 3)`` root-relative camera-frame poses (left and right exchanged where det M < 0)."""
        ...

    def on_images(self, images: Tensor, spatial: Spatial, intrinsics: Tensor) -> Tensor:
        """Act on crops ``(..., 3, H, W)`` taken by virtual cameras with ``intrinsics (..., 3, 3)``."""
        ...


@runtime_checkable
class NamesItsCrops(Protocol):
    """What a relation may say beside, so that relations which look alike share their crops.

    Attributes:
        crops_name: relations of one class with equal names draw equal elements from equal generators and do the same
            to crops; empty if crops stay as they are.
    """

    crops_name: str


@runtime_checkable
class RelationNetwork(Protocol):
    """A `torch.nn.Module`: what the relation does to embeddings."""

    def __call__(self, embedding: Tensor, condition: Tensor) -> Tensor:
        """``(..., width)``, ``(..., P)`` -> ``(..., width)``."""
        ...

    def task(self, relation: Relation, pose_prior: Any, motion_prior: Any, draw: Any, frames: int) -> Task:
        """How it is trained: on z from a `PoseDraw` where `motion_prior` is None, else on v from a `SequenceDraw`.

        A network that needs no training returns a task of no steps (`sa3dhp_core.no_training.NoTraining`).
        """
        ...


class RelationScore(Protocol):
    """Scores one relation from embeddings of anchors and partners; larger means less local."""

    def __call__(self, anchor: Tensor, partner: Tensor) -> float:
        """Anchors and partners ``(N, width)``."""
        ...
