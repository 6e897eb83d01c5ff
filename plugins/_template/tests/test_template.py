"""The template's relation: its laws, and that a host builds it from a recipe's table."""

from __future__ import annotations

import math

import pytest
import torch

from sa3dhp_core.cards import skeleton
from sa3dhp_core.components import Component
from sa3dhp_core.errors import RecipeError
from sa3dhp_core.geometry import project
from sa3dhp_core.host import Host
from sa3dhp_template import plugin
from sa3dhp_template.tilt import TiltRelation

SIZE, FOCAL = 65, 130.0
INTRINSICS = torch.tensor([[FOCAL, 0.0, 32.0], [0.0, FOCAL, 32.0], [0.0, 0.0, 1.0]])


def built(angle: float = 8.0) -> TiltRelation:
    relation = Host.of(plugin.sa3dhp_relations()).build(
        "relation", {"use": "template-tilt", "angle": angle}, "relations[0]", skeleton=skeleton()
    )
    assert isinstance(relation, TiltRelation)
    return relation


def test_offers_components_that_load() -> None:
    (component,) = plugin.sa3dhp_relations()
    assert isinstance(component, Component)
    assert component.load_config()().angle == 8.0
    assert callable(component.load_target())


def test_a_tilt_and_its_opposite_undo_each_other() -> None:
    generator = torch.Generator().manual_seed(0)
    poses = torch.randn(5, len(skeleton()), 3, generator=generator)
    up, down = built(8.0), built(-8.0)
    there = up.on_poses(poses, up.draw((5,), generator))
    assert not torch.allclose(there, poses, atol=1e-2)
    assert torch.allclose(down.on_poses(there, down.draw((5,), generator)), poses, atol=1e-5)


def test_images_move_as_the_projections_of_points_do() -> None:
    relation = built(5.0)
    spatial = relation.draw((), torch.Generator())
    images = torch.zeros(3, SIZE, SIZE)
    images[:, 31:34, 39:42] = 1.0  # a spot around pixel (40, 32)
    moved = relation.on_images(images, spatial, INTRINSICS)[0]
    ray = torch.linalg.inv(INTRINSICS) @ torch.tensor([40.0, 32.0, 1.0])
    expected = project((spatial.matrix @ ray)[None], INTRINSICS)[0]
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    found = torch.stack([(moved * columns).sum(), (moved * rows).sum()]) / moved.sum()
    assert abs(float(expected[1]) - 32.0) > 5  # it does move
    assert torch.allclose(found, expected, atol=0.3)


def test_time_stays() -> None:
    assert built().temporal(3).partner == (0, 1, 2)
    assert math.isclose(built(9.0).radians, math.radians(9.0))


def test_an_angle_out_of_range_is_refused_with_its_path() -> None:
    with pytest.raises(RecipeError, match=r"relations\[0\]"):
        built(45.0)
