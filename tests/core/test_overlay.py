"""Skeletons in pictures: everyone who is in a picture is drawn, however the poses came."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sa3dhp_core import pose_spool
from sa3dhp_core.cards import skeleton
from sa3dhp_core.overlay import COLOURS, painter, side_of
from sa3dhp_core.pose_spool import Spool
from sa3dhp_core.protocols.people import Draw
from sa3dhp_core.protocols.prediction import Filmed
from tests.broken.image_data import Flipbook
from tests.core.test_canvas import blank
from tests.core.test_pose_spool import spooled
from tests.core.test_predictions import clip

BODY = skeleton()


def test_sides_are_the_skeletons() -> None:
    found = {name: side_of(BODY, number) for number, name in enumerate(BODY.joints)}
    assert {name for name, side in found.items() if side == "left"} == {left for left, _ in BODY.pairs}
    assert found[BODY.root] == "middle" and set(COLOURS) == set(found.values())


def drawn(draw: Draw, number: int) -> bool:
    """Whether picture `number` is drawn upon."""
    canvas = blank(16, 16)
    draw(number, canvas)
    return bool((canvas.luma != 128).any())


@pytest.mark.parametrize("block", [1, 2, 1024])
def test_between_two_moments_the_earlier_pose_is_drawn(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pose_spool, "BLOCK", block)
    film, roots = Flipbook(), torch.tensor([[-9.0, 0, 4], [0, 0, 4], [9, 0, 4]])  # the first is left of the picture
    moments = torch.tensor([2, 4, 6])
    moving = clip("a", "", "", frames=3, filmed=Filmed(film, moments, roots))
    resting = clip("b", "", "", frames=3, filmed=Filmed(film, moments, roots[1].expand(3, 3)))
    with Spool(tmp_path) as spool:
        of_moving, of_resting = (painter([spooled(spool, who)]) for who in (moving, resting))
        assert [number for number in range(9) if drawn(of_moving, number)] == [4, 5]
        assert [number for number in range(9) if drawn(of_resting, number)] == [2, 3, 4, 5, 6]
        both = painter([spooled(spool, moving), spooled(spool, resting)])
        assert [number for number in (0, 3, 7, 8) if drawn(both, number)] == [3], "pictures may be left out"


def test_lines_are_where_the_joints_are(tmp_path: Path) -> None:
    film = Flipbook()
    roots = torch.tensor([[0.0, 0.0, 4.0]])
    person = clip("a", "", "", frames=1, filmed=Filmed(film, torch.tensor([0]), roots))
    canvas = blank(16, 16)
    with Spool(tmp_path) as spool:
        painter([spooled(spool, person)])(0, canvas)
    places = (person.poses[0] + roots).double() @ film.intrinsics.double().mT
    points = (places[:, :2] / places[:, 2:]).numpy()
    rows, columns = np.nonzero(canvas.luma != 128)
    assert len(rows) and columns.min() > points[:, 0].min() - 5 and columns.max() < points[:, 0].max() + 5
    assert rows.min() > points[:, 1].min() - 5 and rows.max() < points[:, 1].max() + 5
