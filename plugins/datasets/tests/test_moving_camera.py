"""Motion seen by a camera that turns, and joints that a set does not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from sa3dhp_core.cards import skeleton
from sa3dhp_datasets.config import ShotMotionConfig
from sa3dhp_datasets.joint_names import means, taken
from sa3dhp_datasets.lens import Lens
from sa3dhp_datasets.shot_motion import ShotMotion
from sa3dhp_datasets.shots import Shot, person_of

FRAMES = np.array([1, 2, 5, 6])
"""Pictures in which the person is told of; 3 and 4 are missing."""


def turning(shared: bool) -> tuple[np.ndarray, Shot]:
    """``(4, J, 3)`` root-relative motion in the world, and what a camera that looks elsewhere at each picture tells."""
    generator = np.random.default_rng(0)
    world = generator.normal(size=(len(FRAMES), len(skeleton()), 3))
    world -= world[:, :1]
    upright = Rotation.random(8, random_state=1).as_matrix()
    upright = upright[0] if shared else upright
    seen = np.stack([joints @ (upright if shared else upright[n]) for n, joints in zip(FRAMES, world, strict=True)])
    lens = Lens(np.full(2, 500.0), np.full(2, 100.0))
    person = person_of(0, FRAMES, lens, joints=seen + np.array([0.0, 0.0, 20.0]))
    assert person is not None
    return world, Shot("a", "s", "", "", 30.0, lens, (person,), "a.pkl", upright=upright)


@pytest.mark.parametrize("shared", [True, False])
def test_motion_is_freed_of_the_camera_turn_of_its_own_picture(shared: bool, tmp_path: Path) -> None:
    world, shot = turning(shared)

    def read(config: Any) -> Iterator[Shot]:
        yield shot

    data = ShotMotion(ShotMotionConfig(), read, "amass")
    data.prepare(tmp_path)
    found = torch.cat(list(data.sequences(tmp_path, "train").sequences()))
    np.testing.assert_allclose(found.numpy(), world, atol=1e-5)


def test_a_joint_without_a_column_is_unknown() -> None:
    names = [joint for joint in skeleton().joints if joint != "head"]
    values = np.random.default_rng(0).normal(size=(2, len(names), 2))
    found = taken(values, means(names, skeleton(), {"head": ()}, "a"))
    head = skeleton().index("head")
    assert np.isnan(found[:, head]).all()
    np.testing.assert_array_equal(np.delete(found, head, axis=1), values)
