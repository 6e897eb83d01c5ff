"""Forms of a clip: blocks make no difference but to memory, which does not grow with the clip."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch

from sa3dhp_core import clip_forms, pose_spool
from sa3dhp_core.bvh import format_bvh
from sa3dhp_core.bvh_of_poses import bvh_of_poses
from sa3dhp_core.cards import skeleton
from sa3dhp_core.clip_forms import FORMS, facts_of
from sa3dhp_core.geometry import standard_lengths
from sa3dhp_core.pose_spool import Spool
from sa3dhp_core.protocols.prediction import Filmed
from tests.broken.image_data import Flipbook
from tests.core.test_pose_spool import spooled
from tests.core.test_predictions import clip

BODY = skeleton()


def test_blocks_are_written_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against numpy, json and the motion at once."""
    monkeypatch.setattr(pose_spool, "BLOCK", 4)
    film = Filmed(Flipbook(), torch.arange(11) * 2, torch.rand(11, 3))
    given = clip("S1", "walk", "0", frames=11, filmed=film, start_s=0.5)
    with Spool(tmp_path) as spool:
        one = spooled(spool, given)
        for kind, write in FORMS.items():
            write(tmp_path / f"a.{kind}", one)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        arrays = dict(file)
    plain = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert set(arrays) == set(plain) == {*facts_of(one), "time_s", "poses", "seen", "frame_number", "root_m"}
    assert np.array_equal(arrays["poses"], given.poses.numpy()) and arrays["poses"].dtype == np.float32
    assert np.array_equal(arrays["root_m"], film.roots.numpy()) and np.array_equal(arrays["seen"], given.seen.numpy())
    assert plain["frame_number"] == arrays["frame_number"].tolist() == film.frames.tolist()
    assert plain["time_s"] == pytest.approx(arrays["time_s"])
    assert arrays["time_s"] == pytest.approx(0.5 + np.arange(11) / 25)
    whole = format_bvh(bvh_of_poses(given.poses, BODY, 25.0))
    assert (tmp_path / "a.bvh").read_text(encoding="utf-8") == whole


def test_bones_of_a_long_clip_are_the_median_of_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_forms, "MEDIAN_OF", 3)
    long = clip("a", "", "", frames=8)
    long = attrs.evolve(long, poses=long.poses * (1 + 0.1 * torch.arange(8)[:, None, None]))
    with Spool(tmp_path) as spool:
        FORMS["bvh"](tmp_path / "a.bvh", spooled(spool, long))
    hip = standard_lengths(BODY)[BODY.index("left_hip")] * 1.3  # the middle of poses 0, 3 and 6
    offsets = [line.split()[1:] for line in (tmp_path / "a.bvh").read_text().splitlines() if "OFFSET" in line]
    assert any(float(x) == pytest.approx(float(hip), abs=1e-5) for x, *_ in offsets)


@pytest.mark.parametrize("kind", FORMS)
def test_memory_does_not_grow_with_the_clip(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Peaks of what Python and numpy allocate while a clip is written, and one seven times as long."""
    monkeypatch.setattr(pose_spool, "BLOCK", 64)
    monkeypatch.setattr(clip_forms, "MEDIAN_OF", 64)
    peaks = []
    with Spool(tmp_path) as spool:
        for frames in (100, 100, 700):  # the first warms up
            one = spooled(spool, clip("a", "", "", frames=frames))
            tracemalloc.start()
            FORMS[kind](tmp_path / f"a.{kind}", one)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[2] < 1.3 * peaks[1] + 50_000, peaks
