"""Predictions of encoders and their figures. Target ground truth is read here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.evaluation import Accumulator, Protocol, evaluate, load_protocol, spread
from sa3dhp_core.geometry import act_on_poses, average_over_time, mirror_matrix
from sa3dhp_core.protocols.data import LabelledImages
from sa3dhp_core.types import FrameFacts

BATCH = 256
Predictor = Callable[[Tensor], Tensor]
"""Images ``(N, 3, H, W)`` to root-relative poses ``(N, J, 3)``."""


class EncodedPoses(nn.Module):
    """Images ``(N, 3, H, W)`` to the poses ``(N, J, 3)`` that their encodings decode to.

    Args:
        encoder: images to embeddings.
        prior: embeddings to poses.
        mirror_average: give the mean with the mirrored crop's pose mirrored back.
    """

    def __init__(self, encoder: nn.Module, prior: Any, mirror_average: bool) -> None:
        super().__init__()
        self.encoder, self.prior, self._mirror_average = encoder, prior, mirror_average

    def forward(self, images: Tensor) -> Tensor:
        """Root-relative, metres, in the crop's camera."""
        poses: Tensor = self.prior.decode(self.encoder(images).z)
        if not self._mirror_average:
            return poses
        matrix = mirror_matrix().to(poses)
        mirrored = self.prior.decode(self.encoder(images.flip(-1)).z)
        return 0.5 * (poses + act_on_poses(matrix, mirrored, self.prior.skeleton))


class ConstantPose(nn.Module):
    """One pose ``(J, 3)`` for everything: what any method must beat."""

    pose: Tensor

    def __init__(self, pose: Tensor) -> None:
        super().__init__()
        self.register_buffer("pose", pose)

    def forward(self, images: Tensor) -> Tensor:
        """``(N, J, 3)`` for ``(N, 3, H, W)``."""
        return self.pose.expand(images.shape[0], -1, -1)


def predictor(model: nn.Module, device: torch.device) -> Predictor:
    """A model of images as a function that computes on `device`; the poses come back to the CPU."""
    model = model.to(device)

    @torch.no_grad()
    def predict(images: Tensor) -> Tensor:
        poses: Tensor = model(images.to(device))
        return poses.float().cpu()

    return predict


def predict_all(predict: Predictor, data: LabelledImages) -> tuple[Tensor, Tensor]:
    """Predictions and truth ``(N, J, 3)`` of a whole split."""
    predicted, truth = [], []
    for batch in data.batches(BATCH):
        predicted.append(predict(batch.images))
        truth.append(batch.poses)
    return torch.cat(predicted), torch.cat(truth)


def smooth_clips(poses: Tensor, clips: Tensor, frames: int) -> Tensor:
    """Poses ``(N, J, 3)`` averaged over time within each clip ``(N,)``, whose frames lie side by side."""
    if frames < 3:
        return poses
    sizes = clips.unique_consecutive(return_counts=True)[1].tolist()
    tracks = [average_over_time(track.flatten(1)[None], frames)[0] for track in poses.split(sizes)]
    return torch.cat(tracks).view_as(poses)


def score(
    row: str,
    split: str,
    prediction: Tensor,
    truth: Tensor,
    protocols: Sequence[str],
    skeleton: Any,
    clips: Tensor,
    facts: FrameFacts | None = None,
) -> list[dict[str, object]]:
    """Records of every protocol, and of the spread of predictions relative to the truth's.

    Args:
        row, split: what the records are called.
        prediction, truth: ``(N, J, 3)``.
        protocols: ids of protocol cards.
        skeleton: of the poses.
        clips: ``(N,)`` clip of each frame, frames of a clip side by side; protocols of motion need it.
        facts: what is known of the frames; protocols that select some need it.
    """
    records: list[dict[str, object]] = []
    for protocol_id in protocols:
        card = load_protocol(protocol_id)
        value = _value(card, prediction, truth, skeleton, clips, facts)
        records.append({"row": row, "protocol": protocol_id, "split": split, "value": value, "unit": card.unit})
    ratio = spread(prediction, truth, skeleton)
    records.append({"row": row, "protocol": "spread", "split": split, "value": ratio, "unit": ""})
    return records


def _value(
    card: Protocol, prediction: Tensor, truth: Tensor, skeleton: Any, clips: Tensor, facts: FrameFacts | None
) -> float:
    """The protocol's figure; acceleration is measured within clips, over those that are long enough."""
    if card.metric != "accel":
        return evaluate(card, prediction, truth, skeleton, facts).value
    sizes = clips.unique_consecutive(return_counts=True)[1].tolist()
    accumulator = Accumulator(card, skeleton)
    for moving, fixed in zip(prediction.split(sizes), truth.split(sizes), strict=True):
        if len(moving) >= 3:
            accumulator.add(moving[None], fixed[None])
    return accumulator.result().value


def inside_outside(data: LabelledImages, known: Sequence[str]) -> Mapping[str, Tensor]:
    """Masks ``(N,)`` of frames whose motion family the unpaired poses contain, and of the others."""
    families = data.families()
    if not any(families) or not any(known):
        return {}
    inside = torch.tensor([family in set(known) for family in families])[data.clip_index()]
    masks = {"families-in-prior": inside, "families-not-in-prior": ~inside}
    return {name: mask for name, mask in masks.items() if bool(mask.any())}
