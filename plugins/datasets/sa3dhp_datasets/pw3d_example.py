"""A small 3DPW: pickles as Python 2 writes them, pictures, a camera that walks about, for the kit and the tests."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sa3dhp_datasets.lens import Array, Lens
from sa3dhp_datasets.shots import projected
from sa3dhp_datasets.smpl_example import figure, picture, turns
from sa3dhp_datasets.smpl_joints import SMPL_24

FRAMES, WIDTH, HEIGHT, FOCAL_PX = 8, 120, 160, 170.0
INVALID = 3
"""A picture whose camera was aligned to nobody."""

SEQUENCES = {
    "train/courtyard_arguing_00": (0.3, 1.9),
    "validation/outdoors_golf_00": (0.8,),
    "test/downtown_walkUphill_01": (1.4,),
}
"""Split and name to the moment of the sway of each person."""

LENS = Lens(np.array([FOCAL_PX, FOCAL_PX + 1]), np.array([WIDTH / 2, HEIGHT / 2]))
OPENPOSE = ("Head", "", *(f"{s}_{p}" for s in "RL" for p in ("Shoulder", "Elbow", "Wrist")))
OPENPOSE += tuple(f"{s}_{p}" for s in "RL" for p in ("Hip", "Knee", "Ankle")) + ("Head",) * 4
"""Joints of SMPL in whose places the 18 are found; the neck lies between the shoulders."""


_Pickler: Any = pickle._Pickler


class _Python2(_Pickler):
    """Text as strings of bytes, and numpy's functions under the names that they had."""

    dispatch = dict(_Pickler.dispatch)

    def save_text(self, value: str | bytes) -> None:
        data = value.encode("latin1") if isinstance(value, str) else value
        self.write(b"U" + bytes([len(data)]) if len(data) < 256 else b"T" + struct.pack("<i", len(data)))
        self.write(data)
        self.memoize(value)

    def save_global(self, value: Any, name: str | None = None) -> None:
        module = value.__module__.replace("numpy._core", "numpy.core")
        self.write(f"c{module}\n{name or value.__name__}\n".encode())
        self.memoize(value)

    dispatch[str] = save_text
    dispatch[bytes] = save_text


def python2_pickle(value: object) -> bytes:
    """A pickle of protocol 2 as Python 2 writes it."""
    stream = io.BytesIO()
    _Python2(stream, protocol=2).dump(value)
    return stream.getvalue()


def cameras(frames: int) -> Array:
    """``(T, 4, 4)`` from a world with y up into a camera that walks around the origin and leans."""
    found = np.tile(np.eye(4), (frames, 1, 1))
    for number in range(frames):
        angle = 0.4 + 0.08 * number
        place = np.array([3.9 * np.sin(angle), 1.1 + 0.02 * number, 3.9 * np.cos(angle)])
        forward = np.array([0.0, 0.85, 0.0]) - place
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.05 * np.sin(number), 1.0, 0.0])
        right /= np.linalg.norm(right)
        found[number, :3, :3] = right, np.cross(forward, right), forward
        found[number, :3, 3] = -found[number, :3, :3] @ place
    return found


def sequence(name: str, phases: Sequence[float], frames: int = FRAMES) -> tuple[dict[str, Any], list[Array]]:
    """The content of a sequence's file, and where its people's joints ``(T, 24, 2)`` are in the pictures."""
    people, turned = len(phases), cameras(frames)
    beside = np.linspace(-0.5, 0.5, people) if people > 1 else np.zeros(1)
    solid = [figure(frames, phase) + np.array([x, 0.0, 0.0]) for phase, x in zip(phases, beside, strict=True)]
    flat = [projected(joints @ turned[:, :3, :3].swapaxes(1, 2) + turned[:, None, :3, 3], LENS) for joints in solid]
    valid = [np.ones(frames, np.uint8) for _ in phases]
    for flags in valid:
        flags[INVALID] = 0
    turned[INVALID] = 0.0
    content = {
        "sequence": name,
        "genders": ["m", "f"][:people],
        "betas": [np.zeros(10) for _ in phases],
        "poses": [turns(frames, phase).reshape(frames, 72) for phase in phases],
        "trans": [joints[:, 0] for joints in solid],
        "poses_60Hz": [turns(2 * frames, phase).reshape(-1, 72) for phase in phases],
        "trans_60Hz": [joints[:, 0].repeat(2, axis=0) for joints in solid],
        "betas_clothed": [np.zeros(10) for _ in phases],
        "jointPositions": [joints.reshape(frames, 72) for joints in solid],
        "poses2d": [_detected(points) for points in flat],
        "campose_valid": valid,
        "cam_poses": turned,
        "cam_intrinsics": np.array(
            [[LENS.focal_px[0], 0.0, WIDTH / 2], [0.0, LENS.focal_px[1], HEIGHT / 2], [0.0, 0.0, 1.0]]
        ),
        "img_frame_ids": 2 * np.arange(frames),
    }
    return content, flat


def _detected(points: Array) -> Array:
    """``(T, 3, 18)``: x, y, confidence; the left ankle is not found in the second picture, nobody in the fifth."""
    found = np.empty((len(points), 3, len(OPENPOSE)))
    for column, name in enumerate(OPENPOSE):
        places = [SMPL_24.index(joint) for joint in ([name] if name else ["L_Shoulder", "R_Shoulder"])]
        found[:, :2, column] = points[:, places].mean(axis=1)
    found[:, 2] = 0.8
    found[1, :, OPENPOSE.index("L_Ankle")] = found[4] = 0.0
    return found


def pw3d(folder: Path) -> dict[str, Any]:
    """Three sequences, the first of two people."""
    for title, phases in SEQUENCES.items():
        split, name = title.split("/")
        content, flat = sequence(name, phases)
        path, pictures = folder / "sequenceFiles" / split / f"{name}.pkl", folder / "imageFiles" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(python2_pickle(content))
        pictures.mkdir(parents=True)
        for number in range(FRAMES):
            shown = picture([points[number] for points in flat], WIDTH, HEIGHT)
            Image.fromarray(shown).save(pictures / f"image_{number:05d}.jpg", quality=95, subsampling=0)
    return {"path": str(folder)}
