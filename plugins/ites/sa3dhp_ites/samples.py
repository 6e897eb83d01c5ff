"""What a report shows of lifted poses: a few frames with keypoints, poses and truth, and errors by joint.

Frames are spread evenly over the split, so nobody chose them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sa3dhp_core.atomic import write_json, write_npz
from sa3dhp_core.types import Skeleton

SAMPLES, PIXELS = 8, 96
WIDTH_PX, SHARE = 1.8, 0.8
"""Half the width of a bone, and how much of a picture's side the keypoints fill."""

GROUND = (0.22, 0.22, 0.22)
LEFT, RIGHT, MIDDLE = (0.10, 0.45, 0.95), (0.95, 0.45, 0.05), (0.98, 0.98, 0.98)


def write_samples(folder: Path, keypoints: Tensor, truth: Tensor, rows: Mapping[str, Tensor], body: Skeleton) -> None:
    """Write ``samples.npz`` and ``per_joint.json``, which the report reads.

    Args:
        folder: the stage's ``analysis``.
        keypoints: ``(N, J, 2)``, NaN where unseen.
        truth: ``(N, J, 3)`` metres, root-relative.
        rows: poses ``(N, J, 3)`` by the name of their row.
        body: skeleton of all.
    """
    errors = {row: 1000 * (poses - truth).norm(dim=-1).mean(dim=0) for row, poses in rows.items()}
    write_json(
        folder / "per_joint.json",
        {row: {"joints": list(body.joints), "mpjpe_mm": error.tolist()} for row, error in errors.items()},
    )
    index = torch.linspace(0, len(truth) - 1, min(SAMPLES, len(truth))).long()
    arrays = {
        "images": drawn(keypoints[index], body).numpy(),
        "truth": truth[index].numpy(),
        "joints": np.array(body.joints),
        "parents": np.array(body.parent_indices),
        **{f"pred/{row}": poses[index].numpy() for row, poses in rows.items()},
    }
    write_npz(folder / "samples.npz", arrays)


def drawn(keypoints: Tensor, body: Skeleton) -> Tensor:
    """Bones between keypoints ``(K, J, 2)`` as pictures ``(K, PIXELS, PIXELS, 3)`` uint8; none to what was not seen.

    Left limbs are blue, right ones orange.
    """
    low = keypoints.nan_to_num(torch.inf).amin(dim=1, keepdim=True)
    high = keypoints.nan_to_num(-torch.inf).amax(dim=1, keepdim=True)
    side = (high - low).amax(dim=-1, keepdim=True)
    pixels = PIXELS * (0.5 + SHARE * (keypoints - 0.5 * (low + high)) / side)
    grid = torch.stack(torch.meshgrid(*(torch.arange(PIXELS) + 0.5,) * 2, indexing="xy"), dim=-1)
    colours = {joint: colour for pair in body.pairs for joint, colour in zip(pair, (LEFT, RIGHT), strict=True)}
    picture = torch.tensor(GROUND).expand(len(pixels), PIXELS, PIXELS, 3)
    for joint in body.bones:
        start, end = pixels[:, body.parent_indices[joint]], pixels[:, joint]
        cover = (WIDTH_PX - _distance(grid, start, end)).clamp(0, 1).nan_to_num(0.0)[..., None]
        picture = torch.lerp(picture, torch.tensor(colours.get(body.joints[joint], MIDDLE)), cover)
    return (255 * picture).round().to(torch.uint8)


def _distance(grid: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """How far places ``(H, W, 2)`` are from the lines between ``(K, 2)`` points, ``(K, H, W)``."""
    start, along = start[:, None, None], (end - start)[:, None, None]
    share = ((grid - start) * along).sum(-1) / along.square().sum(-1).clamp(min=1e-6)
    return (grid - start - share.clamp(0, 1)[..., None] * along).norm(dim=-1)
