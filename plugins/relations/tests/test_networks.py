"""Networks respect the bound, learn in a few steps, repeat by generator, and need no other plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.hookspecs import HOOKS
from sa3dhp_core.protocols.relation import RelationNetwork
from sa3dhp_core.protocols.task import Task
from sa3dhp_core.types import WHOLE, Shard
from sa3dhp_relations import config, plugin
from sa3dhp_relations.geometric import geometric
from sa3dhp_relations.networks import fc, residual_mlp
from sa3dhp_relations.scores import LatentDistanceScore, RelativeLatentDistanceScore
from sa3dhp_relations.through_pose import through_pose

BODY = skeleton()
SMALL = config.ResidualMlp(hidden=64, steps=30, batch=64)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def train(task: Task, shard: Shard = WHOLE) -> list[float]:
    """The engine's loop, as plainly as it can be written."""
    losses = []
    for step in range(task.steps):
        for update in task.updates(step, generator(step), shard):
            optimizer, scheduler = task.optimizers()[update.optimizer]
            optimizer.zero_grad()
            update.loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(float(update.loss.detach()))
    return losses


def decoded_mm(network: Any, relation: Any, prior: Any, draw: Callable[..., torch.Tensor]) -> tuple[float, float]:
    """Errors of the network and of the identity on unseen poses, millimetres."""
    poses = draw(500, generator(10**6))
    spatial = relation.draw((500,), generator(10**6 + 1))
    truth, z = relation.on_poses(poses, spatial), prior.encode(poses)
    with torch.no_grad():
        moved = prior.decode(network(z, spatial.condition))
    return tuple(float(1000 * (p - truth).norm(dim=-1).mean()) for p in (moved, poses))  # type: ignore[return-value]


@pytest.mark.parametrize("build", [residual_mlp, fc])
@pytest.mark.parametrize("condition", [0, 3, 9])
def test_outputs_stay_in_the_latent_domain(build: Any, condition: int, pose_prior: Any) -> None:
    settings = config.ResidualMlp(hidden=16) if build is residual_mlp else config.Fc(hidden=(16,))
    network = build(
        settings, width=pose_prior.latent, condition=condition, bound=pose_prior.bound, pose_prior=pose_prior
    )
    assert isinstance(network, RelationNetwork)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=3.0)
    z = pose_prior.bound(3 * torch.randn(2, 5, pose_prior.latent, generator=generator(0)))
    out = network(z, torch.randn(2, 5, condition, generator=generator(1)))
    assert out.shape == z.shape
    assert out.abs().max() <= 2.0


def test_residual_mlp_starts_as_the_identity_and_passes_gradients(pose_prior: Any) -> None:
    network = residual_mlp(SMALL, pose_prior.latent, 0, pose_prior.bound, pose_prior)
    z = pose_prior.bound(torch.randn(4, pose_prior.latent, generator=generator(0))).requires_grad_()
    out = network(z, torch.zeros(4, 0))
    torch.testing.assert_close(out, z)
    out.sum().backward()
    torch.testing.assert_close(z.grad, torch.ones_like(z))


@pytest.mark.parametrize("expression", ["flip @ rotate(50)", "flip? @ rotate(-63..63)", "pan(-15..15)"])
def test_residual_mlp_learns_a_pose_relation(expression: str, pose_prior: Any, draw_poses: Any) -> None:
    torch.manual_seed(0)
    relation = geometric(expression, BODY)
    network = residual_mlp(SMALL, pose_prior.latent, relation.condition, pose_prior.bound, pose_prior)
    train(network.task(relation, pose_prior, None, draw_poses, 1))
    error, identity = decoded_mm(network, relation, pose_prior, draw_poses)
    assert error < 0.2 * identity
    assert error < 25


def test_fc_learns(pose_prior: Any, draw_poses: Any) -> None:
    torch.manual_seed(0)
    relation = geometric("flip", BODY)
    network = fc(config.Fc(hidden=(128, 64), steps=150, batch=128), pose_prior.latent, 0, pose_prior.bound, pose_prior)
    losses = train(network.task(relation, pose_prior, None, draw_poses, 1))
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    error, identity = decoded_mm(network, relation, pose_prior, draw_poses)
    assert error < 0.6 * identity


@pytest.mark.parametrize("expression", ["flip @ rotate(50) @ backward", "slow(2) @ backward", "flip? @ backward"])
def test_motion_relations_are_learnt(expression: str, pose_prior: Any, motion_prior: Any, draw_motion: Any) -> None:
    torch.manual_seed(0)
    relation = geometric(expression, BODY)
    settings = config.ResidualMlp(hidden=64, steps=30, batch=512)
    network = residual_mlp(settings, motion_prior.latent, relation.condition, torch.nn.Identity(), pose_prior)
    train(network.task(relation, pose_prior, motion_prior, draw_motion, motion_prior.frames))
    temporal = relation.temporal(motion_prior.frames)
    anchor, partner = temporal.of(draw_motion(200, temporal.window, generator(10**6)))
    spatial = relation.draw((200,), generator(3))
    truth = relation.on_poses(partner, spatial)
    with torch.no_grad():
        v = network(motion_prior.encode(pose_prior.encode(anchor)), spatial.condition)
        error = (pose_prior.decode(motion_prior.decode(v)) - truth).norm(dim=-1).mean()
    assert error < 0.3 * (anchor - truth).norm(dim=-1).mean()
    assert error < 0.05


