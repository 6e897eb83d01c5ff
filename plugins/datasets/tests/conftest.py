"""Small inputs in the real formats: a rig of a person as BVH, an npz of motion, videos written with PyAV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sa3dhp_core.bvh import Bvh, format_bvh
from sa3dhp_datasets import example

MOCAP = Path(__file__).resolve().parents[4] / "shared" / "data" / "mocap"


@pytest.fixture(scope="session")
def mocap() -> Path:
    """The folder of recorded motion, where the workplace has it."""
    if not (MOCAP / "bandai_namco_1.npz").is_file():
        pytest.skip(f"no motion capture at {MOCAP}")
    return MOCAP


@pytest.fixture(scope="session")
def person() -> Callable[..., Bvh]:
    """``person(unit_m, frames, prefix)``: a standing person whose limbs swing, root-6 others-3."""
    return example.person


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
    return example.write_video
