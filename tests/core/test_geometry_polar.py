"""The best rotation by polynomials against singular values, and what it leaves open."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.conformance.strategies import HOUSE, orthogonal, random_poses, seeds
from sa3dhp_core.geometry import procrustes
from sa3dhp_core.geometry.polar import best_rotation


def by_singular_values(product: Tensor) -> tuple[Tensor, Tensor]:
    """Kabsch 1976."""
    u, sizes, vt = torch.linalg.svd(product)
    sizes[..., -1] *= torch.linalg.det(u @ vt).sign()
    flip = torch.diag_embed(torch.stack([torch.ones(()), torch.ones(())]).double().expand(*sizes.shape[:-1], 2))
    middle = torch.nn.functional.pad(flip, (0, 1, 0, 1))
    middle[..., 2, 2] = torch.linalg.det(u @ vt).sign()
    return u @ middle @ vt, sizes.sum(-1)


@given(seeds, orthogonal(), st.floats(0.0, 3.0), st.floats(1e-3, 1e3))
def test_the_rotation_is_that_of_singular_values(seed: int, matrix: Tensor, noise: float, size: float) -> None:
    truth = random_poses(HOUSE, seed, 5)
    moving = size * (truth @ matrix.T + noise * random_poses(HOUSE, seed + 1, 5))
    product = moving.mT @ truth
    rotation, shared, certain = best_rotation(product)
    wanted, trace = by_singular_values(product)
    torch.testing.assert_close(shared[certain], trace[certain], rtol=1e-9, atol=0)
    torch.testing.assert_close(rotation[certain], wanted[certain], atol=1e-7, rtol=0)
    assert torch.linalg.det(matrix) < 0 or bool(certain.all()) or noise > 0.3


def test_what_leaves_the_rotation_open_says_so() -> None:
    line = torch.zeros(3, 3).double()
    line[0, 0] = 1.0
    opposite = torch.diag(torch.tensor([1.0, 1.0, -1.0])).double()
    _, _, certain = best_rotation(torch.stack([torch.zeros(3, 3).double(), line, opposite, torch.eye(3).double()]))
    assert certain.tolist() == [False, False, False, True]


@given(seeds, st.floats(-12.0, -0.5), st.booleans())
def test_nearly_open_rotations_are_right_or_said_to_be_open(seed: int, exponent: float, reflects: bool) -> None:
    gap = 10.0**exponent
    values = [1.0, 0.6, gap - 0.6] if reflects else [1.0, gap, -gap / 2]
    left, right = turns(seed), turns(seed + 1)
    product = left @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ right.mT
    rotation, shared, certain = best_rotation(product)
    assert bool(certain) or gap < 0.03
    if certain:
        torch.testing.assert_close(rotation, left @ right.mT, atol=1e-8, rtol=0)
        torch.testing.assert_close(shared, product.new_tensor(sum(values)), rtol=1e-12, atol=0)


def turns(seed: int) -> Tensor:
    """A random rotation in double."""
    matrix = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))).Q
    return matrix * torch.linalg.det(matrix)


@given(seeds)
def test_one_product_does_not_notice_its_neighbours(seed: int) -> None:
    product = random_poses(HOUSE, seed, 6).mT @ random_poses(HOUSE, seed + 1, 6)
    product[2], product[4] = 0.0, torch.diag(torch.tensor([1.0, 1.0, -1.0]).double())
    whole = best_rotation(product)
    for k in range(len(product)):
        for many, one in zip(whole, best_rotation(product[k]), strict=True):
            if whole[2][k]:
                torch.testing.assert_close(many[k], one, atol=1e-12, rtol=0)


@given(seeds)
def test_straight_and_flat_poses_are_aligned_all_the_same(seed: int) -> None:
    """Singular values take over where the quaternion is open: the error is the smallest there is."""
    truth = random_poses(HOUSE, seed, 4)
    for moving in (truth * torch.tensor([1.0, 0.0, 0.0]), -truth, truth * torch.tensor([1.0, 1.0, 0.0])):
        got, slow = procrustes(moving, truth), procrustes(moving.clone().requires_grad_(), truth)
        errors = [(pose - truth).square().sum(dim=(-1, -2)) for pose in (got, slow.detach())]
        torch.testing.assert_close(errors[0], errors[1], rtol=1e-9, atol=1e-12)


def test_a_gradient_goes_through_the_alignment() -> None:
    truth = random_poses(HOUSE, 0, 2)
    moving = (truth + 0.1 * random_poses(HOUSE, 1, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda poses: procrustes(poses, truth), (moving,))
