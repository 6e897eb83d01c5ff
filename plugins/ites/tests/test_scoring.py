"""Symmetries are measured about the vertical that is given."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.strategies import random_poses
from sa3dhp_core.host import Host
from sa3dhp_ites import plugin
from sa3dhp_ites.scoring import symmetries

BODY = skeleton()
POSES = random_poses(BODY, 0, 50).float()
KEYPOINTS = POSES[..., :2] / (POSES[..., 2:] + 4.5)


def test_who_lifts_everyone_flat_is_equivariant_about_the_line_of_sight_alone() -> None:
    """A camera that looks straight down has the vertical on its line of sight."""
    table = {"use": "ites-mlp", "head": "depth", "width": 8, "bottleneck": 8, "blocks": 1}
    flat: Any = Host.of([*plugin.sa3dhp_lifters()]).build("lifter", table, "lifter", skeleton=BODY)
    flat.units.fit(KEYPOINTS)
    torch.nn.init.zeros_(flat.head.depth.weight)
    found = {}
    for tilt in (None, torch.tensor(0.0), torch.tensor(math.pi / 2)):
        (record,) = symmetries("flat", "train", flat, KEYPOINTS, tilt)
        assert record["protocol"] == "equivariance" and record["unit"] == "mm"
        found[tilt] = record["value"]
    level, also_level, down = found.values()
    assert down == pytest.approx(0.0, abs=1e-2) and level == also_level
    assert isinstance(level, float) and level > 50
