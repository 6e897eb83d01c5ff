"""Cameras and crops: view points, virtual cameras, exactness of crops, smallest circles against brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.conformance.strategies import cameras, seeds
from sa3dhp_core.conformance.tolerance import TOLERANCE
from sa3dhp_core.errors import DataError
from sa3dhp_core.geometry import (
    crop,
    mirror_matrix,
    project,
    rays,
    root_position,
    rotation_z,
    smallest_circle,
    turn_between,
    viewpoint,
    virtual_camera,
)
from tests.core.test_geometry_homographies import photograph

DOUBLE = TOLERANCE[torch.float64]
WIDTH, HEIGHT = 200, 160


@st.composite
def circles(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """A person's circle within a frame: centre (2,) and radius (), pixels."""
    x, y = draw(st.floats(40, WIDTH - 40)), draw(st.floats(40, HEIGHT - 40))
    return torch.tensor([x, y], dtype=torch.float64), torch.tensor(draw(st.floats(3.0, 30.0))).double()


@given(st.floats(-3, 3), st.floats(-1.5, 1.5), st.floats(-3, 3))
def test_viewpoint_stands_where_it_says(azimuth: float, elevation: float, roll: float) -> None:
    turn = viewpoint(torch.tensor(azimuth, dtype=torch.float64), torch.tensor(elevation, dtype=torch.float64), roll)
    torch.testing.assert_close(turn @ turn.T, torch.eye(3).double(), atol=DOUBLE, rtol=0)
    level = [-math.sin(azimuth) * math.cos(elevation), math.cos(azimuth) * math.cos(elevation)]
    assert turn[2].tolist() == pytest.approx([*level, -math.sin(elevation)])  # looks there; down if elevated
    upright = viewpoint(azimuth, elevation)
    assert upright[1, 2] < 0 and abs(upright[0, 2]) < 1e-6  # the world's up is up in the image


@given(seeds)
def test_turn_between_is_the_smallest_rotation(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    start, end = torch.nn.functional.normalize(torch.randn(2, 8, 3, generator=generator).double(), dim=-1)
    turn = turn_between(start, end)
    torch.testing.assert_close((turn @ start.unsqueeze(-1)).squeeze(-1), end, atol=DOUBLE, rtol=0)
    trace = turn.diagonal(dim1=-2, dim2=-1).sum(-1)
    torch.testing.assert_close((trace - 1) / 2, (start * end).sum(-1), atol=DOUBLE, rtol=0)


def test_turn_between_opposite_vectors_is_still_a_rotation() -> None:
    start = torch.eye(3).double()
    turn = turn_between(start, -start)
    torch.testing.assert_close((turn @ start.unsqueeze(-1)).squeeze(-1), -start)
    torch.testing.assert_close(torch.linalg.det(turn), torch.ones(3).double())


@given(cameras(WIDTH, HEIGHT), circles(), st.floats(1.0, 1.5))
def test_virtual_camera_looks_at_the_centre_and_the_circle_fills_its_disc(
    camera: Tensor, circle: tuple[Tensor, Tensor], margin: float
) -> None:
    centre, radius = circle
    turn, virtual = virtual_camera(centre, radius, camera, 64, margin)
    around = torch.linspace(0, 2 * math.pi, 20_001).double()
    edge = centre + margin * radius * torch.stack([around.cos(), around.sin()], dim=-1)
    seen = project(rays(torch.cat([centre[None], edge]), camera) @ turn.T, virtual)
    assert seen[0].tolist() == pytest.approx([32.0, 32.0])
    assert (seen[1:] - 32).norm(dim=-1).max().item() == pytest.approx(32.0, abs=1e-4)


@given(cameras(WIDTH, HEIGHT), circles())
def test_a_crop_is_the_photograph_of_the_virtual_camera(camera: Tensor, circle: tuple[Tensor, Tensor]) -> None:
    turn, virtual = virtual_camera(*circle, camera, 24)
    taken = crop(photograph(torch.eye(3).double(), camera, HEIGHT, WIDTH), camera, turn, virtual, 24)
    assert (taken - photograph(turn, virtual, 24, 24)).abs().max() < 1e-2


@given(cameras(WIDTH, HEIGHT), circles(), seeds)
def test_crops_commute_with_the_mirror(camera: Tensor, circle: tuple[Tensor, Tensor], seed: int) -> None:
    centre, radius = circle
    frame = torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed)).double()
    turn, virtual = virtual_camera(centre, radius, camera, 16)
    other_camera, other_centre = camera.clone(), centre.clone()
    other_camera[0, 2], other_centre[0] = WIDTH - camera[0, 2], WIDTH - centre[0]
    other_turn, other_virtual = virtual_camera(other_centre, radius, other_camera, 16)
    mirror = mirror_matrix(dtype=torch.float64)
    torch.testing.assert_close(other_turn, mirror @ turn @ mirror, atol=DOUBLE, rtol=0)
    mirrored = crop(frame.flip(-1), other_camera, other_turn, other_virtual, 16)
    torch.testing.assert_close(mirrored, crop(frame, camera, turn, virtual, 16).flip(-1), atol=1e-8, rtol=0)


