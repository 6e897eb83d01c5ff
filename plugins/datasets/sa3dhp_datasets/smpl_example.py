"""A small figure of SMPL's 24 joints that sways, unlike on its two sides, and pictures of it, for examples."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sa3dhp_datasets.amass_example import REST
from sa3dhp_datasets.body_model import joints_in_motion
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.smpl_joints import PARENTS_24, SMPL_24

BENT = {
    "L_Hip": (-0.4, 0.0, 0.1),
    "R_Hip": (-0.3, 0.0, 0.0),
    "L_Knee": (0.8, 0.0, 0.0),
    "R_Knee": (0.6, 0.0, 0.0),
    "L_Shoulder": (0.0, 0.0, -1.1),
    "R_Shoulder": (0.0, 0.0, -1.2),
    "L_Elbow": (0.0, -0.4, 0.0),
    "R_Elbow": (0.0, 0.2, -0.2),
}
"""Axis times angle: knees bent, the right arm raised, the left one hanging."""

COLOURS = [tuple(round(255 * part) for part in colorsys.hsv_to_rgb(n * 0.382 % 1, 0.9, 0.95)) for n in range(24)]
"""Of each joint's disc."""

GREY = 40


def rest() -> Array:
    """``(24, 3)`` metres, y up, facing z, the left side at +x, the pelvis at the origin."""
    offsets = REST | {"L_Hand": (0.08, 0.0, 0.0), "R_Hand": (-0.08, 0.0, 0.0)}
    joints = np.zeros((24, 3))
    for index, name in enumerate(SMPL_24[1:], 1):
        joints[index] = joints[PARENTS_24[index]] + offsets[name]
    return joints


def turns(frames: int, phase: float) -> Array:
    """``(T, 24, 3)`` axis times angle, in another moment of the sway for each phase."""
    time = 0.3 * np.arange(frames)[:, None, None] + phase
    found = 0.06 * np.sin(time + np.arange(72).reshape(24, 3))
    for name, bend in BENT.items():
        found[:, SMPL_24.index(name)] += bend
    found[:, 0] = [0.0, 0.5 * phase - 0.3, 0.0]
    return found


def figure(frames: int, phase: float) -> Array:
    """``(T, 24, 3)`` metres, y up, standing about the origin."""
    places = np.tile([0.0, 0.85, 0.1 * phase], (frames, 1))
    return joints_in_motion(rest(), turns(frames, phase), places, PARENTS_24)[0]


def model_arrays() -> dict[str, Any]:
    """The arrays of an SMPL model: two vertices at each joint, whose mean it is, carried by it and a little by all."""
    generator, place = np.random.default_rng(0), rest()
    apart = 0.02 * generator.normal(size=(24, 3))
    half = 0.5 * np.eye(24)
    skin = np.tile(np.eye(24), (2, 1)) + 0.02 * generator.random((48, 24))
    return {
        "v_template": np.concatenate([place + apart, place - apart]),
        "shapedirs": 0.004 * generator.normal(size=(48, 3, 10)),
        "posedirs": 0.002 * generator.normal(size=(48, 3, 207)),
        "weights": skin / skin.sum(1, keepdims=True),
        "J_regressor": np.concatenate([half, half], axis=1),
        "kintree_table": np.array([np.array(PARENTS_24) % 2**32, np.arange(24)], dtype=np.uint32),
    }


def picture(people: list[Array], width: int, height: int) -> NDArray[np.uint8]:
    """``(H, W, 3)`` with a disc of `COLOURS` at each of the people's joints ``(24, 2)``, pixels."""
    y, x = np.mgrid[:height, :width] + 0.5
    shown = np.full((height, width, 3), GREY, dtype=np.uint8)
    for points in people:
        for colour, (u, v) in zip(COLOURS, points, strict=True):
            shown[(x - u) ** 2 + (y - v) ** 2 < 2.5**2] = colour
    return shown
