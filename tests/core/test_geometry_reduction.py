"""Crops that reduce strongly: close to the mean over each pixel, no more aliasing, the same laws as any crop."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.conformance.strategies import seeds
from sa3dhp_core.geometry import crop, mirror_matrix, rotation_z, virtual_camera
from sa3dhp_core.geometry.crops import EXACT
from sa3dhp_core.geometry.reduction import spans
from sa3dhp_core.geometry.sampling import sample_finer

WIDTH, HEIGHT, SIZE = 320, 240, 16
CAMERA = torch.tensor([[300.0, 0, 150], [0, 300, 130], [0, 0, 1]], dtype=torch.float64)
PLACES = ((160.0, 120.0), (90.0, 150.0), (230.0, 80.0))


def spectrum(power: float, seed: int = 0) -> Tensor:
    """Noise ``(3, H, W)`` whose amplitude falls as the frequency to a power; 1 is much like photographs."""
    y, x = torch.fft.fftfreq(HEIGHT)[:, None], torch.fft.fftfreq(WIDTH)[None]
    weight = (y**2 + x**2).sqrt().clamp(min=1 / HEIGHT) ** power
    drawn = torch.randn(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    made = torch.fft.ifft2(torch.fft.fft2(drawn) / weight).real
    return 0.5 + 0.15 * (made - made.mean()) / made.std()


def exact(frame: Tensor, turn: Tensor, virtual: Tensor, size: int, finer: int) -> Tensor:
    """The mean of so many samples across each pixel: slow and obvious."""
    maps = (CAMERA @ turn.T @ torch.linalg.inv(virtual))[None]
    return torch.nn.functional.avg_pool2d(sample_finer(frame[None], maps, size, finer), finer)[0]


def test_spans_are_the_differences_of_neighbouring_points() -> None:
    turn, virtual = virtual_camera(torch.tensor([90.0, 150.0]).double(), torch.tensor(60.0).double(), CAMERA, SIZE)
    maps = CAMERA @ turn.T @ torch.linalg.inv(virtual)
    ends = torch.tensor([[8.0, 0, 16, 0, 16], [8, 0, 0, 16, 16]]).double()

    def onto(points: Tensor) -> Tensor:
        seen = maps @ torch.cat([points, torch.ones_like(points[:1])])
        return seen[:2] / seen[2:]

    for axis in (0, 1):
        step = 1e-5 * torch.eye(2).double()[:, axis : axis + 1]
        slope = (onto(ends + step) - onto(ends - step)) / 2e-5
        torch.testing.assert_close(spans(maps[None], SIZE)[0, :, axis], slope, atol=1e-6, rtol=0)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("radius", "roll"), [(40.0, 0.0), (75.0, 0.0), (75.0, 0.5)])
def test_it_is_nearly_the_mean_over_each_pixel_and_aliases_no_more(
    place: tuple[float, float], radius: float, roll: float
) -> None:
    turn, virtual = virtual_camera(torch.tensor(place).double(), torch.tensor(radius).double(), CAMERA, SIZE)
    turn = rotation_z(torch.tensor(roll).double()) @ turn
    like_photographs, white = spectrum(1.0), spectrum(0.0)
    sharp, taken = exact(like_photographs, turn, virtual, SIZE, 40), crop(like_photographs, CAMERA, turn, virtual, SIZE)
    assert (taken - sharp).pow(2).mean().sqrt() < 0.15 * sharp.std()
    assert (taken - sharp).mean().abs() < 0.01 * sharp.std()
    assert crop(white, CAMERA, turn, virtual, SIZE).std() < 1.1 * exact(white, turn, virtual, SIZE, 40).std()


@given(st.floats(60, 260), st.floats(60, 180), st.floats(25, 90), st.sampled_from(["border", "grey", "black"]), seeds)
def test_strong_reductions_commute_with_mirror_and_quarter_turn(
    x: float, y: float, radius: float, padding: str, seed: int
) -> None:
    frame = torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed)).double()
    turn, virtual = virtual_camera(torch.tensor([x, y]).double(), torch.tensor(radius).double(), CAMERA, SIZE)
    taken = crop(frame, CAMERA, turn, virtual, SIZE, padding)  # type: ignore[arg-type]
    mirror, beside = mirror_matrix(dtype=torch.float64), CAMERA.clone()
    beside[0, 2] = WIDTH - CAMERA[0, 2]
    other = crop(frame.flip(-1), beside, mirror @ turn @ mirror, virtual, SIZE, padding)  # type: ignore[arg-type]
    torch.testing.assert_close(other, taken.flip(-1), atol=1e-8, rtol=0)
    quarter, beside = rotation_z(torch.tensor(math.pi / 2, dtype=torch.float64)), CAMERA.clone()
    beside[0, 2], beside[1, 2] = HEIGHT - CAMERA[1, 2], CAMERA[0, 2]
    turned = quarter @ turn @ quarter.T
    other = crop(frame.rot90(-1, (-2, -1)), beside, turned, virtual, SIZE, padding)  # type: ignore[arg-type]
    torch.testing.assert_close(other, taken.rot90(-1, (-2, -1)), atol=1e-8, rtol=0)


@pytest.mark.parametrize("padding", ["border", "grey", "black"])
@pytest.mark.parametrize("centre", [(1.0, 2.0), (-30.0, 25.0), (319.0, 239.0), (40.0, 300.0)])
def test_a_strong_reduction_that_leaves_the_frame_equals_one_of_the_frame_extended(
    centre: tuple[float, float], padding: str
) -> None:
    frame = torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    mode, value = ("replicate", None) if padding == "border" else ("constant", 0.5 if padding == "grey" else 0.0)
    extended = torch.nn.functional.pad(frame[None], (400, 400, 400, 400), mode=mode, value=value)[0]
    beside = CAMERA.clone()
    beside[:2, 2] += 400
    turn, virtual = virtual_camera(torch.tensor(centre).double(), torch.tensor(50.0).double(), CAMERA, SIZE)
    taken = crop(frame, CAMERA, turn, virtual, SIZE, padding)  # type: ignore[arg-type]
    torch.testing.assert_close(taken, crop(extended, beside, turn, virtual, SIZE), atol=1e-9, rtol=0)


def test_bytes_floats_and_batches_agree() -> None:
    frame = (255 * spectrum(1.0).clamp(0, 1)).to(torch.uint8)
    centres, radii = torch.tensor([*PLACES, (160.0, 120.0)]), torch.tensor([60.0, 35.0, 75.0, 5.0])
    turn, virtual = virtual_camera(centres, radii, CAMERA.float(), SIZE)
    together = crop(frame, CAMERA, turn, virtual, SIZE)
    for k in range(4):
        torch.testing.assert_close(
            together[k], crop(frame.float() / 255, CAMERA, turn[k], virtual[k], SIZE), rtol=1e-5, atol=1e-5
        )
    double = crop(frame.double() / 255, CAMERA, turn.double(), virtual.double(), SIZE)
    torch.testing.assert_close(together.double(), double, rtol=0, atol=1e-4)


def test_gradients_reach_the_frame_and_the_camera_through_a_reduction() -> None:
    frame = torch.rand(1, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    camera = torch.tensor([[30.0, 0, 6], [0, 30, 6], [0, 0, 1]], dtype=torch.float64)
    virtual = torch.tensor([[9.7, 0, 1.5], [0, 9.7, 1.5], [0, 0, 1]], dtype=torch.float64)
    angle = torch.tensor(0.11, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, a: crop(f, camera, rotation_z(a), virtual, 3), (frame, angle))


@pytest.mark.parametrize("radius", [4.0, 10.0])
def test_a_crop_that_hardly_reduces_has_the_bits_of_its_samples(radius: float) -> None:
    frame = spectrum(1.0)
    turn, virtual = virtual_camera(torch.tensor(PLACES[1]).double(), torch.tensor(radius).double(), CAMERA, SIZE)
    finer = max(1, math.ceil(2.3 * radius / SIZE - 0.05))
    assert finer <= EXACT
    torch.testing.assert_close(
        crop(frame, CAMERA, turn, virtual, SIZE), exact(frame, turn, virtual, SIZE, finer), atol=1e-12, rtol=0
    )
