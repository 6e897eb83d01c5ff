"""A run's trained latent space, for those who measure it: a value that a method may offer once its stages are done."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
from torch import nn

from sa3dhp_core.protocols.motion_prior import MotionPrior, SequenceDraw
from sa3dhp_core.protocols.pose_prior import PoseDraw, PosePrior
from sa3dhp_core.protocols.relation import Relation


@attrs.frozen
class TrainedLatent:
    """What a method's ``latent_space(folders, engine) -> TrainedLatent`` returns; the method loads, and trains nothing.

    Attributes:
        pose_prior: trained and frozen; its skeleton is that of all poses.
        motion_prior: trained and frozen, or None where the recipe has none.
        frames: length T of a motion sequence.
        relations: all of the recipe, by name.
        networks: trained and frozen relation networks by relation name: on z, or on v where the relation acts on time.
        poses: draws held-out poses.
        sequences: draws held-out sequences.
        split: where `poses` and `sequences` come from.
        device: where priors and networks lie.
    """

    pose_prior: PosePrior
    motion_prior: MotionPrior | None
    frames: int
    relations: Mapping[str, Relation]
    networks: Mapping[str, nn.Module]
    poses: PoseDraw
    sequences: SequenceDraw
    split: str
    device: torch.device
