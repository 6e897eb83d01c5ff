"""What the report shows of lifted poses: frames spread over the split, bones between keypoints, errors by joint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sa3dhp_core.atomic import read_json
from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.strategies import random_poses
from sa3dhp_ites.samples import GROUND, PIXELS, SAMPLES, drawn, write_samples

BODY = skeleton()
POSES = random_poses(BODY, 0, 21).float()
POINTS = POSES[..., :2] / (POSES[..., 2:] + 4.5)
PLAIN = (255 * torch.tensor(GROUND)).round().to(torch.uint8)


def test_frames_are_spread_over_the_split_and_errors_are_by_joint(tmp_path: Path) -> None:
    beside = POSES.clone()
    beside[:, BODY.index("head"), 0] += 0.05
    write_samples(tmp_path, POINTS, POSES, {"teacher": beside, "student": POSES}, BODY)
    with np.load(tmp_path / "samples.npz", allow_pickle=False) as file:
        found = {name: torch.from_numpy(file[name]) for name in file.files if name != "joints"}
        assert file["joints"].tolist() == list(BODY.joints)
    index = [round(k) for k in np.floor(np.linspace(0, 20, SAMPLES))]
    assert torch.equal(found["truth"], POSES[index]) and torch.equal(found["pred/teacher"], beside[index])
    assert torch.equal(found["images"], drawn(POINTS[index], BODY))
    errors = read_json(tmp_path / "per_joint.json")
    assert errors["teacher"]["mpjpe_mm"] == pytest.approx([50.0 * (j == "head") for j in BODY.joints], abs=1e-3)


def test_bones_lie_between_keypoints_and_none_leads_to_an_unseen_one() -> None:
    wrist, elbow = BODY.index("left_wrist"), BODY.index("left_elbow")
    points = torch.full((2, len(BODY), 2), torch.nan)
    points[:, wrist], points[:, elbow] = torch.tensor([0.1, 0.1]), torch.tensor([0.3, 0.1])
    points[1, BODY.index("head")] = torch.tensor([0.2, -0.1])
    first, second = drawn(points, BODY)
    across = (first != PLAIN).any(-1).nonzero()
    assert across[:, 0].unique().tolist() == [PIXELS // 2 - 2, PIXELS // 2 - 1, PIXELS // 2, PIXELS // 2 + 1]
    assert len(across[:, 1].unique()) == pytest.approx(0.8 * PIXELS, abs=4)
    blue = first[PIXELS // 2, PIXELS // 2]
    assert int(blue[2]) > int(blue[0])
    low = (second != PLAIN).any(-1).nonzero()[:, 0]
    assert len(low) and int(low.min()) > 0.8 * PIXELS, "something leads to the head"


def test_a_frame_in_which_nothing_was_seen_is_empty() -> None:
    assert bool((drawn(torch.full((1, len(BODY), 2), torch.nan), BODY) == PLAIN).all())
