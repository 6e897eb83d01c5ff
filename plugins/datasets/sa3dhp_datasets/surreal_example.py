"""A small SURREAL: MATLAB files with all the variables of the real ones, and videos, for the kit and the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from sa3dhp_datasets.example import write_video
from sa3dhp_datasets.lens import Array
from sa3dhp_datasets.shots import projected
from sa3dhp_datasets.smpl_example import figure, picture, turns
from sa3dhp_datasets.surreal import HEIGHT, LENS, WIDTH, into_camera

CLIPS = {
    "train/run0/01_01/01_01_c0001": (6, 0.2),
    "train/run1/ung_104_05/ung_104_05_c0002": (1, 0.9),
    "val/run0/02_03/02_03_c0001": (4, 1.3),
    "test/run2/02_04/02_04_c0001": (4, 1.8),
}
"""Place of each clip to its frames and the moment of the sway."""

FACING = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
"""From a world with y up into Blender's: upwards is -y, the figure looks along +x, to the camera."""


def clip(frames: int, phase: float) -> tuple[dict[str, Any], Array]:
    """The variables of a clip's file, and where the joints ``(T, 24, 2)`` are in its pictures."""
    joints = figure(frames, phase) @ FACING.T
    place = joints[0, 0] + np.array([7.3, 0.1, -0.2])
    flat = projected(into_camera(joints, place), LENS)
    names = np.full((1, frames), "textures/female/nongrey_female_0001.jpg", dtype=object)
    content = {
        "bg": names,
        "camDist": np.array([[7.3]], np.float32),
        "camLoc": place[:, None].astype(np.float32),
        "clipNo": 1.0,
        "cloth": names,
        "gender": np.zeros((frames, 1), np.uint8),
        "joints2D": np.round(flat).transpose(2, 1, 0).astype(np.float32),
        "joints3D": joints.transpose(2, 1, 0).astype(np.float32),
        "light": np.ones((9, 100), np.float32),
        "pose": turns(frames, phase).reshape(frames, 72).T.astype(np.float32),
        "shape": np.zeros((10, frames), np.float32),
        "source": "cmu",
        "stride": np.uint8(50),
        "zrot": np.zeros((frames, 1), np.float32),
    }
    if frames == 1:
        content |= {key: content[key][..., 0] for key in ("joints2D", "joints3D")}
    return content, flat


def surreal(folder: Path) -> dict[str, Any]:
    """Four clips, one of them of one frame."""
    for title, (frames, phase) in CLIPS.items():
        content, flat = clip(frames, phase)
        path = folder / "cmu" / f"{title}_info.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        savemat(path, content | {"sequence": path.name.removesuffix("_info.mat")}, do_compression=True)
        shown = [picture([points], WIDTH, HEIGHT) for points in flat]
        write_video(path.with_name(f"{title.split('/')[-1]}.mp4"), shown, fps=30)
    return {"path": str(folder)}
