"""The 24 joints of SMPL as data sets write them, and the top of the head, which SMPL lacks. Reads no file."""

from __future__ import annotations

import numpy as np

from sa3dhp_datasets.body_model import JOINTS, PARENTS
from sa3dhp_datasets.joint_names import table
from sa3dhp_datasets.lens import Array

SMPL_24 = (*JOINTS, "L_Hand", "R_Hand")
PARENTS_24 = (*PARENTS, 20, 21)


def with_head_top(joints: Array) -> Array:
    """``(T, 24, 3)`` to ``(T, 25, 3)``: the last is what cards call Head_Top, beyond it as in the rig `smpl`."""
    neck, head = joints[:, SMPL_24.index("Neck")], joints[:, SMPL_24.index("Head")]
    along = head - neck
    length_m = table("rigs.toml")["smpl"]["joints"]["head"]["distance_m"]
    with np.errstate(over="ignore", invalid="ignore"):
        top = head + length_m * along / np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-9)
    return np.concatenate([joints, top[:, None]], axis=1)
