"""Small inputs in the real formats, from which the conformance kit builds the data sets: one stick figure that sways.

Each function writes into a folder and returns the table that reads it; the tests of this plugin write by the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.bvh import Bvh, BvhJoint, format_bvh
from sa3dhp_core.cards import skeleton
from sa3dhp_datasets.bvh import convert
from sa3dhp_datasets.config import BvhConfig

ROTATIONS = ("Zrotation", "Xrotation", "Yrotation")
POSITIONS = ("Xposition", "Yposition", "Zposition")
PERSON = (
    ("Hips", -1, (0, 0.95, 0)),
    ("LeftUpLeg", 0, (0.1, -0.05, 0)),
    ("LeftLeg", 1, (0, -0.42, 0)),
    ("LeftFoot", 2, (0, -0.41, 0)),
    ("RightUpLeg", 0, (-0.1, -0.05, 0)),
    ("RightLeg", 4, (0, -0.42, 0)),
    ("RightFoot", 5, (0, -0.41, 0)),
    ("Spine", 0, (0, 0.1, 0)),
    ("Spine1", 7, (0, 0.15, 0)),
    ("Neck", 8, (0, 0.25, 0)),
    ("Head", 9, (0, 0.1, 0)),
    ("LeftArm", 8, (0.17, 0.2, 0)),
    ("LeftForeArm", 11, (0.28, 0, 0)),
    ("LeftHand", 12, (0.25, 0, 0)),
    ("RightArm", 8, (-0.17, 0.2, 0)),
    ("RightForeArm", 14, (-0.28, 0, 0)),
    ("RightHand", 15, (-0.25, 0, 0)),
)
"""Name, parent, offset in metres (y up)."""

SPLITS = ("set_walk_1", "set_walk_2", "set_walk_3")
"""Clips of the training, the validation and the test split."""

WIDTH, HEIGHT, FRAMES, FPS = 128, 96, 12, 20
FOCAL_PX, AWAY_M, DISC_PX = 130.0, 3.5, 2.5


def person(unit_m: float = 0.01, frames: int = 12, prefix: str = "", fps: float = 30.0, phase: float = 0.0) -> Bvh:
    """A standing person whose limbs swing, from where `phase` says: root with six channels, others with three."""
    joints = tuple(
        BvhJoint(
            prefix + name,
            parent,
            (offset[0] / unit_m, offset[1] / unit_m, offset[2] / unit_m),
            POSITIONS + ROTATIONS if parent < 0 else ROTATIONS,
        )
        for name, parent, offset in PERSON
    )
    width = 6 + 3 * (len(joints) - 1)
    swing = np.arange(frames)[:, None] / fps * 4 + np.arange(width)[None] + phase
    values = 20 * np.sin(swing)
    values[:, :3] = np.asarray([0.3, 0.95, -0.2]) / unit_m
    return Bvh(joints, 1 / fps, values)


def write_video(
    path: Path, pictures: Iterable[NDArray[np.uint8]], fps: int = FPS, crf: int = 8, preset: str = "ultrafast"
) -> None:
    """An mp4 of ``(H, W, 3)`` pictures, by x264 at a constant quality."""
    rest = iter(pictures)
    first = next(rest)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": str(crf), "preset": preset})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in chain([first], rest):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def bvh(folder: Path) -> dict[str, Any]:
    """Three BVH files."""
    for number, name in enumerate(SPLITS):
        (folder / f"{name}.bvh").write_text(format_bvh(person(phase=number)), encoding="utf-8")
    return {"path": str(folder), **_dealt("contents")}


def mocap_npz(folder: Path) -> dict[str, Any]:
    """One npz file of three clips."""
    clips = [standing(number) for number in range(len(SPLITS))]
    np.savez(
        folder / "motion.npz",
        positions=np.concatenate(clips).astype(np.float32),
        clip_start=np.cumsum([0, *map(len, clips)]),
        clip_names=np.array(SPLITS),
        fps=np.array(30.0),
        joints=np.array(skeleton().joints),
    )
    return {"path": str(folder / "motion.npz"), **_dealt("contents")}


def video_folder(folder: Path) -> dict[str, Any]:
    """Three videos of a figure of discs, with boxes and truth beside each."""
    for number, name in enumerate(SPLITS):
        write_footage(folder, name, _before_the_camera(standing(number), number))
    return {"path": str(folder), "size": 32, "fps": 10.0, **_dealt("videos")}


def write_footage(folder: Path, name: str, joints_m: NDArray[np.float64]) -> None:
    """``NAME.mp4``, ``NAME.boxes.jsonl`` and ``NAME.truth.npz`` of ``(T, J, 3)`` camera-frame joints, house order."""
    camera = np.array([[FOCAL_PX, 0, WIDTH / 2], [0, FOCAL_PX, HEIGHT / 2], [0, 0, 1]])
    points = joints_m @ camera.T
    points = points[..., :2] / points[..., 2:]
    write_video(folder / f"{name}.mp4", [picture_of(row) for row in points])
    lines = []
    for frame, row in enumerate(points):
        low, high = row.min(0), row.max(0)
        lines.append(json.dumps({"frame": frame, "track": 1, "box": [*low.tolist(), *(high - low).tolist()]}) + "\n")
    (folder / f"{name}.boxes.jsonl").write_text("".join(lines), encoding="utf-8")
    np.savez(
        folder / f"{name}.truth.npz",
        joints_camera_m=joints_m,
        keypoints_px=points,
        intrinsics=camera,
        fps=np.float64(FPS),
        joints=np.array(skeleton().joints),
    )


def _dealt(what: str) -> dict[str, Any]:
    """Keys that name the clips of validation and test."""
    return {f"validation_{what}": [SPLITS[1]], f"test_{what}": [SPLITS[2]]}


def standing(number: int) -> NDArray[np.float64]:
    """``(T, J, 3)`` metres, z up, house order; another moment of the swing for each number."""
    return convert(person(frames=FRAMES, phase=float(number)), "clip", BvhConfig(), "person").clip.positions


def _before_the_camera(positions: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """The same in a camera's frame, a little beside its axis."""
    seen = np.stack([positions[..., 0], -positions[..., 2], positions[..., 1]], axis=-1)
    return np.asarray(seen - seen.mean(axis=(0, 1)) + np.array([0.15 * (number - 1), 0.1, AWAY_M]))


def picture_of(points: NDArray[np.float64], width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """``(height, width, 3)``: a disc at each of a person's joints ``(J, 2)``, or of several people's in a row.

    Each joint has a colour of its own, and its disc's middle is at its pixel, the corner of the picture being (0, 0).
    """
    y, x = np.mgrid[:height, :width] + 0.5
    drawn = np.full((height, width, 3), 40, dtype=np.uint8)
    for number, (u, v) in enumerate(points):
        colour = number % len(skeleton())
        drawn[(x - u) ** 2 + (y - v) ** 2 < DISC_PX**2] = (60 + 11 * colour, 250 - 12 * colour, 200)
    return drawn
