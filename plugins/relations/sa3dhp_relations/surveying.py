"""The survey of a trained latent space: what each relation leaves open, how far it is, how well its network knows it.

Every draw has a generator of its own, named after what it is for, so that a survey repeats. Nothing here is trained.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import torch
from torch import Tensor, nn

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.errors import RunError
from sa3dhp_core.geometry import act_on_poses, ambiguity, generators
from sa3dhp_core.protocols.latent import TrainedLatent
from sa3dhp_core.protocols.relation import Relation
from sa3dhp_core.protocols.selection import ErrorsMm, RelationFigures, Survey
from sa3dhp_core.types import WHOLE, Skeleton, Spatial
from sa3dhp_relations.fixed_points import FixedPoints
from sa3dhp_relations.redundancy import redundancy
from sa3dhp_relations.scores import LatentDistanceScore, RelativeLatentDistanceScore
from sa3dhp_relations.tasks import Pairs, motion_pairs, pose_pairs

POSES, MOTIONS = 2048, 512
"""Held-out pairs of a relation of poses, and of one of motions."""
ELEMENTS = 16
"""Elements that stand for a family: both sides of ``flip?`` are among them but once in 32768 draws."""
PROBES, SAME = 8, 1e-4
"""Poses that decide whether a relation's matrices say what it does, and the difference that counts as rounding."""


def survey(latent: TrainedLatent) -> Survey:
    """All figures of all relations.

    Raises:
        RunError: the run has trained no relation network.
    """
    if not latent.networks:
        raise RunError(
            "the run has trained no relation network",
            expected="a network of each relation that is to be compared",
            hint='networks = "all" in the recipe\'s [settings], as the recipe relation-survey has it',
        )
    fixed = FixedPoints(latent)
    return Survey(
        split=latent.split,
        skeleton=latent.pose_prior.skeleton,
        relations=tuple(_figures(latent, name, fixed) for name in latent.relations),
        together=fixed.of(tuple(latent.networks)),
        redundancy=redundancy(latent),
    )


def elements(relation: Relation, skeleton: Skeleton) -> Tensor | None:
    """Generators ``(n, 3, 3)``, double, of the relation's spatial part; None where matrices do not say what it does."""
    drawn = relation.draw((ELEMENTS if relation.condition else 1,), generator_for("elements", relation.name))
    matrices = drawn.matrix.double()
    given = torch.randn(PROBES, len(skeleton), 3, generator=generator_for("probes"), dtype=torch.float64)
    given = given - given[:, [skeleton.index(skeleton.root)]]
    for matrix, condition in zip(matrices, drawn.condition, strict=True):
        moved = relation.on_poses(given, Spatial(matrix.expand(PROBES, 3, 3), condition.expand(PROBES, -1)))
        if not torch.allclose(moved, act_on_poses(matrix.expand(PROBES, 3, 3), given, skeleton), atol=SAME):
            return None
    return generators(matrices, skeleton)


@torch.no_grad()
def errors_mm(pairs: Pairs, network: nn.Module, decode: Callable[[Tensor], Tensor]) -> ErrorsMm:
    """Of the network's answer, of the anchor in its place, and of the partner's own embedding."""
    answers = (network(pairs.anchor, pairs.condition), pairs.anchor, pairs.partner)
    return ErrorsMm(*(_joints_mm(decode(answer), pairs.poses) for answer in answers))


def held_out_pairs(latent: TrainedLatent, relation: Relation) -> Pairs:
    """Anchors and partners of one relation on z, or on v where it acts on time (then there is a motion prior)."""
    generator = generator_for("pairs", relation.name)
    if not relation.acts_on_time:
        return pose_pairs(relation, latent.pose_prior, latent.poses)(POSES, generator, WHOLE, latent.device)
    assert latent.motion_prior is not None
    sampler = motion_pairs(relation, latent.pose_prior, latent.motion_prior, latent.sequences, latent.frames)
    return sampler(MOTIONS, generator, WHOLE, latent.device)


def _figures(latent: TrainedLatent, name: str, fixed: FixedPoints) -> RelationFigures:
    relation, skeleton = latent.relations[name], latent.pose_prior.skeleton
    matrices = elements(relation, skeleton)
    known = RelationFigures(
        name=name,
        space="v" if relation.acts_on_time else "z",
        elements=None if matrices is None else tuple(tuple(tuple(row) for row in one) for one in matrices.tolist()),
        alone=None if matrices is None else ambiguity(matrices, skeleton),
        distance=None,
        relative=None,
    )
    if relation.acts_on_time and latent.motion_prior is None:
        return known
    pairs = held_out_pairs(latent, relation)
    known = attrs.evolve(
        known,
        distance=LatentDistanceScore()(pairs.anchor, pairs.partner),
        relative=RelativeLatentDistanceScore()(pairs.anchor, pairs.partner),
    )
    if name not in latent.networks:
        return known
    errors = errors_mm(pairs, latent.networks[name], _decoder(latent, relation))
    return attrs.evolve(known, errors_mm=errors, residuals=fixed.of((name,)))


def _decoder(latent: TrainedLatent, relation: Relation) -> Callable[[Tensor], Tensor]:
    poses, motion = latent.pose_prior, latent.motion_prior
    if not relation.acts_on_time:
        return poses.decode
    assert motion is not None
    return lambda v: poses.decode(motion.decode(v))


def _joints_mm(poses: Tensor, truth: Tensor) -> float:
    if poses.shape != truth.shape:
        raise ValueError(f"shapes differ: {tuple(poses.shape)} and {tuple(truth.shape)}")
    return float(1000 * (poses - truth).norm(dim=-1).mean())
