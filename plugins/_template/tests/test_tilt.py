"""What the kit cannot know of the relation: how far it turns, which way, and what a recipe may ask for."""

from __future__ import annotations

import pytest
import torch

from sa3dhp_core.cards import skeleton
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.host import Host
from sa3dhp_template import plugin
from sa3dhp_template.tilt import TiltRelation


def built(angle: float = 8.0) -> TiltRelation:
    relation = Host.of(plugin.sa3dhp_relations()).build(
        "relation", {"use": "template-tilt", "angle": angle}, "relations[0]", skeleton=skeleton()
    )
    assert isinstance(relation, TiltRelation)
    return relation


def test_a_tilt_and_its_opposite_undo_each_other() -> None:
    generator = torch.Generator().manual_seed(0)
    poses = torch.randn(5, len(skeleton()), 3, generator=generator)
    up, down = built(8.0), built(-8.0)
    there = up.on_poses(poses, up.draw((5,), generator))
    assert not torch.allclose(there, poses, atol=1e-2)
    assert torch.allclose(down.on_poses(there, down.draw((5,), generator)), poses, atol=1e-5)


def test_what_is_far_away_moves_up_under_a_positive_angle() -> None:
    relation = built(90.0 / 4)
    far = torch.zeros(len(skeleton()), 3)
    far[:, 2] = 1.0  # z away, y down
    moved = relation.on_poses(far, relation.draw((), torch.Generator()))
    assert torch.allclose(moved[0, 1], -torch.tensor(relation.radians).sin())


def test_an_angle_out_of_range_is_refused_with_its_path() -> None:
    with pytest.raises(RecipeError, match=r"relations\[0\]"):
        built(45.0)
