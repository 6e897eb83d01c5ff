"""The pose auto-encoders: domain, kinematics, proportions, determinism, other skeletons."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_core.protocols.pose_prior import PosePrior
from sa3dhp_core.protocols.task import Task
from sa3dhp_core.types import WHOLE, Shard, Skeleton
from sa3dhp_priors import pose_aae
from sa3dhp_priors.body import Anatomy, Body, frame
from sa3dhp_priors.config import PoseAae, PoseAaeProportions
from sa3dhp_priors.networks import Layout
from sa3dhp_priors.pose_aae import PoseAutoEncoder
from sa3dhp_priors.pose_task import sliced_distance
from sa3dhp_priors.proportions import VariableLengths

HOUSE = skeleton()
SMALL = Skeleton(
    id="five",
    joints=("hip", "top", "left_hand", "tail", "right_hand"),
    parents={"hip": "hip", "top": "hip", "left_hand": "hip", "right_hand": "hip", "tail": "top"},
    pairs=(("left_hand", "right_hand"),),
    root="hip",
    bone_lengths_m={"top": 0.5, "left_hand": 0.3, "right_hand": 0.3, "tail": 0.2},
    parts={"left": ("left_hand",), "right": ("right_hand",), "trunk": ("top", "tail")},
)
QUICK = {"hidden": 32, "steps": 30, "batch": 32}
VARIANTS = [
    PoseAae(**QUICK),
    PoseAae(body="tree", orientation="joint", bound=10.0, distance="absolute", schedule="constant", **QUICK),
    PoseAaeProportions(**QUICK),
    PoseAaeProportions(body="tree", proportions=3, **QUICK),
]


def build(config: PoseAae, card: Skeleton = HOUSE) -> PoseAutoEncoder:
    torch.manual_seed(3)
    if isinstance(config, PoseAaeProportions):
        return pose_aae.build_with_proportions(config, card)
    return pose_aae.build(config, card)


def people(card: Skeleton) -> Callable[[int, torch.Generator, Shard], Tensor]:
    """A draw of bodies that swing their limbs about a resting pose, turned anyhow, of several statures."""
    anatomy = Anatomy(card)
    rest = torch.randn(len(anatomy.bones), 3, generator=generator_for("rest"))

    def draw(count: int, generator: torch.Generator, shard: Shard = WHOLE) -> Tensor:
        swing = 0.4 * torch.randn(count, len(anatomy.bones), 3, generator=generator)
        directions = torch.nn.functional.normalize(rest + swing, dim=-1)
        stature = 1.0 + 0.1 * (torch.rand(count, 1, generator=generator) - 0.5)
        turns = frame(*torch.randn(2, count, 3, generator=generator))
        return anatomy.join(Body(turns, directions, anatomy.card_lengths() * stature))[shard.rank :: shard.world]

    return draw


def run(task: Task, seed: int = 0, steps: int | None = None) -> list[float]:
    """Train as the engine does; returns the losses of the auto-encoder."""
    losses = []
    optimizers = task.optimizers()
    for step in range(task.steps if steps is None else steps):
        for update in task.updates(step, generator_for(seed, "test", step), WHOLE):
            optimizer, scheduler = optimizers[update.optimizer]
            optimizer.zero_grad()
            update.loss.backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            if update.optimizer == "prior":
                losses.append(float(update.loss.detach()))
    return losses


def error(prior: PosePrior, poses: Tensor) -> float:
    with torch.no_grad():
        return float((prior.decode(prior.encode(poses)) - poses).norm(dim=-1).mean())


def lengths(poses: Tensor, card: Skeleton = HOUSE) -> Tensor:
    return (poses - poses[..., list(card.parent_indices), :]).norm(dim=-1)


@pytest.mark.parametrize("config", VARIANTS, ids=lambda c: f"{type(c).__name__}-{c.body}")
def test_protocol_shapes_and_domain(config: PoseAae) -> None:
    prior = build(config)
    assert isinstance(prior, PosePrior)
    poses = people(HOUSE)(6, generator_for(1), WHOLE).reshape(2, 3, len(HOUSE), 3)
    prior.start(people(HOUSE)(300, generator_for(2), WHOLE))
    z = prior.encode(poses)
    assert z.shape == (2, 3, prior.latent)
    assert prior.latent == config.latent + getattr(config, "proportions", 0)
    assert z.abs().max() <= config.bound
    assert prior.decode(z).shape == poses.shape
    torch.testing.assert_close(prior.encode(poses[0, 1]), z[0, 1], rtol=1e-4, atol=1e-4)
    samples = prior.sample(500, generator_for(3))
    assert samples.shape == (500, prior.latent)
    assert samples.abs().max() <= config.bound
    assert prior.bound(torch.tensor([1e9, -1e9])).tolist() == pytest.approx([config.bound, -config.bound])
    assert torch.equal(samples, prior.sample(500, generator_for(3)))


@pytest.mark.parametrize("config", VARIANTS[:2], ids=["mlp", "tree"])
def test_fixed_bones_are_constant_and_symmetric(config: PoseAae) -> None:
    prior = build(config)
    prior.start(people(HOUSE)(300, generator_for(2), WHOLE))
    found = lengths(prior.decode(prior.sample(64, generator_for(4))))
    torch.testing.assert_close(found, found[:1].expand_as(found), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found, found[:, list(HOUSE.mirror)], rtol=1e-4, atol=1e-6)


def test_card_bones_stay_the_cards() -> None:
    prior = build(PoseAae(bones="card", **QUICK))
    prior.start(1.3 * people(HOUSE)(100, generator_for(2), WHOLE))
    found = lengths(prior.decode(prior.sample(1, generator_for(0))))[0].detach()
    for joint, expected in HOUSE.bone_lengths_m.items():
        assert float(found[HOUSE.index(joint)]) == pytest.approx(expected, rel=1e-4)


def test_proportions_alone_determine_bone_lengths() -> None:
    prior = build(PoseAaeProportions(**QUICK))
    prior.start(people(HOUSE)(400, generator_for(2), WHOLE))
    z = prior.sample(32, generator_for(5))
    other = prior.sample(32, generator_for(6))
    other[:, -8:] = z[:, -8:]
    torch.testing.assert_close(lengths(prior.decode(other)), lengths(prior.decode(z)), rtol=1e-4, atol=1e-6)
    other[:, -8:] = -z[:, -8:]
    assert (lengths(prior.decode(other)) - lengths(prior.decode(z))).abs().max() > 0.005


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), latent=st.integers(1, 12))
def test_proportions_are_bounded_symmetric_and_invertible(seed: int, latent: int) -> None:
    anatomy = Anatomy(HOUSE)
    module = VariableLengths(anatomy, latent).double()
    generator = generator_for(seed)
    population = anatomy.card_lengths() * (1 + 0.05 * torch.randn(200, len(anatomy.bones), generator=generator))
    module.start(population.double())
    code = 2 * torch.rand(50, latent, generator=generator).double() - 1
    decoded = module.decode(code)
    mean = population.double().mean(dim=0)
    assert (decoded / mean).log().abs().max() < 0.6
    torch.testing.assert_close(decoded, decoded[:, anatomy.mirrored])
    kept = min(latent, len(anatomy.groups))
    torch.testing.assert_close(module.encode(decoded)[:, :kept], code[:, :kept], rtol=1e-6, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_body_round_trip_and_turns(seed: int) -> None:
    anatomy = Anatomy(HOUSE)
    poses = people(HOUSE)(4, generator_for(seed), WHOLE).double()
    body = anatomy.split(poses)
    torch.testing.assert_close(anatomy.join(body), poses, rtol=1e-9, atol=1e-9)
    turn = frame(*torch.randn(2, 3, generator=generator_for(seed, "turn")).double())
    turned = anatomy.split(poses @ turn.T)
    torch.testing.assert_close(turned.directions, body.directions, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(turned.orientation, turn @ body.orientation, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(anatomy.reflect(anatomy.reflect(poses)), poses)


def test_separate_orientation_survives_any_roll() -> None:
    prior = build(PoseAae(**QUICK)).double()
    poses = people(HOUSE)(8, generator_for(1), WHOLE).double()
    angle = torch.tensor(2.1, dtype=torch.float64)
    roll = torch.eye(3, dtype=torch.float64)
    roll[:2, :2] = torch.stack((torch.stack((angle.cos(), -angle.sin())), torch.stack((angle.sin(), angle.cos()))))
    upright, rolled = prior.decode(prior.encode(poses)), prior.decode(prior.encode(poses @ roll.T))
    torch.testing.assert_close(rolled, upright @ roll.T, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("config", VARIANTS, ids=lambda c: f"{type(c).__name__}-{c.body}")
def test_short_training_improves(config: PoseAae) -> None:
    prior = build(config)
    held = people(HOUSE)(128, generator_for("held"), WHOLE)
    before = error(prior, held)
    losses = run(prior.task(people(HOUSE)))
    assert all(math.isfinite(loss) for loss in losses)
    assert error(prior, held) < 0.9 * before


def test_training_is_determined_by_generators() -> None:
    results = []
    for disturbance in (1, 2):
        prior = build(PoseAae(**QUICK))
        task = prior.task(people(HOUSE))
        torch.manual_seed(disturbance)
        run(task, steps=4)
        results.append(prior.state_dict())
    for name, value in results[0].items():
        assert torch.equal(value, results[1][name]), name


def test_weights_restore_everything() -> None:
    config = PoseAaeProportions(**QUICK)
    trained, fresh = build(config), build(config)
    run(trained.task(people(HOUSE)), steps=2)
    poses = people(HOUSE)(5, generator_for(9), WHOLE)
    assert not torch.equal(fresh.encode(poses), trained.encode(poses))
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(fresh.encode(poses), trained.encode(poses))
    z = trained.sample(5, generator_for(1))
    assert torch.equal(fresh.decode(z), trained.decode(z))


def test_double_precision_trains() -> None:
    prior = build(PoseAaeProportions(**QUICK)).double()
    run(prior.task(people(HOUSE)), steps=2)
    poses = people(HOUSE)(3, generator_for(1), WHOLE).double()
    assert prior.decode(prior.encode(poses)).dtype == torch.float64
    assert prior.sample(2, generator_for(1)).dtype == torch.float64


@pytest.mark.parametrize("body", ["mlp", "tree"])
def test_another_skeleton(body: str) -> None:
    prior = build(attrs.evolve(PoseAaeProportions(latent=12, proportions=2, **QUICK), body=body), SMALL)
    held = people(SMALL)(64, generator_for("held"), WHOLE)
    before = error(prior, held)
    run(prior.task(people(SMALL)))
    assert error(prior, held) < 0.85 * before


def test_tree_follows_the_card() -> None:
    house, small = Layout(Anatomy(HOUSE)), Layout(Anatomy(SMALL))
    assert set(house.girdles) == {"left_arm+right_arm", "left_leg+right_leg"}
    assert set(small.girdles) == {"left+right"}
    anatomy = Anatomy(HOUSE)
    assert {HOUSE.joints[anatomy.bones[b]] for b in house.trunk} == set(HOUSE.parts["trunk"])


def test_frame_needs_hips_and_spine() -> None:
    card = Skeleton(
        id="stick",
        joints=("a", "b"),
        parents={"a": "a", "b": "a"},
        pairs=(),
        root="a",
        bone_lengths_m={"b": 1.0},
        parts={"all": ("b",)},
    )
    with pytest.raises(DataError, match="stick"):
        pose_aae.build(PoseAae(), card)


def test_box_prior_spreads_like_the_poses_and_cube_fills_the_domain() -> None:
    for prior_kind in ("box", "cube"):
        prior = build(PoseAae(prior=prior_kind, **QUICK))
        poses = people(HOUSE)(600, generator_for(2), WHOLE)
        prior.start(poses)
        sampled, found = prior.sample(2000, generator_for(1))[:, 6:].std(dim=0), prior.encode(poses)[:, 6:].std(dim=0)
        wanted = found.detach().clamp_min(0.02 / 3**0.5) if prior_kind == "box" else torch.full_like(sampled, 3**-0.5)
        torch.testing.assert_close(sampled, wanted, rtol=0.1, atol=0.0)


def test_no_discriminator_without_weight() -> None:
    prior = build(PoseAae(adversarial_weight=0.0, **QUICK))
    task = prior.task(people(HOUSE))
    assert set(task.optimizers()) == set(task.modules) == {"prior"}
    both = build(PoseAae(**QUICK)).task(people(HOUSE))
    assert set(both.optimizers()) == set(both.modules) == {"prior", "discriminator"}


def test_discriminator_has_the_published_logits() -> None:
    task = build(PoseAae(**QUICK)).task(people(HOUSE))
    body = Anatomy(HOUSE).split(people(HOUSE)(3, generator_for(0), WHOLE))
    assert task.modules["discriminator"](body).shape == (3, 23)


def test_sliced_distance_of_shifted_clouds() -> None:
    cloud = torch.randn(400, 1, generator=generator_for(0))
    assert float(sliced_distance(cloud, cloud.flip(0), generator_for(1))) == 0.0
    assert float(sliced_distance(cloud + 0.7, cloud, generator_for(1))) == pytest.approx(0.7, rel=1e-5)
