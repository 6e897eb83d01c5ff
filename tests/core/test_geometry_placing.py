"""Placing people by their size: a person whom a camera looks at is found where they stand."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.strategies import random_poses
from sa3dhp_core.geometry import project, root_in_circle, smallest_circle, virtual_camera

BODY = skeleton()


@given(st.integers(0, 1000), st.floats(2.5, 30.0), st.floats(-0.4, 0.4), st.floats(-0.3, 0.3))
def test_a_person_is_found_where_the_camera_saw_them(seed: int, away: float, right: float, down: float) -> None:
    poses = random_poses(BODY, seed, 4, dtype=torch.float64)
    roots = poses.new_tensor([right * away, down * away, away]).expand(4, 3)
    camera = poses.new_tensor([[800.0, 0, 640], [0, 800.0, 360], [0, 0, 1]]).expand(4, 3, 3)
    circle = smallest_circle(project(poses + roots[:, None], camera))
    turn, virtual = virtual_camera(*circle, camera, 64, 1.15)
    seen = poses @ turn.transpose(-1, -2)
    found = root_in_circle(seen, virtual, 32 / 1.15)
    centre, radius = smallest_circle(project(seen + found[:, None], virtual))
    assert (centre - 32).abs().max() < 0.1 and (radius - 32 / 1.15).abs().max() < 0.1
    back = (found.unsqueeze(1) @ turn).squeeze(1)
    off_axis = abs(right) + abs(down)  # there a circle's image is no circle, and the crop's circle is a little wide
    assert ((back - roots).norm(dim=-1) / away).max() < 0.04 + 0.3 * off_axis


def test_a_pose_in_one_point_is_met_too() -> None:
    camera = torch.tensor([[100.0, 0, 32], [0, 100.0, 32], [0, 0, 1]]).expand(1, 3, 3)
    assert bool(root_in_circle(torch.zeros(1, 17, 3), camera, 28.0).isfinite().all())
