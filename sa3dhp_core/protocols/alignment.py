"""Alignment losses: each names the views it needs, then maps their embeddings to a scalar.

Component target: ``target(config, parts=LossParts) -> AlignmentLoss``. The engine's view planner takes the union of
all losses' views, encodes each distinct one once per step, hands every loss its own, and back-propagates once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import attrs
import torch
from torch import Tensor, nn

from sa3dhp_core.types import Encoding, Spatial


@attrs.frozen
class View:
    """A request for encoded frames.

    Attributes:
        spatial: name of a spatial draw: ``""`` for none, else a relation's name. Two losses that name the same draw
            share its elements.
        photometric: name of a photometric draw (``""`` for none); equal names share the jitter.
        frames: frame indices of the window, or None for all of them.
        per_frame: whether the spatial element is drawn afresh for each frame rather than per clip.
        by: who encodes it: ``student`` (with gradient), ``stopped`` (the student, without gradient, so that no
            activation is kept) or ``teacher`` (the student's moving average).
    """

    spatial: str = ""
    photometric: str = ""
    frames: tuple[int, ...] | None = None
    per_frame: bool = False
    by: str = "student"


@attrs.frozen
class Encoded:
    """The encoded frames of one view: ``z (B, T, D)``, ``feature (B, T, F)``, and the spatial elements drawn."""

    z: Tensor
    feature: Tensor
    spatial: Spatial | None


@attrs.frozen
class LossParts:
    """What a method offers to the losses it builds.

    Attributes:
        skeleton: of the pose prior.
        pose_prior: frozen.
        motion_prior: frozen, or None.
        relations: `Relation` by name.
        networks: trained, frozen relation networks by relation name (z-space or v-space as the relation acts).
        scale: ``(D,)`` latent scale sigma: mean |z - z'| of each dimension over random pairs of prior poses.
        motion_scale: the same for v, ``(V,)``.
        frames: length T of a motion sequence.
        latent: width of z.
        motion_latent: width of v (0 without a motion prior).
        feature: width of the encoder's feature.
    """

    skeleton: Any
    pose_prior: Any
    motion_prior: Any
    relations: Mapping[str, Any]
    networks: Mapping[str, nn.Module]
    scale: Tensor
    motion_scale: Tensor
    frames: int
    latent: int
    motion_latent: int
    feature: int


@attrs.frozen
class Labelled:
    """Labelled images of a step: the student's `encoding`, ``(S, ...)``, and their `poses` ``(S, J, 3)``."""

    encoding: Encoding
    poses: Tensor


@attrs.frozen
class LossInput:
    """One step's material.

    Attributes:
        views: encoded views, by request; gathered over all ranks.
        prior_poses: ``(N, J, 3)`` unpaired camera-frame poses of this step.
        labelled: this step's labelled images, by what the losses asked for.
        generator: CPU generator of this loss and step.
        step: number of the step.
        steps: how many there will be.
    """

    views: Mapping[View, Encoded]
    prior_poses: Tensor
    labelled: Mapping[str, Labelled]
    generator: torch.Generator
    step: int
    steps: int


@runtime_checkable
class AlignmentLoss(Protocol):
    """A loss object; a `torch.nn.Module` where it has heads or buffers of its own (queues live in buffers).

    Attributes:
        views: what it needs of each target window.
        window: frames the window must have.
        labelled: which labelled images it needs beside its views: ``source`` (the source's), ``tracks`` (target frames
            with the poses that an earlier encoder saw there, averaged over time: no label of the target).
        weight: factor in the total.
    """

    views: tuple[View, ...]
    window: int
    labelled: tuple[str, ...]
    weight: float

    def __call__(self, given: LossInput) -> Tensor:
        """The scalar, unweighted."""
        ...
