"""BVH text: the form that tools expect, and files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sa3dhp_core.bvh import Bvh, BvhJoint, format_bvh, write_bvh

LIMB = Bvh(
    (
        BvhJoint("hip", -1, (0.0, 0.0, 0.0), ("Xposition", "Yposition", "Zposition", "Zrotation")),
        BvhJoint("knee", 0, (0.0, -0.45, 0.0), ("Zrotation", "Xrotation")),
        BvhJoint("knee.end", 1, (0.0, -0.44, 0.0), ()),
        BvhJoint("spine", 0, (0.0, 0.5, 0.0), ()),
    ),
    1 / 25,
    np.array([[1.0, 2.0, 3.0, 90.0, -0.125, 1e-6], [1.5, 2.0, 3.0, 0.0, 0.0, 0.0]]),
)

TEXT = """HIERARCHY
ROOT hip
{
  OFFSET 0.0 0.0 0.0
  CHANNELS 4 Xposition Yposition Zposition Zrotation
  JOINT knee
  {
    OFFSET 0.0 -0.45 0.0
    CHANNELS 2 Zrotation Xrotation
    End Site
    {
      OFFSET 0.0 -0.44 0.0
    }
  }
  JOINT spine
  {
    OFFSET 0.0 0.5 0.0
    CHANNELS 0 
  }
}
MOTION
Frames: 2
Frame Time: 0.04
1.0 2.0 3.0 90.0 -0.125 1e-06
1.5 2.0 3.0 0.0 0.0 0.0
"""


def test_text_has_the_form_of_the_format() -> None:
    assert format_bvh(LIMB) == TEXT


def test_a_file_is_whole_or_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bvh"
    write_bvh(path, LIMB)
    assert path.read_text() == TEXT

    with pytest.raises(TypeError):
        write_bvh(path, Bvh(LIMB.joints, 1 / 25, np.float64(1.0)))  # type: ignore[arg-type]
    assert [p.name for p in path.parent.iterdir()] == ["a.bvh"] and path.read_text() == TEXT
