"""The bench's relation networks do to embeddings exactly what its relations do to poses; its people can be labelled."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sa3dhp_core.conformance import Bench
from sa3dhp_core.conformance.losses import FRAMES, plain_parts
from sa3dhp_core.conformance.people import PlainImages
from sa3dhp_core.conformance.tolerance import need_equal
from sa3dhp_core.protocols.data import LabelledImages
from sa3dhp_core.protocols.relation import Relation, RelationNetwork
from sa3dhp_core.types import WHOLE, Shard

BENCH = Bench()
PARTS = plain_parts(BENCH)


def test_parts_keep_their_protocols_and_learn_nothing() -> None:
    assert all(isinstance(relation, Relation) for relation in PARTS.relations.values())
    networks: list[Any] = list(PARTS.networks.values())
    assert all(isinstance(network, RelationNetwork) for network in networks)
    tasks = [network.task(None, None, None, None, FRAMES) for network in networks]
    assert all(task.steps == 0 and list(task.updates(0, torch.Generator(), WHOLE)) == [] for task in tasks)


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


def test_people_are_labelled_where_they_are_seen() -> None:
    images = PlainImages(BENCH.skeleton, count=6)
    assert isinstance(images, LabelledImages) and images.families() == ("",)
    whole = torch.cat([batch.images for batch in images.batches(4)])
    (batch,) = images.batches(10)
    assert torch.equal(batch.images, whole) and len(images) == len(images.clip_index()) == 6
    assert batch.parts is not None and batch.keypoints is not None
    seen = batch.images.amax(dim=1) > 0.6
    assert bool((batch.parts[seen] > 0).float().mean() > 0.95), "what is bright belongs to a person"
    column, row = batch.keypoints.long().clamp(0, 31).unbind(-1)
    assert bool((batch.parts[torch.arange(6)[:, None], row, column] > 0).all()), "joints lie on the person"
    second = images.draw(6, torch.Generator().manual_seed(1), Shard(1, 2)).images
    assert torch.equal(second, images.draw(6, torch.Generator().manual_seed(1)).images[1::2])