@given(circles(), seeds)
def test_crops_commute_with_a_quarter_turn(circle: tuple[Tensor, Tensor], seed: int) -> None:
    centre, radius = circle
    camera = torch.tensor([[300.0, 0, 100], [0, 300, 100], [0, 0, 1]], dtype=torch.float64)
    frame = torch.rand(3, 200, 200, generator=torch.Generator().manual_seed(seed)).double()
    turn, virtual = virtual_camera(centre, radius, camera, 16)
    quarter = rotation_z(torch.tensor(math.pi / 2, dtype=torch.float64))
    moved = torch.stack([200 - centre[1], centre[0]])
    other_turn, _ = virtual_camera(moved, radius, camera, 16)
    torch.testing.assert_close(other_turn, quarter @ turn @ quarter.T, atol=DOUBLE, rtol=0)
    turned = crop(frame.rot90(-1, (-2, -1)), camera, other_turn, virtual, 16)
    torch.testing.assert_close(turned, crop(frame, camera, turn, virtual, 16).rot90(-1, (-2, -1)), atol=1e-8, rtol=0)


def test_strong_reduction_does_not_alias() -> None:
    board = (torch.arange(400)[:, None] + torch.arange(400)).remainder(2).float().expand(3, 400, 400)
    camera = torch.tensor([[400.0, 0, 200], [0, 400, 200], [0, 0, 1]])
    turn, virtual = virtual_camera(torch.tensor([210.0, 195.0]), torch.tensor(150.0), camera, 16)
    assert (crop(board, camera, turn, virtual, 16) - 0.5).abs().max() < 0.02


def test_a_whole_number_reduction_is_the_mean_of_the_pixels() -> None:
    frame = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1))
    camera = torch.tensor([[100.0, 0, 32], [0, 100, 32], [0, 0, 1]])
    virtual = torch.tensor([[25.0, 0, 8], [0, 25, 8], [0, 0, 1]])
    mean = torch.nn.functional.avg_pool2d(frame, 4)
    torch.testing.assert_close(crop(frame, camera, torch.eye(3), virtual, 16), mean, atol=1e-5, rtol=0)
    same = crop((frame * 255).to(torch.uint8), camera, torch.eye(3), camera, 64)
    torch.testing.assert_close(same, (frame * 255).floor() / 255, atol=1e-5, rtol=0)


