"""What the report shows beside the table: latent distances, per-joint errors, sample crops with poses."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import torch

from sa3dhp_core.atomic import read_json, read_tensors, write_json, write_npz
from sa3dhp_core.protocols.method import StageContext
from sa3dhp_self_adaptation.latent_stages import DISTANCES
from sa3dhp_self_adaptation.row_stages import predictions_file, truth_of

if TYPE_CHECKING:
    from sa3dhp_self_adaptation.method import SelfAdaptation

_log = logging.getLogger(__name__)


def analyse(method: SelfAdaptation, context: StageContext) -> None:
    """Write the stage's ``analysis`` from the rows' predictions (left-out rows have none); the runner copies it."""
    from sa3dhp_self_adaptation.method import score_stage

    if not context.engine.fabric.is_global_zero:
        return
    folder = context.folder / "analysis"
    write_json(folder / DISTANCES, read_json(context.of("latent") / DISTANCES))
    data = truth_of(method, context, "target", "test")
    if data is None:
        _log.warning("the target's test split has no ground truth: there was nothing to score but the source's test")
        return
    batches = list(data.batches(1024))
    truth = torch.cat([batch.poses for batch in batches])
    files = {row.name: context.of(score_stage(row.name)) / predictions_file("test") for row in method.rows}
    predictions = {name: read_tensors(file)["poses"] for name, file in files.items() if file.is_file()}
    joints = list(method.space.skeleton.joints)
    write_json(
        folder / "per_joint.json",
        {
            name: {"joints": joints, "mpjpe_mm": (1000 * (poses - truth).norm(dim=-1).mean(dim=0)).tolist()}
            for name, poses in predictions.items()
        },
    )
    count = method.config.samples
    if count == 0:
        return
    index = torch.linspace(0, len(truth) - 1, count).long()
    images = torch.cat([batch.images for batch in batches])[index]
    arrays = {
        "images": (255 * images).round().to(torch.uint8).permute(0, 2, 3, 1).numpy(),
        "truth": truth[index].numpy(),
        "joints": np.array(joints),
        "parents": np.array(method.space.skeleton.parent_indices),
        **{f"pred/{name}": poses[index].numpy() for name, poses in predictions.items()},
    }
    write_npz(folder / "samples.npz", arrays)
