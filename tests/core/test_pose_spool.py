"""Poses on disk: what goes in comes out in order, whatever the parts and blocks, and nothing is left in the folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sa3dhp_core import pose_spool
from sa3dhp_core.errors import DataError
from sa3dhp_core.pose_spool import Spool, SpooledClip
from sa3dhp_core.protocols.prediction import Filmed, Part, PosedClip
from tests.broken.image_data import Flipbook
from tests.core.test_predictions import clip, parts_of


def spooled(spool: Spool, whole: PosedClip) -> SpooledClip:
    """A clip that was added at once."""
    found = SpooledClip.begin(spool, whole)
    found.add(whole)
    return found


@given(
    lengths=st.lists(st.integers(1, 6), min_size=2, max_size=2),
    cuts=st.integers(1, 6),
    block=st.integers(1, 5),
    step=st.integers(1, 4),
)
def test_parts_of_several_clips_come_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], cuts: int, block: int, step: int
) -> None:
    clips = [
        clip(name, "", "", frames=frames, filmed=Filmed(Flipbook(), torch.arange(frames) + 3, torch.rand(frames, 3)))
        for name, frames in zip("ab", lengths, strict=True)
    ]
    folder = tmp_path_factory.mktemp("spool")
    with pytest.MonkeyPatch.context() as patch, Spool(folder) as spool:
        patch.setattr(pose_spool, "BLOCK", block)
        kept: dict[int, SpooledClip] = {}
        for part in parts_of(clips, cuts):
            assert part.part is not None
            kept.setdefault(part.part.clip, SpooledClip.begin(spool, part)).add(part)
        for given_clip, found in zip(clips, (kept[0], kept[1]), strict=True):
            rows = np.concatenate(list(found.blocks(step)))
            assert np.array_equal(rows["poses"], given_clip.poses[::step].numpy())
            assert np.array_equal(rows["seen"], given_clip.seen[::step].numpy())
            assert given_clip.filmed is not None
            assert np.array_equal(rows["root_m"], given_clip.filmed.roots[::step].numpy())
            assert rows["frame_number"].tolist() == given_clip.filmed.frames[::step].tolist()
            assert found.length == len(given_clip.poses) and found.unseen == int((~given_clip.seen).sum())
            assert found.span == (3, 2 + found.length) and len(found.facts.poses) == 0
    assert not list(folder.iterdir())


def test_a_part_that_is_not_the_next_is_refused(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool, pytest.raises(DataError, match="out of order"):
        spooled(spool, clip("a", "b", "", part=Part(0, 5)))
