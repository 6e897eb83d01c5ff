"""Training tasks: what enters the running statistics and when, how each loss counts, how fast a student learns."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.strategies import random_poses
from sa3dhp_core.host import Host
from sa3dhp_core.types import WHOLE
from sa3dhp_ites import losses, plugin
from sa3dhp_ites.config import StudentTraining, TeacherTraining
from sa3dhp_ites.heads import Lifted, at_depth
from sa3dhp_ites.running import settle, statistics_kept
from sa3dhp_ites.tasks import Horizon, StudentTask, TeacherTask, optimizer

BODY = skeleton()
HOST = Host.of([*plugin.sa3dhp_lifters()])
SMALL: dict[str, Any] = {"width": 8, "bottleneck": 8, "blocks": 1}


def flat(count: int) -> Tensor:
    """2D poses ``(count, J, 2)`` of people 4.5 m away."""
    poses = random_poses(BODY, 0, count).float()
    return poses[..., :2] / (poses[..., 2:] + 4.5)


class Few:
    """`Keypoints` of few frames."""

    def __init__(self, points: Tensor) -> None:
        self.points = points

    def draw(self, count: int, frames: int, generator: torch.Generator) -> Tensor:
        return self.points[torch.randint(len(self.points), (count,), generator=generator)][:, None]


def lifter(**keys: Any) -> Any:
    """A small one, fitted."""
    torch.manual_seed(0)
    small = SMALL if keys.get("use", "ites-mlp") == "ites-mlp" else {}
    made = HOST.build("lifter", {"use": "ites-mlp", **small, **keys}, "lifter", skeleton=BODY)
    made.units.fit(flat(50))
    return made


def statistics(module: torch.nn.Module) -> list[Tensor]:
    """Running means and variances."""
    return [value.clone() for name, value in module.state_dict().items() if "running" in name]


def test_running_statistics_are_those_of_keypoints_alone() -> None:
    """A step with the cycle leaves the statistics that a step without it leaves."""
    found = []
    for cycle in (0.0, 1.0):
        made = lifter()
        task = TeacherTask(made, Few(flat(50)), TeacherTraining(batch=16, cycle=cycle))  # type: ignore[arg-type]
        list(task.updates(0, torch.Generator().manual_seed(0), WHOLE))
        found.append(statistics(made))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert not torch.equal(found[0][0], statistics(lifter())[0])
    with statistics_kept(made):
        made.lift(torch.randn(8, len(BODY), 2))
    assert all(torch.equal(a, b) for a, b in zip(found[1], statistics(made), strict=True))
    made.lift(torch.randn(8, len(BODY), 2))
    assert not torch.equal(found[1][0], statistics(made)[0])


def test_each_loss_counts_by_its_weight() -> None:
    """The sum is that of the losses that are logged, each times its key."""
    weights: dict[str, Any] = {"bones": 3.0, "equivariance": 0.5, "reprojection": 2.0, "cycle": 0.25}
    made = lifter(head="dictionary")
    how = TeacherTraining(batch=16, **weights)
    lengths = losses.relative_lengths(flat(50), BODY)
    task = TeacherTask(made, Few(flat(50)), how, lengths=lengths)  # type: ignore[arg-type]
    (update,) = task.updates(0, torch.Generator().manual_seed(0), WHOLE)
    total = sum(weight * float(update.logs[name]) for name, weight in weights.items())
    assert float(update.loss.detach()) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("learned", [True, False])
def test_the_tilt_is_learned_where_it_is_to_be(learned: bool) -> None:
    how = TeacherTraining(batch=16, reprojection=0, cycle=0, equivariance=1, optimizer="adamw", learn_tilt=learned)
    task = TeacherTask(lifter(head="depth"), Few(flat(50)), how)  # type: ignore[arg-type]
    optimizer, _ = task.optimizers()["lifter"]
    (update,) = task.updates(0, torch.Generator().manual_seed(0), WHOLE)
    update.loss.backward()
    optimizer.step()
    horizon: Any = task.modules["horizon"]
    assert (float(horizon.tilt.detach()) != 0) == learned and ("tilt_deg" in update.logs) == learned


def test_a_student_turns_poses_about_the_teachers_vertical() -> None:
    """With another tilt the same draw gives another cycle, and the same distance from the teacher."""
    found = []
    for tilt in (0.0, 0.3):
        horizon = Horizon(learned=False)
        torch.nn.init.constant_(horizon.tilt, tilt)
        teacher, student = lifter().eval(), lifter(head="depth", norm="none")
        task = StudentTask(student, teacher, Few(flat(50)), StudentTraining(batch=16), horizon)  # type: ignore[arg-type]
        (update,) = task.updates(0, torch.Generator().manual_seed(0), WHOLE)
        found.append(update.logs)
    assert torch.equal(found[0]["distillation"], found[1]["distillation"])  # type: ignore[arg-type]
    assert not torch.equal(found[0]["cycle"], found[1]["cycle"])  # type: ignore[arg-type]


def test_running_statistics_go_on_after_an_error_in_a_cycle() -> None:
    made = lifter()
    before = statistics(made)
    with pytest.raises(KeyError), statistics_kept(made):
        raise KeyError("lost")
    made.lift(torch.randn(8, len(BODY), 2))
    assert not torch.equal(before[0], statistics(made)[0])


def test_settled_statistics_are_those_of_the_weights_as_they_are() -> None:
    """On the batch that it settles on a lifter is in evaluation what it is in training; twice is as once."""
    made, points = lifter(use="ites-graph", width=8, blocks=1), flat(400)
    made.lift(torch.randn(8, len(BODY), 2))
    weights = [value.clone() for value in made.parameters()]
    told = made.units(points)
    trained = made.lift(told).points.detach()
    assert not torch.allclose(made.eval().lift(told).points, trained, atol=1e-3)
    settle(made, [told])
    assert torch.allclose(made.lift(told).points, trained, atol=1e-3) and not made.training
    first = statistics(made)
    settle(made.train(), [told])
    assert made.training and all(torch.equal(a, b) for a, b in zip(first, statistics(made), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(weights, made.parameters(), strict=True))
    settle(made, told.split(200))
    halves = [sum(pair) / 2 for pair in zip(*(_alone(made, half) for half in told.split(200)), strict=True)]
    assert torch.allclose(halves[0], statistics(made)[0]) and not torch.equal(first[1], statistics(made)[1])
    made.lift(torch.randn(8, len(BODY), 2))
    assert not torch.equal(first[0], statistics(made)[0])


def _alone(made: Any, points: Tensor) -> list[Tensor]:
    """Statistics of a copy that settles on one batch."""
    copy = deepcopy(made)
    settle(copy, [points])
    return statistics(copy)


class Slanted:
    """A teacher that puts what is to the right, and up, far away."""

    def lift(self, points: Tensor) -> Lifted:
        return Lifted(at_depth(points, 2 * points[..., :1] - points[..., 1:]))


def learned(large: bool) -> float:
    """How far a graph student is from its teacher after some steps at the published rate, against who lifts flat."""
    made = lifter(use="ites-graph", width=32, blocks=1)
    if large:
        for part in made.modules():
            if isinstance(part, torch.nn.Linear):
                part.reset_parameters()
    how = StudentTraining(batch=32, rotations=1)
    task = StudentTask(made, Slanted(), Few(flat(200)), how)  # type: ignore[arg-type]
    descent, _ = optimizer([made], how)
    for step in range(40):
        (update,) = task.updates(step, torch.Generator().manual_seed(step), WHOLE)
        descent.zero_grad()
        update.loss.backward()
        descent.step()
    points = made.units(flat(200))
    lifted, wanted = made.lift(points).points, Slanted().lift(points).points
    root = BODY.index(BODY.root)
    off, whole = (losses.depth_distance(some, wanted, root) for some in (lifted, at_depth(points, 0 * points[..., :1])))
    return float(off.detach() / whole)


def test_a_graph_student_begins_with_weights_that_its_rate_can_turn() -> None:
    """As torch begins linear maps, the same steps leave it much farther from its teacher."""
    small, large = learned(False), learned(True)
    assert small < 0.2 and small < 0.6 * large