@pytest.mark.parametrize("expression", ["flip @ rotate(50)", "flip? @ rotate(-63..63)", "pan(-15..15)", "identity"])
def test_through_pose_is_exact_without_training(expression: str, pose_prior: Any, draw_poses: Any) -> None:
    relation = geometric(expression, BODY)
    width, bound = pose_prior.latent, pose_prior.bound
    network = through_pose(config.ThroughPose(), width, relation.condition, bound, pose_prior)
    if relation.condition == 0:
        with pytest.raises(RuntimeError, match="checkpoint"):
            network(torch.zeros(1, width), torch.zeros(1, 0))
    task = network.task(relation, pose_prior, None, draw_poses, 1)
    assert task.steps == 0 and not task.optimizers() and not list(task.updates(0, generator(0), WHOLE))
    again = through_pose(config.ThroughPose(), width, relation.condition, bound, pose_prior)
    again.load_state_dict(network.state_dict())
    assert set(network.state_dict()) == {"element"}
    assert decoded_mm(again, relation, pose_prior, draw_poses)[0] < 0.5


def test_through_pose_refuses_motion(pose_prior: Any, motion_prior: Any, draw_motion: Any) -> None:
    with pytest.raises(RecipeError, match="pose embeddings alone"):
        through_pose(config.ThroughPose(), motion_prior.latent, 0, nn.Identity(), pose_prior)
    network = through_pose(config.ThroughPose(), pose_prior.latent, 0, pose_prior.bound, pose_prior)
    with pytest.raises(RecipeError, match="relates motions"):
        network.task(geometric("backward", BODY), pose_prior, motion_prior, draw_motion, 6)


def test_training_repeats_and_its_state_is_all_in_the_module(pose_prior: Any, draw_poses: Any) -> None:
    relation = geometric("flip? @ rotate(-63..63)", BODY)
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        network = residual_mlp(SMALL, pose_prior.latent, 3, pose_prior.bound, pose_prior)
        train(network.task(relation, pose_prior, None, draw_poses, 1))
        states.append(network.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_shards_make_up_the_whole_batch(pose_prior: Any, draw_poses: Any) -> None:
    """The mean of the ranks' gradients is the gradient of the whole batch."""
    relation = geometric("flip? @ rotate(-63..63)", BODY)
    torch.manual_seed(0)
    network = residual_mlp(SMALL, pose_prior.latent, 3, pose_prior.bound, pose_prior)
    task = network.task(relation, pose_prior, None, draw_poses, 1)
    assert task.sharded == ("network",)
    parameters = list(network.parameters())

    def gradient(shard: Shard) -> list[torch.Tensor]:
        (update,) = task.updates(0, generator(0), shard)
        return list(torch.autograd.grad(update.loss, parameters))

    whole = gradient(WHOLE)
    for world in (2, 3):  # SMALL's batch divides by the one and not by the other
        assert (SMALL.batch % world == 0) == (world == 2)
        ranks = [gradient(Shard(rank, world)) for rank in range(world)]
        for every, *parts in zip(whole, *ranks, strict=True):
            torch.testing.assert_close(sum(parts) / world, every, atol=1e-5, rtol=1e-3)


def test_decoded_error_is_logged_in_millimetres(pose_prior: Any, draw_poses: Any) -> None:
    settings = config.ResidualMlp(hidden=16, steps=1, batch=64, decoded_weight=1.0)
    network = residual_mlp(settings, pose_prior.latent, 0, pose_prior.bound, pose_prior)
    task = network.task(geometric("flip", BODY), pose_prior, None, draw_poses, 1)
    (update,) = task.updates(0, generator(0), WHOLE)
    assert 0 < float(update.logs["decoded_mm"]) < 1000
    update.loss.backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_scores() -> None:
    anchor = torch.zeros(4, 3)
    anchor[:2, 0] = 2.0
    partner = anchor + torch.tensor([0.0, 3.0, 4.0])
    assert LatentDistanceScore()(anchor, partner) == pytest.approx(5.0)
    assert RelativeLatentDistanceScore()(anchor, partner) == pytest.approx(2.5)
    assert RelativeLatentDistanceScore()(anchor, anchor) == 0
    with pytest.raises(ValueError, match="two different anchors"):
        RelativeLatentDistanceScore()(torch.zeros(1, 3), torch.ones(1, 3))
    with pytest.raises(ValueError, match="must both be"):
        LatentDistanceScore()(anchor, partner[:2])


def test_every_offer_loads_under_its_hook() -> None:
    hooks = {noun: getattr(plugin, hook, None) for noun, hook in HOOKS.items()}
    offers = [c for hook in hooks.values() if hook for c in hook()]
    assert len({(c.noun, c.id) for c in offers}) == len(offers) == 17
    for component in offers:
        assert component in hooks[component.noun]()
        assert component.load_config()() is not None
        assert callable(component.load_target())
