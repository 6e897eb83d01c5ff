"""A run directory as the runner leaves it, with made-up but plausible content."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sa3dhp_core.cards import skeleton

ROWS = {
    "constant pose": (200.3, 148.0, 0.0),
    "source-only": (139.1, 107.3, 0.71),
    "light rehearsal": (140.5, 108.1, 0.72),
    "strong source augmentation": (84.9, 69.7, 0.93),
    "statistics re-estimated": (119.4, 97.2, 0.80),
    "published +LCR": (137.9, 106.0, 0.71),
    "published +LCR+HCR": (136.4, 105.2, 0.72),
    "published +all": (129.5, 100.9, 0.75),
    "adapted +z": (88.2, 74.0, 0.88),
    "adapted": (79.0, 66.3, 0.91),
    "oracle": (67.9, 57.5, 0.97),
}

KINDS = {
    "constant pose": "constant",
    "source-only": "source",
    "light rehearsal": "source",
    "strong source augmentation": "source",
    "statistics re-estimated": "statistics",
    "oracle": "oracle",
}


def records(seeds: tuple[int, ...] = (0,)) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []

    def add(row: str, protocol: str, split: str, value: float, unit: str, seed: int) -> None:
        keys = {"row": row, "protocol": protocol, "split": split, "value": value, "unit": unit}
        found.append({**keys, "seed": seed, "recipe_digest": "3f2a"})

    for seed in seeds:
        for row, (mpjpe, aligned, spread) in ROWS.items():
            for split, shift in (("target-validation", -1.5), ("target-test", 0.0)):
                add(row, "mpjpe-root", split, mpjpe + shift + 2.0 * seed, "mm", seed)
                add(row, "pa-mpjpe", split, aligned + shift + seed, "mm", seed)
                add(row, "spread", split, spread, "", seed)
        for row, factor in (("source-only", 1.0), ("adapted", 1.06)):
            add(row, "mpjpe-root", "source-test", 56.2 * factor + seed, "mm", seed)
            add(row, "pa-mpjpe", "source-test", 44.0 * factor + seed, "mm", seed)
        add("pose auto-encoder", "mpjpe-root", "latent:test", 21.4, "mm", seed)
        add("motion auto-encoder", "mpjpe-root", "latent:test", 23.0, "mm", seed)
    return found


def standing_pose() -> np.ndarray:
    """An upright person in the camera frame (y down), metres, root in the origin."""
    card = skeleton()
    down, up = np.array([0.0, 1.0, 0.0]), np.array([0.0, -1.0, 0.0])
    directions = {
        **{f"{side}_{joint}": down for side in ("left", "right") for joint in ("knee", "ankle")},
        **{joint: up for joint in ("spine", "thorax", "neck", "head")},
        "left_hip": np.array([1.0, 0.0, 0.0]),
        "right_hip": np.array([-1.0, 0.0, 0.0]),
        "left_shoulder": np.array([1.0, 0.0, 0.0]),
        "right_shoulder": np.array([-1.0, 0.0, 0.0]),
        "left_elbow": np.array([0.6, 0.8, 0.0]),
        "left_wrist": np.array([0.2, 0.4, -0.9]),
        "right_elbow": np.array([-0.7, 0.7, 0.0]),
        "right_wrist": np.array([-0.2, -0.9, -0.3]),
    }
    pose = np.zeros((len(card), 3))
    for joint in card.bones:
        name = card.joints[joint]
        direction = directions[name] / np.linalg.norm(directions[name])
        pose[joint] = pose[card.parent_indices[joint]] + card.bone_lengths_m[name] * direction
    return pose


def write_run(folder: Path, seeds: tuple[int, ...] = (0,), crops: int = 8) -> Path:
    """Write every file that a report reads; returns the folder."""
    card, draw = skeleton(), np.random.default_rng(0)
    (folder / "analysis").mkdir(parents=True, exist_ok=True)
    results = {"recipe": "sa3dhp-world", "digest": "3f2a9c41d7e0", "seed": seeds[0], "records": records(seeds)}
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "recipe.toml").write_text(
        '# the resolved recipe\nmethod = "self-adaptation"\nseed = 0\n\n[data.target]\nuse = "world"\nlook = "mild"\n\n'
        '[[relations]]\nuse = "spatial"\nangle = 50.0\nmirror = true\n\n[[losses]]\nuse = "non-local"\nweight = 0.3\n\n'
        + "".join(f'[[rows]]\nname = "{row}"\nkind = "{KINDS.get(row, "adapt")}"\n' for row in ROWS)
    )
    environment = {
        "python": "3.11.9",
        "packages": {"torch": "2.13.0+cpu", "sa3dhp": "0.1.0"},
        "git": {"commit": "a6f9544", "clean": True},
        "hardware": {"cpus": 2, "devices": ["cpu"]},
    }
    (folder / "environment.json").write_text(json.dumps(environment))
    with (folder / "metrics.jsonl").open("w") as file:
        for stage, names in {
            "pose_prior": ("loss/autoencoder", "loss/discriminator", "accuracy"),
            "encoder": ("loss/source",),
            "row-adapted": ("loss/adaptation", "source", "relation", "prior", "latent_scale", "validation_mpjpe_mm"),
        }.items():
            for step in range(10, 1510, 10):
                scalars = {
                    name: (k + 1) * (0.2 + np.exp(-step / 300)) + 0.02 * draw.normal() for k, name in enumerate(names)
                }
                file.write(
                    json.dumps({"stage": stage, "step": step, "time": step / 7, "steps_per_s": 7.0, **scalars}) + "\n"
                )
    distances = {"in-plane 5": 0.08, "mirror": 0.71, "in-plane 50": 0.74, "flip @ rotate(50)": 0.97, "backward": 0.18}
    entries = [
        {"relation": name, "space": "z", "distance": 2.6 * d, "relative": d, "network_error_mm": 18.0 + 10 * d}
        for name, d in list(distances.items())[:4]
    ] + [
        {"relation": name, "space": "v", "distance": 3.3 * d, "relative": d, "network_error_mm": None}
        for name, d in {"backward": 0.18, "flip @ backward": 0.84, "slow @ backward": 0.9, "mirror": 0.8}.items()
    ]
    (folder / "analysis/latent_distance.json").write_text(json.dumps(entries))
    weights = 0.4 + np.linalg.norm(standing_pose(), axis=1)
    joints = {
        row: {"joints": list(card.joints), "mpjpe_mm": list(mpjpe * weights / weights.mean())}
        for row, (mpjpe, _, _) in ROWS.items()
    }
    (folder / "analysis/per_joint.json").write_text(json.dumps(joints))
    angles = np.linspace(0, 2 * np.pi, crops, endpoint=False)
    turns = np.stack([[[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]] for a in angles])
    truth = np.einsum("kab,jb->kja", turns, standing_pose()) + 0.03 * draw.normal(size=(crops, len(card), 3))
    rows = {"source-only": 0.09, "adapted": 0.045, "strong source augmentation": 0.055, "oracle": 0.035}
    predictions = {f"pred/{row}": truth + noise * draw.normal(size=truth.shape) for row, noise in rows.items()}
    np.savez(
        folder / "analysis/samples.npz",
        images=np.stack([_crop(pose) for pose in truth]),
        truth=truth.astype(np.float32),
        joints=np.array(card.joints),
        parents=np.array(card.parent_indices),
        **{name: poses.astype(np.float32) for name, poses in predictions.items()},
    )
    return folder


def _crop(pose: np.ndarray, size: int = 64) -> np.ndarray:
    """A blob picture of the pose: dots along its bones on a sky-to-ground background."""
    image = np.repeat(np.linspace(200, 90, size)[:, None, None], size, axis=1) * np.array([0.8, 0.9, 1.0])
    middle = (pose.min(axis=0) + pose.max(axis=0)) / 2
    for joint, parent in enumerate(skeleton().parent_indices):
        for part in np.linspace(0, 1, 24):
            x, y = (size / 2 + (pose[joint] * part + pose[parent] * (1 - part) - middle)[:2] * size / 2.1).astype(int)
            image[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = (190, 80, 60) if joint % 2 else (60, 70, 130)
    return image.astype(np.uint8)


@pytest.fixture(scope="session")
def whole_run() -> Callable[..., Path]:
    """The function that writes a complete run directory."""
    return write_run


@pytest.fixture(scope="session")
def made_up_records() -> Callable[..., list[dict[str, object]]]:
    """The function that makes the records of `whole_run`."""
    return records
