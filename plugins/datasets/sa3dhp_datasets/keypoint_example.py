"""Small keypoint files in the real formats, from which the conformance kit and the tests build the data sets."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sa3dhp_core.cards import skeleton
from sa3dhp_core.geometry import forward_kinematics, rotation_z, standard_lengths, viewpoint
from sa3dhp_datasets.lens import Lens

FRAMES, CLIPS, AWAY_M = 6, ("walk_1", "walk_2"), 4.0
SUBJECTS = ("S1", "S5", "S9")
LENS = {
    "focal_length": [1145.0, 1144.0],
    "center": [512.0, 515.0],
    "radial_distortion": [-0.207, 0.248, -0.003],
    "tangential_distortion": [-0.001, -0.0014],
}


def person(seed: int, frames: int = FRAMES) -> Tensor:
    """``(frames, J, 3)`` root-relative, z up: someone who turns, limbs a little any which way."""
    body = skeleton()
    directions = 0.3 * torch.randn(len(body), 3, generator=torch.Generator().manual_seed(seed))
    for index, joint in enumerate(body.joints):
        directions[index, 2] += -1.0 if joint.endswith(("knee", "ankle")) else 1.0
    pose = forward_kinematics(torch.nn.functional.normalize(directions, dim=-1), standard_lengths(body), body)
    return pose @ rotation_z(torch.arange(frames) * 0.1).mT


def cameras() -> tuple[tuple[Lens, Tensor, list[float]], ...]:
    """Lens, rotation from the world and the file's quaternion of two cameras."""
    lens = Lens(*(np.array(LENS[key]) for key in LENS))
    found = []
    for azimuth in (0.0, 1.0):
        turn = viewpoint(torch.tensor(azimuth, dtype=torch.float64), 0.1)
        found.append((lens, turn, _quaternion(turn.T)))
    return tuple(found)


def _quaternion(matrix: Tensor) -> list[float]:
    """(w, x, y, z) of a rotation that is no half-turn."""
    m = matrix.tolist()
    w = math.sqrt(1 + m[0][0] + m[1][1] + m[2][2]) / 2
    return [w, (m[2][1] - m[1][2]) / (4 * w), (m[0][2] - m[2][0]) / (4 * w), (m[1][0] - m[0][1]) / (4 * w)]


def lifting_arrays() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Content of the three files: keypoints in pixels, truth in the world, cameras."""
    flat: dict[str, Any] = {}
    solid: dict[str, Any] = {}
    for number, (subject, clip) in enumerate((s, c) for s in SUBJECTS for c in CLIPS):
        poses = person(number)
        views = [_pixels(poses, lens, turn) for lens, turn, _ in cameras()]
        flat.setdefault(subject, {})[clip] = views
        solid.setdefault(subject, {})[clip] = poses.numpy()
    extrinsic = [{"orientation": quaternion, "translation": [0.0, 0.0, 0.0]} for _, _, quaternion in cameras()]
    return flat, solid, {"intrinsic": [LENS, LENS], "extrinsic": dict.fromkeys(SUBJECTS, extrinsic)}


def _pixels(poses: Tensor, lens: Lens, turn: Tensor) -> NDArray[np.float32]:
    placed = (poses.double() @ turn.T).numpy() + np.array([0.3, -0.2, AWAY_M])
    pixels: NDArray[np.float32] = lens.pixels(placed[..., :2] / placed[..., 2:]).astype(np.float32)
    return pixels


def write_lifting(folder: Path, flat: Any, solid: Any, rig: Any) -> Path:
    """Write the three files as VideoPose3D does (object arrays); what is None is left out."""
    for name, key, content in (("data_2d_toy_gt", "positions_2d", flat), ("data_3d_toy", "positions_3d", solid)):
        if content is not None:
            arrays: dict[str, Any] = {key: np.array(content, dtype=object)}
            np.savez(folder / f"{name}.npz", **arrays)
    if rig is not None:
        (folder / "cameras.json").write_text(json.dumps(rig), encoding="utf-8")
    return folder


def lifting(folder: Path) -> dict[str, Any]:
    """Table of `lifting-npz`."""
    write_lifting(folder, *lifting_arrays())
    return {"path": str(folder), "test": ["S9"], "validation_subjects": ["S5"], "licence": "own work"}


def projected(folder: Path) -> dict[str, Any]:
    """Table of `projected-poses`, over motion in npz files."""
    motion = np.concatenate([person(number).numpy() + np.array([0.0, 0.0, 0.9]) for number in range(3)])
    np.savez(
        folder / "motion.npz",
        positions=motion.astype(np.float32),
        clip_start=np.arange(4) * FRAMES,
        clip_names=np.array(["set_walk_1", "set_run_1", "set_sit_1"]),
        fps=np.array(30.0),
        joints=np.array(skeleton().joints),
    )
    held = {"validation_contents": ["run"], "test_contents": ["sit"]}
    return {"poses": {"use": "mocap-npz", "path": str(folder / "motion.npz"), "licence": "own work", **held}}
