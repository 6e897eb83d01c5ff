"""Stages of the latent space: priors and relation networks, learned from unpaired motion alone, and their measures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sa3dhp_core.atomic import generator_for, write_json, write_tensors
from sa3dhp_core.protocols.latent import TrainedLatent
from sa3dhp_core.protocols.method import StageContext
from sa3dhp_core.runner import write_records
from sa3dhp_core.types import WHOLE, Spatial
from sa3dhp_self_adaptation.space import frozen, random_pair_scale
from sa3dhp_self_adaptation.views import PoseViews

if TYPE_CHECKING:
    from sa3dhp_self_adaptation.method import SelfAdaptation

FolderOf = Callable[[str], Path]
"""A finished stage's name to its folder."""

HELD_OUT = 2048
SEQUENCES = 256
SCALES = "scales.safetensors"
DISTANCES = "latent_distance.json"


def pose_views(
    method: SelfAdaptation, of: FolderOf, split: str, rolled: bool, dtype: torch.dtype = torch.float32
) -> PoseViews:
    """Draws of unpaired poses of one split."""
    data = method.data["poses"].sequences(of("data-poses"), split)
    return PoseViews(data, method.config.viewpoints, rolled, dtype)


def held_out_split(method: SelfAdaptation) -> str:
    """The split on which latent figures are measured: test, else validation, else (said so by name) train."""
    splits = method.data["poses"].splits
    return next(name for name in ("test", "validation", "train") if name in splits)


def train_pose_prior(method: SelfAdaptation, context: StageContext) -> None:
    """METHOD 1.1.1."""
    prior = method.space.pose_prior
    context.engine.train(prior.task(pose_views(method, context.of, "train", True).poses), context.name, context.folder)


def train_motion_prior(method: SelfAdaptation, context: StageContext) -> None:
    """METHOD 1.1.2; the pose prior is frozen."""
    dtype = context.engine.dtype
    method.space.load_pose_prior(context.of("pose_prior"), context.engine.device, dtype)
    views = pose_views(method, context.of, "train", True, dtype)
    context.engine.train(method.space.motion_prior.task(views.sequences), context.name, context.folder)


def train_network(method: SelfAdaptation, name: str, context: StageContext) -> None:
    """METHOD 1.1.3; the priors are frozen."""
    space, device, dtype = method.space, context.engine.device, context.engine.dtype
    space.load_pose_prior(context.of("pose_prior"), device, dtype)
    relation = space.relations[name]
    views = pose_views(method, context.of, "train", False, dtype)
    if relation.acts_on_time:
        space.load_motion_prior(context.of("motion_prior"), device, dtype)
        task = space.network(relation).task(
            relation, space.pose_prior, space.motion_prior, views.sequences, space.frames
        )
    else:
        task = space.network(relation).task(relation, space.pose_prior, None, views.poses, space.frames)
    context.engine.train(task, context.name, context.folder)


def load_networks(
    method: SelfAdaptation, of: FolderOf, device: torch.device, dtype: torch.dtype = torch.float32
) -> dict[str, Any]:
    """Trained networks by relation name, frozen."""
    from sa3dhp_self_adaptation.method import network_stage

    relations = method.space.relations
    return {
        name: frozen(method.space.network(relations[name]), of(network_stage(name)), "network", device, dtype)
        for name in method.trained_networks()
    }


def load_latent(method: SelfAdaptation, of: FolderOf, device: torch.device) -> TrainedLatent:
    """Everything that the latent stages left, with draws of held-out poses as upright cameras see them."""
    space, split = method.space, held_out_split(method)
    pose_prior = space.load_pose_prior(of("pose_prior"), device)
    motion_prior = None if space.motion_prior is None else space.load_motion_prior(of("motion_prior"), device)
    views = pose_views(method, of, split, False)
    return TrainedLatent(
        pose_prior=pose_prior,
        motion_prior=motion_prior,
        frames=space.frames,
        relations=space.relations,
        networks=load_networks(method, of, device),
        poses=views.poses,
        sequences=views.sequences,
        split=split,
        device=device,
    )


