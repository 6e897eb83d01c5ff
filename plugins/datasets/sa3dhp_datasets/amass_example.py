"""A small AMASS in both releases, with a body model of few vertices made up for it, for the kit and the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sa3dhp_datasets.body_model import JOINTS, PARENTS

REST = {
    "L_Hip": (0.07, -0.09, 0.0),
    "R_Hip": (-0.07, -0.09, 0.0),
    "Spine1": (0.0, 0.12, -0.02),
    "L_Knee": (0.03, -0.38, 0.0),
    "R_Knee": (-0.03, -0.38, 0.0),
    "Spine2": (0.0, 0.14, 0.0),
    "L_Ankle": (0.0, -0.4, -0.03),
    "R_Ankle": (0.0, -0.4, -0.03),
    "Spine3": (0.0, 0.06, 0.0),
    "L_Foot": (0.03, -0.06, 0.12),
    "R_Foot": (-0.03, -0.06, 0.12),
    "Neck": (0.0, 0.21, -0.03),
    "L_Collar": (0.08, 0.11, -0.02),
    "R_Collar": (-0.08, 0.11, -0.02),
    "Head": (0.0, 0.09, 0.05),
    "L_Shoulder": (0.1, 0.04, 0.0),
    "R_Shoulder": (-0.1, 0.04, 0.0),
    "L_Elbow": (0.26, 0.0, 0.0),
    "R_Elbow": (-0.26, 0.0, 0.0),
    "L_Wrist": (0.25, 0.0, 0.0),
    "R_Wrist": (-0.25, 0.0, 0.0),
}
"""From each joint's parent to it, the body at rest with arms to the sides, metres, y up."""

FAMILY_JOINTS = {"smplh": 52, "smplx": 55}


def model_arrays(kind: str = "smplh", components: int = 16) -> dict[str, Any]:
    """The arrays of a body model: two vertices at each joint, whose mean it is; fingers and faces at the wrists."""
    count, generator = FAMILY_JOINTS[kind], np.random.default_rng(0)
    rest = np.zeros((count, 3))
    parents = [*PARENTS, *([20] * (count - len(PARENTS)))]
    for index, name in enumerate(JOINTS[1:], 1):
        rest[index] = rest[parents[index]] + REST[name]
    rest[len(JOINTS) :] = rest[20]
    apart = 0.02 * generator.normal(size=(count, 3))
    regressor = np.zeros((count, 2 * count))
    regressor[np.arange(count), np.arange(count)] = regressor[np.arange(count), count + np.arange(count)] = 0.5
    return {
        "v_template": np.concatenate([rest + apart, rest - apart]),
        "shapedirs": 0.004 * generator.normal(size=(2 * count, 3, components)),
        "J_regressor": regressor,
        "kintree_table": np.array([np.array(parents) % 2**32, np.arange(count)], dtype=np.uint32),
        "weights": np.full((2 * count, count), 1 / count),
        "posedirs": np.zeros((2 * count, 3, 9 * (count - 1))),
        "f": np.zeros((1, 3), dtype=np.uint32),
    }


def motion_arrays(release: str = "smplh", frames: int = 24, seed: int = 0) -> dict[str, Any]:
    """The arrays of a motion file, under the release's own names: someone upright who sways."""
    generator, count = np.random.default_rng(seed), FAMILY_JOINTS[release]
    time = np.arange(frames)[:, None] / 30.0
    poses = 0.15 * np.sin(3 * time + generator.uniform(0, 6, 3 * count)[None])
    poses[:, :3] = [np.pi / 2, 0.0, 0.0] + 0.05 * poses[:, :3]
    trans = np.stack([0.3 * time[:, 0], 0 * time[:, 0], 0.9 + 0 * time[:, 0]], axis=-1)
    both = {"trans": trans, "betas": generator.normal(size=16), "poses": poses}
    if release == "smplh":
        facts = {"gender": np.array("male"), "mocap_framerate": np.array(120.0), "dmpls": np.zeros((frames, 8))}
        return both | facts
    return both | {
        "gender": np.array("neutral"),
        "surface_model_type": np.array("smplx"),
        "mocap_frame_rate": np.array(120.0),
        "mocap_time_length": np.array(frames / 120.0),
        "num_betas": np.array(16),
        "root_orient": poses[:, :3],
        "pose_body": poses[:, 3:66],
        "pose_jaw": poses[:, 66:69],
        "pose_eye": poses[:, 69:75],
        "pose_hand": poses[:, 75:],
    }


def amass(folder: Path) -> dict[str, Any]:
    """Three motions of two sets, a shape file that is no motion, and the model in a folder of its own."""
    data, models = folder / "amass", folder / "models"
    models.mkdir(parents=True)
    np.savez(models / "model.npz", **model_arrays())
    for seed, name in enumerate(("CMU/01/01_01", "ACCAD/Male1/walk", "SFU/0005/jump")):
        path = data / f"{name}_poses.npz"
        path.parent.mkdir(parents=True)
        np.savez(path, **motion_arrays(seed=seed))
    np.savez(data / "CMU" / "01" / "shape.npz", betas=np.zeros(16))
    table = {"validation_contents": ["ACCAD"], "test_contents": ["SFU"]}
    return {"path": str(data), "body_model": str(models / "model.npz"), **table}
