"""The density of 2D poses: a true density, blind to size and place, which tells poses from what is none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.strategies import random_poses, seeds
from sa3dhp_core.types import WHOLE
from sa3dhp_ites.config import DensityTraining
from sa3dhp_ites.density import DensityTask, PoseDensity, mirrored
from sa3dhp_ites.losses import vertical_rotations
from sa3dhp_ites.units import Normaliser

BODY = skeleton()


def flat(count: int, seed: int) -> Tensor:
    """2D poses ``(count, J, 2)`` of people 4.5 m away."""
    poses = random_poses(BODY, seed, count).float()
    return poses[..., :2] / (poses[..., 2:] + 4.5)


def density(**keys: Any) -> PoseDensity:
    """A small one whose layers do something."""
    torch.manual_seed(0)
    made = PoseDensity(BODY, DensityTraining(**{"components": 5, "layers": 3, "width": 8, **keys}))
    for layer in made.layers:
        torch.nn.init.normal_(layer.map[-1].weight, std=0.3)  # type: ignore[union-attr, index]
    return made


def test_it_integrates_to_one() -> None:
    """The logarithm of the volume's growth is that of the map's Jacobian."""
    made = density().double()
    point = torch.randn(5, dtype=torch.float64)

    def through(values: Tensor) -> Tensor:
        values = values[None]
        for layer in made.layers:
            values, _ = layer(values)
        return values[0]

    made.requires_grad_(False)
    jacobian = torch.autograd.functional.jacobian(through, point)
    expected = 0.5 * through(point).square().sum() - torch.linalg.slogdet(jacobian).logabsdet
    assert float(made.surprise(point[None])[0]) == pytest.approx(float(expected), abs=1e-9)


@given(seeds, st.floats(0.2, 5), st.floats(-3, 3))
def test_size_and_place_do_not_matter(seed: int, size: float, place: float) -> None:
    made, points = density().double(), flat(6, seed).double()
    made.fit(flat(40, 1).double())
    assert torch.allclose(made(points), made(size * points + place), atol=1e-6)


def test_components_of_what_it_was_fitted_to_have_spread_one() -> None:
    made, points = density(), flat(300, 0)
    made.fit(points)
    found = made.components(points)
    assert torch.allclose(found.mean(dim=0), torch.zeros(5), atol=1e-4)
    assert torch.allclose(found.T @ found / len(found), torch.eye(5), atol=1e-3)


def test_few_poses_leave_components_empty() -> None:
    made = density()
    made.fit(flat(3, 0))
    assert bool(made(flat(10, 1)).isfinite().all())


def test_a_mirror_twice_is_nothing() -> None:
    points = flat(4, 0)
    assert torch.equal(mirrored(mirrored(points, BODY), BODY), points)
    wrist, other = BODY.index("left_wrist"), BODY.index("right_wrist")
    assert torch.equal(mirrored(points, BODY)[:, wrist, 0], -points[:, other, 0])


class Few:
    """`Keypoints` of few frames."""

    def __init__(self, points: Tensor) -> None:
        self.points = points

    def draw(self, count: int, frames: int, generator: torch.Generator) -> Tensor:
        return self.points[torch.randint(len(self.points), (count,), generator=generator)][:, None]


def around(count: int, seed: int) -> Tensor:
    """One body ``(count, J, 2)`` seen from all sides."""
    pose, generator = random_poses(BODY, 0, 1).float(), torch.Generator().manual_seed(seed)
    pose = pose @ vertical_rotations((count,), generator, pose).mT
    return pose[..., :2] / (pose[..., 2:] + 4.5)


def test_training_tells_poses_from_shuffled_joints() -> None:
    """Views that it has not seen become likely, and those with joints exchanged do not."""
    config = DensityTraining(steps=150, batch=128, components=16, layers=4, width=32)
    torch.manual_seed(0)
    made, units, points = PoseDensity(BODY, config), Normaliser(BODY, "head"), around(500, 0)
    units.fit(points)
    task: Any = DensityTask(made, units, Few(points), points, config)  # type: ignore[arg-type]
    new = units(around(200, 9))
    before = float(made(new).detach().mean())
    optimizer, scheduler = task.optimizers()["density"]
    for step in range(config.steps):
        for update in task.updates(step, torch.Generator().manual_seed(step), WHOLE):
            optimizer.zero_grad()
            update.loss.backward()
            optimizer.step()
            scheduler.step()
    order = list(range(len(BODY)))
    head, ankle = BODY.index("head"), BODY.index("left_ankle")
    order[head], order[ankle] = ankle, head
    with torch.no_grad():
        after, shuffled = float(made(new).mean()), float(made(new[:, order]).mean())
    assert after < before - 1 and after < shuffled - 1
