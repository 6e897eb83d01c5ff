"""Values: skeletons derive their indices, and what is frozen stays as it is."""

from __future__ import annotations

import attrs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sa3dhp_core.errors import DataError
from sa3dhp_core.types import (
    WHOLE,
    ClipBatch,
    Encoding,
    LabelledBatch,
    PartLabels,
    Shard,
    Skeleton,
    Spatial,
    Temporal,
)

TOY = Skeleton(
    id="toy",
    joints=("left_hand", "chest", "right_hand", "hip", "head"),  # children before their parents, on purpose
    parents={"hip": "hip", "chest": "hip", "head": "chest", "left_hand": "chest", "right_hand": "chest"},
    pairs=(("left_hand", "right_hand"),),
    root="hip",
    bone_lengths_m={"chest": 0.5, "head": 0.3, "left_hand": 0.7, "right_hand": 0.7},
    parts={"left_arm": ("left_hand",), "right_arm": ("right_hand",), "trunk": ("chest", "head")},
)


@st.composite
def trees(draw: st.DrawFn) -> Skeleton:
    """Skeletons of any tree, stored in any order."""
    count = draw(st.integers(1, 12))
    names = [f"joint{number}" for number in range(count)]
    parents = {name: names[draw(st.integers(0, max(number - 1, 0)))] for number, name in enumerate(names)}
    joints = tuple(draw(st.permutations(names)))
    return attrs.evolve(TOY, joints=joints, parents=parents, pairs=(), root=names[0], bone_lengths_m={}, parts={})


def test_a_skeleton_counts_and_finds_its_joints() -> None:
    assert len(TOY) == 5
    assert [TOY.index(joint) for joint in TOY.joints] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError):
        TOY.index("tail")


def test_parents_follow_the_storage_order() -> None:
    assert [TOY.joints[parent] for parent in TOY.parent_indices] == ["chest", "hip", "chest", "hip", "chest"]


@given(trees())
def test_bones_are_all_but_the_root_each_after_its_parent(skeleton: Skeleton) -> None:
    root = skeleton.index(skeleton.root)
    assert sorted([*skeleton.bones, root]) == list(range(len(skeleton)))
    known = {root}
    for joint in skeleton.bones:
        assert skeleton.parent_indices[joint] in known
        known.add(joint)


@pytest.mark.parametrize("parents", [{"chest": "head", "head": "chest"}, {"left_hand": "left_hand"}])
def test_what_is_no_tree_is_refused(parents: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="one tree rooted at 'hip'"):
        _ = attrs.evolve(TOY, parents={**TOY.parents, **parents}).bones


def test_the_mirror_exchanges_pairs_and_keeps_the_rest() -> None:
    assert [TOY.joints[joint] for joint in TOY.mirror] == ["right_hand", "chest", "left_hand", "hip", "head"]
    assert [TOY.mirror[joint] for joint in TOY.mirror] == list(range(len(TOY)))


def test_skeletons_are_keys() -> None:
    again = attrs.evolve(TOY)
    assert again == TOY and hash(again) == hash(TOY)
    assert {TOY: "kept"}[again] == "kept"
    assert attrs.evolve(TOY, joints=TOY.joints[::-1]) != TOY


@given(st.integers(1, 50), st.integers(1, 5))
def test_shards_take_every_item_once(count: int, world: int) -> None:
    items = list(range(count))
    parts = [items[shard.rank :: shard.world] for shard in (Shard(rank, world) for rank in range(world))]
    assert sorted(sum(parts, [])) == items
    assert items[WHOLE.rank :: WHOLE.world] == items


@pytest.mark.parametrize(
    "value",
    [
        TOY,
        LabelledBatch(torch.zeros(1, 3, 2, 2), torch.zeros(1, 5, 3), None, torch.eye(3)[None]),
        ClipBatch(torch.zeros(1, 4, 3, 2, 2), torch.eye(3).expand(1, 4, 3, 3), torch.zeros(1)),
        Spatial(torch.eye(3), torch.zeros(0)),
        Temporal(2, (0, 1), (1, 0)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_frozen_and_documented(value: attrs.AttrsInstance) -> None:
    kind = type(value)
    for field in attrs.fields(kind):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(value, field.name, None)
        assert f"{field.name}:" in (kind.__doc__ or "")


def test_an_index_map_takes_anchor_and_partner_from_a_window() -> None:
    window = torch.arange(2 * 4).reshape(2, 4, 1)
    anchor, partner = Temporal(4, (0, 2), (3, 1)).of(window)
    assert anchor[..., 0].tolist() == [[0, 2], [4, 6]] and partner[..., 0].tolist() == [[3, 1], [7, 5]]
    for wrong in (window[:, :3], torch.zeros(4)):
        with pytest.raises(DataError, match=r"expected: \(B, 4, ...\)"):
            Temporal(4, (0, 2), (3, 1)).of(wrong)


def test_part_labels_know_their_mirror_image() -> None:
    labels = PartLabels("few", ("background", "left_hand", "head", "right_hand"), (("left_hand", "right_hand"),))
    assert len(labels) == 4 and labels.mirror == (0, 3, 2, 1)


def test_an_encoding_unpacks() -> None:
    z, feature = Encoding(torch.zeros(2, 8), torch.ones(2, 4))
    assert (z.shape, feature.shape) == ((2, 8), (2, 4))
