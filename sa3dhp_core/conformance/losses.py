"""What alignment losses are built from and fed with on the bench: parts that lose nothing, and steps made of them.

A step is right where every view shows the same motion as its relation moves it, encoded without an error.
"""

from __future__ import annotations

import math
from typing import Any

import attrs
import torch
from torch import Tensor

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.exact import ExactNetwork
from sa3dhp_core.conformance.plain import PlainMotionPrior, PlainPosePrior
from sa3dhp_core.conformance.reference import MatrixRelation, Turning
from sa3dhp_core.geometry import mirror_matrix, rotation_x
from sa3dhp_core.protocols.alignment import Encoded, Labelled, LossInput, LossParts, View
from sa3dhp_core.types import Encoding, Spatial

FRAMES, FEATURE, SCALE = 6, 10, 0.5
"""Length of a motion, width of a feature, and latent scale of the bench."""

LABELLED, UNPAIRED = 5, 40
"""Labelled images and unpaired poses of a step."""


def plain_parts(bench: Bench) -> LossParts:
    """Parts that lose nothing; their relations are ``mirror``, ``tilt``, ``turn`` (a family) and ``backward``."""
    body = bench.skeleton
    prior = PlainPosePrior(body)
    motion = PlainMotionPrior(prior.latent, FRAMES)
    still = torch.eye(3, dtype=torch.float64)
    relations: dict[str, MatrixRelation | Turning] = {
        "mirror": MatrixRelation(mirror_matrix(dtype=torch.float64), body, name="mirror"),
        "tilt": MatrixRelation(rotation_x(still.new_tensor(math.radians(8.0))), body, name="tilt"),
        "turn": Turning(body, name="turn"),
        "backward": MatrixRelation(still, body, backward=True, name="backward"),
    }
    return LossParts(
        skeleton=body,
        pose_prior=prior,
        motion_prior=motion,
        relations=relations,
        networks={name: ExactNetwork(relation, prior, motion) for name, relation in relations.items()},
        scale=torch.full((prior.latent,), SCALE),
        motion_scale=torch.full((motion.latent,), 2 * SCALE),
        frames=FRAMES,
        latent=prior.latent,
        motion_latent=motion.latent,
        feature=FEATURE,
    )


def right_step(loss: Any, parts: LossParts, bench: Bench, seed: int = 0, clips: int = 3) -> LossInput:
    """A step whose views and labelled images are encoded as they should be."""
    motion = bench.poses(clips, loss.window, seed=seed, dtype=torch.get_default_dtype())
    features = torch.randn(clips, loss.window, parts.feature, generator=bench.generator("features", seed))

    def encoded(view: View, frames: list[int]) -> tuple[Tensor, Tensor, Spatial | None]:
        shown, spatial = motion[:, frames], _elements(view, parts, bench, seed, (clips, len(frames)))
        if spatial is not None:
            shown = parts.relations[view.spatial].on_poses(shown, spatial)
        return parts.pose_prior.encode(shown), features[:, frames], spatial

    return _step(loss, parts, bench, seed, encoded, wrong=0.0)


def random_step(loss: Any, parts: LossParts, bench: Bench, seed: int = 0, clips: int = 3, step: int = 0) -> LossInput:
    """A step of embeddings and features that have nothing to do with one another, inside the prior's bound."""

    def encoded(view: View, frames: list[int]) -> tuple[Tensor, Tensor, Spatial | None]:
        generator = bench.generator("views", view, seed, step)
        lead = (clips, len(frames))
        z = parts.pose_prior.bound(torch.randn(*lead, parts.latent, generator=generator))
        feature = torch.randn(*lead, parts.feature, generator=generator)
        return z, feature, _elements(view, parts, bench, seed, lead)

    return _step(loss, parts, bench, seed, encoded, wrong=1.0, step=step)


def _step(loss: Any, parts: LossParts, bench: Bench, seed: int, encode: Any, wrong: float, step: int = 0) -> LossInput:
    views = {}
    for view in loss.views:
        z, feature, spatial = encode(view, list(range(loss.window) if view.frames is None else view.frames))
        learns = view.by == "student"
        views[view] = Encoded(_leaf(z, learns), _leaf(feature, learns), spatial)
    labelled = {name: _labelled(parts, bench, seed + place, wrong) for place, name in enumerate(loss.labelled)}
    return LossInput(
        views=views,
        prior_poses=bench.poses(UNPAIRED, seed=seed + 100, dtype=torch.get_default_dtype()),
        labelled=labelled,
        generator=bench.generator("step", seed, step),
        step=step,
        steps=10,
    )


def _labelled(parts: LossParts, bench: Bench, seed: int, wrong: float) -> Labelled:
    poses = bench.poses(LABELLED, seed=seed + 200, dtype=torch.get_default_dtype())
    generator = bench.generator("labelled", seed)
    z = parts.pose_prior.encode(poses)
    z = z + wrong * torch.randn(z.shape, generator=generator)
    feature = torch.randn(LABELLED, parts.feature, generator=generator)
    return Labelled(Encoding(_leaf(z, True), _leaf(feature, True)), poses)


def _leaf(value: Tensor, learns: bool) -> Tensor:
    return value.detach().clone().requires_grad_(learns)


def _elements(view: View, parts: LossParts, bench: Bench, seed: int, lead: tuple[int, int]) -> Spatial | None:
    """One element a clip or a frame, as the engine draws them; equal draws are shared by views of one name."""
    if not view.spatial:
        return None
    shape = lead if view.per_frame else (lead[0], 1)
    drawn = parts.relations[view.spatial].draw(shape, bench.generator("elements", view.spatial, seed))
    return Spatial(drawn.matrix.expand(*lead, 3, 3), drawn.condition.expand(*lead, -1))


def reordered(given: LossInput, clips: Tensor, images: Tensor) -> LossInput:
    """The same step with its clips and its labelled images in another order."""
    views = {
        view: Encoded(e.z[clips], e.feature[clips], _reordered(e.spatial, clips)) for view, e in given.views.items()
    }
    labelled = {
        name: Labelled(Encoding(one.encoding.z[images], one.encoding.feature[images]), one.poses[images])
        for name, one in given.labelled.items()
    }
    return attrs.evolve(given, views=views, labelled=labelled)


def _reordered(spatial: Spatial | None, order: Tensor) -> Spatial | None:
    return None if spatial is None else Spatial(spatial.matrix[order], spatial.condition[order])
