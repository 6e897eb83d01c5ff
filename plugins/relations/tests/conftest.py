"""The kit's exact pose prior and motion prior, and smooth random motion."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.plain import PlainMotionPrior, PlainPosePrior
from sa3dhp_core.types import WHOLE, Shard

torch.set_num_threads(1)


def motion(count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
    """``(count, frames, J, 3)``: bones of the card's lengths whose directions swing about a standing posture."""
    body = skeleton()
    time = torch.arange(frames)[:, None, None] / 15
    phase, speed = (torch.rand(count, 1, len(body), 3, generator=generator) for _ in range(2))
    lean = torch.randn(count, 1, len(body), 3, generator=generator)
    swing = 0.5 * lean + 0.5 * torch.sin(2 * math.pi * (phase + (0.2 + 0.8 * speed) * time))
    poses = torch.zeros(count, frames, len(body), 3)
    for joint in body.bones:
        upward = body.joints[joint] in ("spine", "thorax", "neck", "head")
        direction = torch.tensor([0.0, -1.0 if upward else 1.0, 0.0]) + 0.6 * swing[:, :, joint]
        length = body.bone_lengths_m[body.joints[joint]]
        step = length * nn.functional.normalize(direction, dim=-1)
        poses[:, :, joint] = poses[:, :, body.parent_indices[joint]] + step
    return poses[shard.rank :: shard.world]


def single(count: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
    """``(count, J, 3)`` poses."""
    return motion(count, 1, generator, shard)[:, 0]


@pytest.fixture(scope="session")
def pose_prior() -> PlainPosePrior:
    return PlainPosePrior(skeleton())


@pytest.fixture(scope="session")
def motion_prior(pose_prior: PlainPosePrior) -> PlainMotionPrior:
    return PlainMotionPrior(pose_prior.latent, 6)


@pytest.fixture(scope="session")
def draw_poses():
    return single


@pytest.fixture(scope="session")
def draw_motion():
    return motion