@torch.no_grad()
def measure_latent(method: SelfAdaptation, context: StageContext) -> None:
    """Held-out figures of the latent stages, the latent scales, and every relation's latent distance (METHOD 1.3)."""
    space, device = method.space, context.engine.device
    prior = space.load_pose_prior(context.of("pose_prior"), device)
    motion = None
    if space.motion_prior is not None:
        motion = space.load_motion_prior(context.of("motion_prior"), device)
    networks = load_networks(method, context.of, device)
    split = held_out_split(method)
    generator = generator_for(context.seed, context.name)
    rolled = pose_views(method, context.of, split, True).poses(HELD_OUT, generator, WHOLE).to(device)
    upright = pose_views(method, context.of, split, False)
    poses = upright.poses(HELD_OUT, generator, WHOLE).to(device)
    z = prior.encode(poses)
    records = [_record("pose prior", _error_mm(prior.decode(prior.encode(rolled)), rolled), split)]
    scales = {"scale": random_pair_scale(z), "motion_scale": z.new_ones(1)}
    pair = float((z[: len(z) // 2] - z[len(z) // 2 :]).norm(dim=-1).mean())
    motion_pair = 1.0
    if motion is not None:
        clips = upright.sequences(SEQUENCES, space.frames, generator, WHOLE).to(device)
        v = motion.encode(prior.encode(clips))
        records.append(_record("motion prior", _error_mm(prior.decode(motion.decode(v)), clips), split))
        scales["motion_scale"] = random_pair_scale(v)
        motion_pair = float((v[: len(v) // 2] - v[len(v) // 2 :]).norm(dim=-1).mean())
    distances = []
    for name, relation in space.relations.items():
        temporal = relation.temporal(space.frames)
        if relation.acts_on_time and motion is None:
            continue
        if relation.acts_on_time:
            window = upright.sequences(SEQUENCES, temporal.window, generator, WHOLE).to(device)
            spatial = _placed(relation.draw((SEQUENCES, 1), generator), device)
            first, second = temporal.of(window)
            moved = relation.on_poses(second, spatial)
            anchor = motion.encode(prior.encode(first))  # type: ignore[union-attr]
            partner = motion.encode(prior.encode(moved))  # type: ignore[union-attr]
            condition, random = spatial.condition[:, 0], motion_pair
        else:
            spatial = _placed(relation.draw((HELD_OUT,), generator), device)
            moved = relation.on_poses(poses, spatial)
            anchor, partner, condition, random = z, prior.encode(moved), spatial.condition, pair
        distance = float((anchor - partner).norm(dim=-1).mean())
        error = None
        figure = {"row": f"relation {name}", "protocol": "latent-distance", "split": f"latent:{split}", "unit": ""}
        records.append({**figure, "value": distance / random})
        if name in networks:
            answer = networks[name](anchor, condition)
            decoded = prior.decode(motion.decode(answer) if relation.acts_on_time else answer)  # type: ignore[union-attr]
            error = _error_mm(decoded, moved)
            records.append(_record(f"relation {name}", error, split))
        distances.append(
            {
                "relation": name,
                "space": "v" if relation.acts_on_time else "z",
                "distance": distance,
                "relative": distance / random,
                "network_error_mm": error,
            }
        )
    if not context.engine.fabric.is_global_zero:
        return
    write_tensors(context.folder / SCALES, scales)
    write_json(context.folder / DISTANCES, distances)
    write_records(context.folder, records)


def _placed(spatial: Spatial, device: torch.device) -> Spatial:
    return Spatial(spatial.matrix.to(device), spatial.condition.to(device))


def _error_mm(prediction: Tensor, truth: Tensor) -> float:
    if prediction.shape != truth.shape:
        raise ValueError(f"shapes differ: {tuple(prediction.shape)} and {tuple(truth.shape)}")
    return float(1000 * (prediction - truth).norm(dim=-1).mean())


def _record(row: str, value: float, split: str) -> dict[str, object]:
    return {"row": row, "protocol": "mpjpe-root", "split": f"latent:{split}", "value": value, "unit": "mm"}
