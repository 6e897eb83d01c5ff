"""What a set leaves open: bases are fixed and commute, more elements never leave more open, known sets by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.conformance.strategies import HOUSE, orthogonal, skeletons
from sa3dhp_core.geometry import (
    act_on_poses,
    ambiguity,
    commutant,
    fixed_poses,
    generators,
    mirror_matrix,
    named_maps,
    rotation_x,
    rotation_z,
)
from sa3dhp_core.types import Skeleton

SETS = st.lists(orthogonal(), min_size=1, max_size=3).map(torch.stack)
ROUNDING = 1e-6
DEPTH = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
FLIP = mirror_matrix(dtype=torch.float64)


def turn(degrees: float) -> Tensor:
    return rotation_z(torch.tensor(math.radians(degrees), dtype=torch.float64))


def tilt(degrees: float) -> Tensor:
    return rotation_x(torch.tensor(math.radians(degrees), dtype=torch.float64))


@given(SETS, skeletons())
def test_fixed_poses_are_fixed(matrices: Tensor, body: Skeleton) -> None:
    basis = fixed_poses(matrices, body)
    assert torch.allclose(torch.einsum("kji,lji->kl", basis, basis), torch.eye(len(basis)).double(), atol=ROUNDING)
    assert not basis[:, body.index(body.root)].any()
    for matrix in matrices:
        assert torch.allclose(act_on_poses(matrix.expand(len(basis), 3, 3), basis, body), basis, atol=3e-4)


@given(SETS)
def test_the_commutant_commutes(matrices: Tensor) -> None:
    basis = commutant(matrices)
    for matrix in matrices:
        assert torch.allclose(basis @ matrix, matrix @ basis, atol=3e-4)


@given(SETS, orthogonal(), skeletons())
def test_a_further_relation_never_leaves_more_open(matrices: Tensor, further: Tensor, body: Skeleton) -> None:
    before, after = (ambiguity(m, body) for m in (matrices, torch.cat((matrices, further[None]))))
    assert after.fixed_dimension <= before.fixed_dimension and after.turning <= before.turning
    assert set(after.invisible) <= set(before.invisible) and {"identity", "point reflection"} <= set(after.invisible)
    assert before.count is None or (after.count is not None and after.count <= before.count)


@given(st.lists(orthogonal(), min_size=1, max_size=6).map(torch.stack))
def test_generators_leave_open_what_all_of_them_do(matrices: Tensor) -> None:
    kept = generators(matrices, HOUSE)
    assert 1 <= len(kept) <= len(matrices) and ambiguity(kept, HOUSE) == ambiguity(matrices, HOUSE)
    assert len(generators(torch.cat((kept, kept)), HOUSE)) == len(kept)


@pytest.mark.parametrize(
    ("matrices", "dimension", "kind", "turning", "count"),
    [
        ([], 48, "any", 3, None),
        ([torch.eye(3)], 48, "any", 3, None),
        ([FLIP], 26, "any", 1, None),  # 4 middle joints in the plane, 6 free pairs
        ([FLIP @ turn(50)], 26, "any", 1, None),  # a mirror too, tilted
        ([turn(50)], 16, "needles", 1, None),
        ([FLIP, FLIP @ turn(50)], 10, "needles", 0, 4),
        ([DEPTH], 26, "any", 1, None),
        ([turn(180)], 16, "needles", 1, None),
        ([turn(50), tilt(10)], 0, "none", 0, 2),
        ([FLIP, turn(50), tilt(10)], 0, "none", 0, 2),
    ],
)
def test_known_sets(matrices: list[Tensor], dimension: int, kind: str, turning: int, count: int | None) -> None:
    stacked = torch.stack([m.double() for m in matrices]) if matrices else torch.zeros(0, 3, 3)
    left = ambiguity(stacked, HOUSE)
    assert (left.fixed_dimension, left.fixed_kind, left.turning, left.count) == (dimension, kind, turning, count)


def test_flat_poses_are_told_from_needles_and_from_others() -> None:
    one_sided = Skeleton("two", ("root", "a", "b"), {"root": "root", "a": "root", "b": "a"}, (), "root", {}, {})
    assert ambiguity(DEPTH[None], one_sided).fixed_kind == "flat"
    assert ambiguity(torch.eye(3)[None], one_sided).fixed_dimension == 6


def test_depth_reversal_is_invisible_to_everything_in_the_image_plane() -> None:
    plane = torch.stack([FLIP, turn(20), FLIP @ turn(-33)])
    assert ambiguity(plane, HOUSE).invisible == (
        "identity",
        "point reflection",
        "depth reversal",
        "half turn about the optical axis",
    )
    assert "depth reversal" not in ambiguity(torch.cat((plane, tilt(5)[None])), HOUSE).invisible
    assert "every turn about the optical axis" in ambiguity(turn(50)[None], HOUSE).invisible


def test_named_maps_are_orthogonal_or_generate_turns() -> None:
    for name, one in named_maps().items():
        element = torch.linalg.matrix_exp(0.3 * one) if name.startswith("every") else one
        assert torch.allclose(element @ element.T, torch.eye(3, dtype=torch.float64)), name