@pytest.mark.parametrize("padding", ["border", "grey", "black"])
@pytest.mark.parametrize("centre", [(1.0, 2.0), (-30.0, 25.0), (79.0, 59.0), (40.0, 200.0)])
def test_a_crop_that_leaves_the_frame_equals_one_of_the_frame_extended(
    centre: tuple[float, float], padding: str
) -> None:
    frame = torch.rand(3, 60, 80, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    camera = torch.tensor([[100.0, 0, 40], [0, 100, 30], [0, 0, 1]], dtype=torch.float64)
    mode, value = ("replicate", 0.0) if padding == "border" else ("constant", 0.5 if padding == "grey" else 0.0)
    extended = torch.nn.functional.pad(frame[None], (300, 300, 300, 300), mode=mode, value=value if value else None)[0]
    beside = camera.clone()
    beside[:2, 2] += 300
    turn, virtual = virtual_camera(torch.tensor(centre).double(), torch.tensor(15.0).double(), camera, 12)
    taken = crop(frame, camera, turn, virtual, 12, padding)  # type: ignore[arg-type]
    torch.testing.assert_close(taken, crop(extended, beside, turn, virtual, 12), atol=1e-9, rtol=0)


def test_gradients_reach_the_frame_and_the_camera() -> None:
    frame = torch.rand(2, 3, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    camera = torch.tensor([[20.0, 0, 6], [0, 20, 6], [0, 0, 1]], dtype=torch.float64)
    virtual = torch.tensor([[9.7, 0, 2], [0, 9.7, 2], [0, 0, 1]], dtype=torch.float64)
    angle = torch.tensor([0.11, -0.07], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, a: crop(f, camera, rotation_z(a), virtual, 4), (frame, angle))


def test_many_people_of_one_frame_and_a_batch_of_frames_agree() -> None:
    frame = torch.rand(3, 60, 80, generator=torch.Generator().manual_seed(2))
    camera = torch.tensor([[100.0, 0, 40], [0, 100, 30], [0, 0, 1]])
    centres, radii = torch.tensor([[20.0, 30.0], [60.0, 25.0], [40.0, 30.0]]), torch.tensor([5.0, 12.0, 25.0])
    turn, virtual = virtual_camera(centres, radii, camera, 12)
    shared = crop(frame, camera, turn, virtual, 12)
    each = [crop(frame, camera, turn[k], virtual[k], 12) for k in range(3)]
    torch.testing.assert_close(shared, torch.stack(each))
    torch.testing.assert_close(crop(frame.expand(3, 3, 60, 80), camera, turn, virtual, 12), shared)
    assert crop(frame[None][:0], camera, turn[:0], virtual[:0], 12).shape == (0, 3, 12, 12)


def brute_force_radius(points: np.ndarray) -> float:
    """Radius of the smallest circle by trying every pair and triple."""
    tried = [(a + b) / 2 for a, b in itertools.combinations(points, 2)]
    for a, b, c in itertools.combinations(points, 3):
        system = 2 * np.array([b - a, c - a])
        if abs(np.linalg.det(system)) > 1e-9:
            tried.append(np.linalg.solve(system, [b @ b - a @ a, c @ c - a @ a]))
    return float(min(np.linalg.norm(points - centre, axis=1).max() for centre in tried))


@given(seeds, st.integers(2, 9), st.sampled_from(["scattered", "lattice", "line", "circle"]))
def test_smallest_circle_equals_brute_force(seed: int, count: int, kind: str) -> None:
    random = np.random.default_rng(seed)
    points = random.normal(size=(3, count, 2)) * 100 + 500
    if kind == "lattice":
        points = random.integers(0, 3, size=(3, count, 2)).astype(float)
    elif kind == "line":
        points[..., 1] = 2 * points[..., 0] + 1
    elif kind == "circle":
        angle = random.uniform(0, 2 * np.pi, size=(3, count))
        points = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    centre, radius = smallest_circle(torch.from_numpy(points))
    for k in range(3):
        wanted = brute_force_radius(points[k])
        assert radius[k].item() == pytest.approx(wanted, rel=1e-7, abs=1e-9)
        assert np.linalg.norm(points[k] - centre[k].numpy(), axis=1).max() <= wanted * (1 + 1e-7) + 1e-9


def test_smallest_circle_of_one_point_and_of_equal_points() -> None:
    centre, radius = smallest_circle(torch.tensor([[[3.0, 4.0]] * 5, [[1.0, 1.0]] * 5]))
    assert centre.tolist() == [[3.0, 4.0], [1.0, 1.0]] and radius.tolist() == [0.0, 0.0]


def test_smallest_circle_has_gradients_and_is_large_batch_safe() -> None:
    points = torch.randn(3, 6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(smallest_circle, (points,))
    many = torch.randn(5000, 17, 2, generator=torch.Generator().manual_seed(0))
    centre, radius = smallest_circle(many)
    assert ((many - centre.unsqueeze(1)).norm(dim=-1).amax(dim=1) <= radius * (1 + 1e-5)).all()


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(DataError, match="NaN"):
        smallest_circle(torch.full((4, 2), math.nan))
    with pytest.raises(DataError, match="points has the wrong shape"):
        project(torch.zeros(17, 2), torch.eye(3))
    with pytest.raises(DataError, match="rotation has the wrong shape"):
        crop(torch.zeros(3, 8, 8), torch.eye(3), torch.eye(2), torch.eye(3), 4)


@given(st.integers(0, 2**31), st.floats(2.0, 8.0), st.floats(30.0, 500.0))
def test_the_root_is_found_where_it_stood(seed: int, depth: float, focal: float) -> None:
    g = torch.Generator().manual_seed(seed)
    poses = 0.4 * torch.randn(2, 5, 17, 3, generator=g).double()
    poses = poses - poses[..., :1, :]
    root = torch.cat([0.5 * torch.randn(2, 5, 2, generator=g).double(), torch.full((2, 5, 1), depth).double()], dim=-1)
    camera = torch.tensor([[focal, 0, 32], [0, 1.1 * focal, 30], [0, 0, 1]]).double().expand(2, 5, 3, 3)
    seen = project(poses + root.unsqueeze(-2), camera)
    assert torch.allclose(root_position(poses, seen, camera), root, atol=1e-6)
    assert torch.allclose(root_position(poses[0, 0], seen[0, 0], camera[0, 0]), root[0, 0], atol=1e-6)
