"""The motion auto-encoders: shapes, domain, smoothness, training, determinism."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.cards import skeleton
from sa3dhp_core.protocols.motion_prior import MotionPrior
from sa3dhp_core.protocols.task import Task
from sa3dhp_core.types import WHOLE, Shard
from sa3dhp_priors import bilstm, dct, pose_aae
from sa3dhp_priors.body import Anatomy, Body, frame
from sa3dhp_priors.config import MotionBilstm, MotionDct, PoseAaeProportions
from sa3dhp_priors.pose_aae import PoseAutoEncoder

HOUSE = skeleton()
FRAMES = 12
CONFIGS = [
    MotionBilstm(latent=24, units=32, steps=60, batch=16, learning_rate=1e-2),
    MotionBilstm(latent=24, units=32, steps=60, batch=16, loss="squares", schedule="constant", bound=10.0),
    MotionDct(latent=24, coefficients=5, hidden=32, steps=20, batch=16),
]


def swinging(count: int, frames: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
    """Bodies whose limbs swing once in a while, each seen from its own side."""
    anatomy = Anatomy(HOUSE)
    bones = len(anatomy.bones)
    rest = torch.randn(bones, 3, generator=generator_for("rest"))
    swing = 0.5 * torch.randn(count, 1, bones, 3, generator=generator)
    phase = 6.3 * torch.rand(count, 1, 1, 1, generator=generator)
    time = torch.arange(frames)[:, None, None] / 6.0
    directions = torch.nn.functional.normalize(rest + swing * torch.sin(time + phase), dim=-1)
    turns = frame(*torch.randn(2, count, 1, 3, generator=generator))
    return anatomy.join(Body(turns, directions, anatomy.card_lengths().expand(count, frames, bones)))


@pytest.fixture(scope="module")
def pose_prior() -> PoseAutoEncoder:
    torch.manual_seed(0)
    prior = pose_aae.build_with_proportions(PoseAaeProportions(hidden=32, proportions=2), HOUSE)
    prior.start(swinging(400, 1, generator_for(1))[:, 0])
    return prior.requires_grad_(False)


def build(config: MotionBilstm | MotionDct, pose_prior: PoseAutoEncoder) -> MotionPrior:
    torch.manual_seed(1)
    if isinstance(config, MotionBilstm):
        return bilstm.build(config, pose_prior, FRAMES)
    return dct.build(config, pose_prior, FRAMES)


def run(task: Task, steps: int | None = None) -> None:
    ((optimizer, scheduler),) = task.optimizers().values()
    for step in range(task.steps if steps is None else steps):
        for update in task.updates(step, generator_for(0, step), WHOLE):
            optimizer.zero_grad()
            assert math.isfinite(float(update.loss.detach()))
            update.loss.backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()


def error(prior: MotionPrior, pose_prior: PoseAutoEncoder) -> float:
    poses = swinging(40, FRAMES, generator_for("held"))
    with torch.no_grad():
        decoded = pose_prior.decode(prior.decode(prior.encode(pose_prior.encode(poses))))
    return float((decoded - poses).norm(dim=-1).mean())


@pytest.mark.parametrize("config", CONFIGS, ids=["bilstm", "bilstm-published", "dct"])
def test_shapes_domain_and_training(config: MotionBilstm | MotionDct, pose_prior: PoseAutoEncoder) -> None:
    prior = build(config, pose_prior)
    assert isinstance(prior, MotionPrior)
    z = pose_prior.encode(swinging(6, FRAMES, generator_for(2))).reshape(2, 3, FRAMES, -1)
    v = prior.encode(z)
    assert v.shape == (2, 3, config.latent)
    assert v.abs().max() <= config.bound
    decoded = prior.decode(v)
    assert decoded.shape == z.shape
    assert decoded.abs().max() <= 1.0
    torch.testing.assert_close(prior.encode(z[1, 2]), v[1, 2], rtol=1e-4, atol=1e-5)
    before = error(prior, pose_prior)
    run(prior.task(swinging))
    assert error(prior, pose_prior) < 0.95 * before


def test_dct_starts_with_the_motion_it_can_hold(pose_prior: PoseAutoEncoder) -> None:
    errors = []
    for latent in (12, 48, 160):
        prior = build(MotionDct(latent=latent, coefficients=5, hidden=32), pose_prior)
        prior.start(pose_prior.encode(swinging(300, FRAMES, generator_for(3))))
        errors.append(error(prior, pose_prior))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.4 * errors[0]


def test_basis_is_orthonormal_and_smooth() -> None:
    basis = dct.cosine_basis(30, 12)
    torch.testing.assert_close(basis.T @ basis, torch.eye(12), rtol=1e-5, atol=1e-5)
    ramp = torch.cos(torch.arange(30) / 20.0)
    assert float((basis @ (basis.T @ ramp) - ramp).abs().max()) < 0.01


def test_effect_of_latent_dimensions(pose_prior: PoseAutoEncoder) -> None:
    z = pose_prior.encode(swinging(64, 1, generator_for(4))[:, 0])
    effect = dct.pose_effect(pose_prior, z)
    slow = [
        float((pose_prior.decode(z + 0.05 * unit) - pose_prior.decode(z)).norm(dim=-1).square().mean().sqrt() / 0.05)
        for unit in torch.eye(z.shape[-1])
    ]
    assert effect.tolist() == pytest.approx(slow, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("config", [CONFIGS[0], CONFIGS[2]], ids=["bilstm", "dct"])
def test_determined_by_generators_and_restored(config: MotionBilstm | MotionDct, pose_prior: PoseAutoEncoder) -> None:
    states = []
    for disturbance in (1, 2):
        prior = build(config, pose_prior)
        task = prior.task(swinging)
        torch.manual_seed(disturbance)
        run(task, steps=3)
        states.append(prior.state_dict())
    assert states[0].keys() == states[1].keys()
    assert not any("pose_prior" in name for name in states[0])
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    fresh = build(config, pose_prior)
    fresh.load_state_dict(states[0])
    assert error(fresh, pose_prior) == error(prior, pose_prior)


@pytest.mark.parametrize("config", [CONFIGS[0], CONFIGS[2]], ids=["bilstm", "dct"])
def test_double_precision_trains(config: MotionBilstm | MotionDct, pose_prior: PoseAutoEncoder) -> None:
    double = pose_aae.build_with_proportions(PoseAaeProportions(hidden=32, proportions=2), HOUSE).double()
    prior = build(config, double).double()
    run(prior.task(swinging), steps=2)
    z = double.encode(swinging(2, FRAMES, generator_for(0)).double())
    assert prior.decode(prior.encode(z)).dtype == torch.float64
