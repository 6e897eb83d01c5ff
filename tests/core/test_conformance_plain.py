"""The kit's plain parts: priors lose nothing, networks do to embeddings exactly what relations do to poses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sa3dhp_core.conformance import Bench
from sa3dhp_core.conformance.losses import FRAMES, plain_parts
from sa3dhp_core.conformance.plain import REACH
from sa3dhp_core.conformance.tolerance import need_equal
from sa3dhp_core.protocols.motion_prior import MotionPrior
from sa3dhp_core.protocols.pose_prior import PosePrior
from sa3dhp_core.protocols.relation import Relation, RelationNetwork
from sa3dhp_core.types import WHOLE

BENCH = Bench()
PARTS = plain_parts(BENCH)


def test_parts_keep_their_protocols() -> None:
    assert isinstance(PARTS.pose_prior, PosePrior) and isinstance(PARTS.motion_prior, MotionPrior)
    assert all(isinstance(relation, Relation) for relation in PARTS.relations.values())
    assert all(isinstance(network, RelationNetwork) for network in PARTS.networks.values())
    networks: list[Any] = list(PARTS.networks.values())
    priors: list[Any] = [PARTS.pose_prior, PARTS.motion_prior]
    tasks: list[Any] = [prior.task(None) for prior in priors]
    tasks += [network.task(None, None, None, None, FRAMES) for network in networks]
    assert all(task.steps == 0 and list(task.updates(0, torch.Generator(), WHOLE)) == [] for task in tasks)
    assert all(task.optimizers() == {} for task in tasks)


def test_priors_lose_nothing_and_keep_their_bound() -> None:
    poses = BENCH.poses(3, FRAMES)
    z = PARTS.pose_prior.encode(poses)
    need_equal(PARTS.pose_prior.decode(z), poses, "the pose prior loses something")
    need_equal(PARTS.motion_prior.decode(PARTS.motion_prior.encode(z)), z, "the motion prior loses something")
    assert float(PARTS.pose_prior.bound(1e6 * z).abs().max()) <= REACH
    sample = PARTS.pose_prior.sample(5, torch.Generator().manual_seed(1))
    assert sample.shape == (5, PARTS.latent)
    assert torch.equal(sample, PARTS.pose_prior.sample(5, torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("name", PARTS.relations)
def test_networks_do_what_relations_do(name: str) -> None:
    relation, network = PARTS.relations[name], PARTS.networks[name]
    spatial = relation.draw((3, 1), torch.Generator().manual_seed(2))
    motion = BENCH.poses(3, FRAMES)
    time = relation.temporal(FRAMES)
    moved = PARTS.pose_prior.encode(relation.on_poses(motion[:, list(time.partner)], spatial))
    z = PARTS.pose_prior.encode(motion)
    if relation.acts_on_time:
        found, wanted = network(PARTS.motion_prior.encode(z), spatial.condition[:, 0]), PARTS.motion_prior.encode(moved)
    else:
        found, wanted = network(z, spatial.condition), moved
    need_equal(found, wanted, name, factor=4, of=torch.float32)
