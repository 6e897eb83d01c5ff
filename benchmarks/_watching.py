"""A training's board that measures its lifter after some steps. Trains nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from sa3dhp_core.evaluation import evaluate, load_protocol
from sa3dhp_core.geometry import fit_scale
from sa3dhp_ites.lifter import ItesLifter, lift_all


class Watch:
    """The board of a training, which is told of its progress: measures after some steps."""

    def __init__(self, steps: Sequence[int], measure: Callable[[int, Mapping[str, float]], None]) -> None:
        self._steps, self._measure = steps, measure

    def stage_started(self, stage: str, steps: int | None) -> None:
        """Nothing to show."""

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        """Measure, if this step is one of them."""
        if step in self._steps:
            self._measure(step, scalars)


def measured(lifter: ItesLifter, keypoints: Tensor, truth: Tensor, factors: Sequence[float] = ()) -> dict[str, float]:
    """Of one state of a lifter in training.

    Scores; how well depths correlate with the true ones, whatever their sign; how large they are against the truth's
    once sizes are fitted; the aligned error at the same depths times each of some factors.

    Args:
        lifter: left in training mode.
        keypoints: ``(N, J, 2)`` on the camera plane.
        truth: ``(N, J, 3)`` metres.
        factors: of depths.
    """
    lifter.eval()
    poses, body = lift_all(lifter, keypoints), lifter.skeleton
    found = {p: evaluate(load_protocol(p), poses, truth, body).value for p in ("ites-mpjpe", "ites-pa-mpjpe")}
    for factor in factors:
        flatter = poses * poses.new_tensor([1.0, 1.0, factor])
        found[f"ites-pa-mpjpe, depth x {factor}"] = evaluate(load_protocol("ites-pa-mpjpe"), flatter, truth, body).value
    own, wanted = poses[..., 2], truth[..., 2]
    found["correlation of depths"] = float(torch.cosine_similarity(own, wanted, dim=1).abs().mean())
    found["size of depths"] = float(fit_scale(poses, truth)[..., 2].abs().mean() / wanted.abs().mean())
    lifter.train()
    return found
