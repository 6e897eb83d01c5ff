"""A real, exact pose prior and motion prior (orthogonal linear maps under a bound), and smooth random motion."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from sa3dhp_core.cards import skeleton
from sa3dhp_core.types import WHOLE, Shard, Skeleton

torch.set_num_threads(1)


class OrthogonalPrior(nn.Module):
    """``z = bound(Q y)`` with Q orthogonal on the joints other than the root: exact both ways."""

    def __init__(self, body: Skeleton) -> None:
        super().__init__()
        self.skeleton = body
        self.latent = 3 * (len(body) - 1)
        generator = torch.Generator().manual_seed(0)
        basis, _ = torch.linalg.qr(torch.randn(self.latent, self.latent, generator=generator))
        self.register_buffer("basis", basis)
        self.moved = [joint for joint in range(len(body)) if joint != body.index(body.root)]

    def encode(self, poses: Tensor) -> Tensor:
        return self.bound(poses[..., self.moved, :].flatten(-2) @ self.basis.to(poses))

    def decode(self, z: Tensor) -> Tensor:
        raw = 2 * torch.atanh((z / 2).clamp(-1 + 1e-6, 1 - 1e-6))
        poses = z.new_zeros(*z.shape[:-1], len(self.skeleton), 3)
        poses[..., self.moved, :] = (raw @ self.basis.to(z).T).unflatten(-1, (-1, 3))
        return poses

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        return self.encode(single(count, generator))

    def bound(self, raw: Tensor) -> Tensor:
        return 2 * torch.tanh(raw / 2)


class CosinePrior(nn.Module):
    """``v`` = all DCT-II coefficients of the track of z: exact both ways."""

    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        self.frames, self.latent = frames, width * frames
        time, order = torch.arange(frames) + 0.5, torch.arange(frames)[:, None]
        basis = torch.cos(math.pi * order * time / frames) * math.sqrt(2 / frames)
        basis[0] /= math.sqrt(2)
        self.register_buffer("basis", basis)

    def encode(self, z: Tensor) -> Tensor:
        return (self.basis.to(z) @ z).flatten(-2)

    def decode(self, v: Tensor) -> Tensor:
        return self.basis.to(v).T @ v.unflatten(-1, (self.frames, -1))


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
def pose_prior() -> OrthogonalPrior:
    return OrthogonalPrior(skeleton())


@pytest.fixture(scope="session")
def motion_prior(pose_prior: OrthogonalPrior) -> CosinePrior:
    return CosinePrior(pose_prior.latent, 6)


@pytest.fixture(scope="session")
def draw_poses():
    return single


@pytest.fixture(scope="session")
def draw_motion():
    return motion
