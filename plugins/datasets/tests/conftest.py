"""Small inputs in the real formats: a rig of a person as BVH, an npz of motion, videos written with PyAV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from sa3dhp_datasets.bvh_file import Bvh, BvhJoint, format_bvh

MOCAP = Path(__file__).resolve().parents[4] / "shared" / "data" / "mocap"
ROTATIONS = ("Zrotation", "Xrotation", "Yrotation")
POSITIONS = ("Xposition", "Yposition", "Zposition")
# name, parent, offset in metres (y up)
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


@pytest.fixture(scope="session")
def mocap() -> Path:
    """The folder of recorded motion, where the workplace has it."""
    if not (MOCAP / "bandai_namco_1.npz").is_file():
        pytest.skip(f"no motion capture at {MOCAP}")
    return MOCAP


@pytest.fixture(scope="session")
def person() -> Callable[..., Bvh]:
    """``person(unit_m, frames, prefix)``: a standing person whose limbs swing, root-6 others-3."""

    def build(unit_m: float = 0.01, frames: int = 12, prefix: str = "", fps: float = 30.0) -> Bvh:
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
        phase = np.arange(frames)[:, None] / fps * 4 + np.arange(width)[None]
        values = 20 * np.sin(phase)
        values[:, :3] = np.asarray([0.3, 0.95, -0.2]) / unit_m
        return Bvh(joints, 1 / fps, values)

    return build


@pytest.fixture(scope="session")
def person_text(person: Callable[..., Bvh]) -> Callable[..., str]:
    """`person` as the text of a file."""
    return lambda **keys: format_bvh(person(**keys))


@pytest.fixture
def npz_file(tmp_path: Path) -> Callable[..., Path]:
    """``npz_file(name, **replaced)``: twelve clips of 20 frames; an array replaced by None is left out."""

    def write(name: str = "motion.npz", **replaced: Any) -> Path:
        generator = np.random.default_rng(0)
        names = ["Hip RHip RKnee RFoot LHip LKnee LFoot Spine Thorax Neck/Nose Head".split()]
        arms = "LShoulder LElbow LWrist RShoulder RElbow RWrist".split()
        arrays: dict[str, Any] = {
            "positions": generator.normal(size=(240, 17, 3)).astype(np.float32),
            "clip_start": np.arange(0, 241, 20),
            "clip_names": np.array([f"set_{c}_{i:03d}" for c in ("walk", "run", "jump") for i in range(4)]),
            "fps": np.array(30.0),
            "joints": np.array(names[0] + arms),
        } | replaced
        path = tmp_path / name
        np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
        return path

    return write


@pytest.fixture(scope="session")
def write_video() -> Callable[..., None]:
    """``write_video(path, pictures, fps)``: an mp4 of ``(H, W, 3)`` uint8 pictures."""

    def write(path: Path, pictures: list[NDArray[np.uint8]], fps: int = 20) -> None:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=fps, options={"crf": "8", "preset": "ultrafast"})
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())

    return write
