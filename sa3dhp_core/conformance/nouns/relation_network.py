"""What a relation network must keep: embeddings to embeddings, as its relation moves what is embedded.

The bench's relations are a family of in-plane turns, a mirror of one element, and on motions time reversed; its priors
are plain and exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.atomic import seeded
from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.lessons import Lesson, frozen_checks, recorded, task_checks, train, trained
from sa3dhp_core.conformance.modules import (
    made,
    need_clean_map,
    need_close,
    need_finite,
    need_gradients,
    stir,
)
from sa3dhp_core.conformance.nouns.pose_prior import need_inside
from sa3dhp_core.conformance.plain import PlainMotionPrior, PlainPosePrior
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.reference import MatrixRelation, Turning
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.geometry import mirror_matrix
from sa3dhp_core.types import WHOLE

NOUN = "relation_network"
FRAMES = 6
"""Length of the motions of the bench."""

HELD_OUT = 512
"""Pairs that an error is measured on."""


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """For the family of turns, on z of the plain pose prior."""
    prior = PlainPosePrior(bench.skeleton)
    condition = Turning(bench.skeleton).condition
    return {"width": prior.latent, "condition": condition, "bound": prior.bound, "pose_prior": prior}


def begin(subject: Subject, bench: Bench, seed: int) -> Lesson:
    """A new network with its task: the family of turns, on z."""
    return on_poses(subject, bench, Turning(bench.skeleton), seed)


def on_poses(subject: Subject, bench: Bench, relation: Any, seed: int = 0) -> Lesson:
    """A new network with its task: a relation of single poses."""
    prior, drawn = PlainPosePrior(bench.skeleton), []  # type: ignore[var-annotated]
    network = made(subject, bench, seed, pose_prior=prior, condition=relation.condition)
    draw = recorded(bench.motion.train.poses, drawn)
    with seeded(bench.seed, NOUN, seed):  # as the runner seeds the beginning of a stage
        task = network.task(relation, prior, None, draw, FRAMES)
    return Lesson(network, task, {"pose prior": prior}, drawn)


def on_motions(subject: Subject, bench: Bench) -> Lesson:
    """A new network with its task: a mirror with time reversed, on v."""
    prior, drawn = PlainPosePrior(bench.skeleton), []  # type: ignore[var-annotated]
    motion = PlainMotionPrior(prior.latent, FRAMES)
    network = made(subject, bench, pose_prior=prior, condition=0, width=motion.latent, bound=_unbounded)
    relation = MatrixRelation(mirror_matrix(), bench.skeleton, backward=True)
    draw = recorded(bench.motion.train.sequences, drawn)
    task = network.task(relation, prior, motion, draw, FRAMES)
    return Lesson(network, task, {"pose prior": prior, "motion prior": motion}, drawn)


def _unbounded(raw: Tensor) -> Tensor:
    return raw


def pairs(bench: Bench, count: int = HELD_OUT) -> tuple[Tensor, Tensor, Tensor]:
    """Held-out z ``(count, D)``, conditions ``(count, P)``, and the z of the turned poses ``(count, D)``."""
    prior, relation = PlainPosePrior(bench.skeleton), Turning(bench.skeleton)
    poses = bench.motion.held_out.poses(count, bench.generator("held out"), WHOLE).to(torch.get_default_dtype())
    spatial = relation.draw((count,), bench.generator("elements"))
    return prior.encode(poses), spatial.condition, prior.encode(relation.on_poses(poses, spatial))


def answers(network: Any, bench: Bench) -> dict[str, Tensor]:
    """What a network says to fixed questions."""
    z, condition, _ = pairs(bench, 16)
    return {"z": network(z, condition)}


@check(NOUN, "maps embeddings with any leading axes, each by itself, to as many of the same width")
def maps_embeddings(subject: Subject, bench: Bench) -> None:
    network = made(subject, bench).eval()
    must(isinstance(network, nn.Module), "is no torch.nn.Module", type(network).__name__)
    z, condition, _ = pairs(bench, 6)
    with torch.no_grad():
        whole = network(z, condition)
        must(whole.shape == z.shape, "answers of a wrong shape", tuple(whole.shape), tuple(z.shape))
        must(whole.dtype == z.dtype, "changes the dtype", whole.dtype, z.dtype)
        need_finite({"an answer": whole}, "the network")
        for shape, count in (((), 1), ((1,), 1), ((2, 3), 6), ((3, 1, 2), 6)):
            found = network(z[:count].reshape(*shape, -1), condition[:count].reshape(*shape, -1))
            what = f"leading axes {shape} are treated differently"
            need_close({"z": found}, {"z": whole[:count].reshape(*shape, -1)}, what)


@check(NOUN, "learns a relation of a single element, whose condition has no width")
def learns_single_elements(subject: Subject, bench: Bench) -> None:
    if not subject.rebuilds:
        return
    lesson = on_poses(subject, bench, MatrixRelation(mirror_matrix(), bench.skeleton))
    train(lesson.task, bench, 1)
    z, _, _ = pairs(bench, 6)
    with torch.no_grad():
        found = lesson.module.eval()(z, z.new_zeros(6, 0))
    must(found.shape == z.shape, "answers of a wrong shape", tuple(found.shape), tuple(z.shape))
    need_finite({"an answer": found}, "the network")


@check(NOUN, "learns a relation of motions, on embeddings of whole sequences", ["motions"])
def learns_motions(subject: Subject, bench: Bench) -> None:
    if not subject.rebuilds:
        return
    lesson = on_motions(subject, bench)
    train(lesson.task, bench, 1)
    prior, motion = lesson.frozen["pose prior"], lesson.frozen["motion prior"]
    sequences = bench.motion.held_out.sequences(4, FRAMES, bench.generator("held out"))
    v = motion.encode(prior.encode(sequences.to(torch.get_default_dtype())))  # type: ignore[operator]
    with torch.no_grad():
        found = lesson.module.eval()(v, v.new_zeros(4, 0))
    must(found.shape == v.shape, "answers of a wrong shape", tuple(found.shape), tuple(v.shape))
    need_finite({"an answer": found}, "the network")


@check(NOUN, "its answers lie in the domain of the embeddings, however its weights stand")
def stays_in_the_domain(subject: Subject, bench: Bench) -> None:
    network, prior = made(subject, bench).eval(), PlainPosePrior(bench.skeleton)
    z, condition, _ = pairs(bench, 64)
    for factor in (1.0, 30.0):
        with torch.no_grad():
            stir(network, bench, factor)
            for parameter in network.parameters():
                parameter.mul_(factor)
            need_inside(network(z, condition), prior, f"an answer (weights times {factor:g})")


@check(NOUN, "answers differently for different elements of a family once it is trained", ["conditioned"])
def honours_the_condition(subject: Subject, bench: Bench) -> None:
    network = trained(begin, NOUN, subject, bench)
    z, condition, partner = pairs(bench)
    other = condition.roll(1, 0)
    moved = float((network(z, other) - network(z, condition)).norm(dim=-1).mean())
    must(moved > 0, "the condition does not matter")
    right, wrong = (float((network(z, c) - partner).norm(dim=-1).mean()) for c in (condition, other))
    must(right < wrong, "another element's condition does as well", f"{right:.3g} and {wrong:.3g} for another")


@check(NOUN, "training lowers its error on held-out pairs, if it trains at all")
def learns_what_it_is_shown(subject: Subject, bench: Bench) -> None:
    lesson = begin(subject, bench, 0)
    if lesson.task.steps == 0:
        return
    z, condition, partner = pairs(bench)

    def error(network: Any) -> float:
        with torch.no_grad():
            return float((network(z, condition) - partner).norm(dim=-1).mean())

    before, after = error(lesson.module.eval()), error(trained(begin, NOUN, subject, bench))
    must(after < before, "training does not lower the error", f"{after:.3g}", f"less than {before:.3g}")


@check(NOUN, "gradients reach every trainable parameter")
def passes_gradients(subject: Subject, bench: Bench) -> None:
    network = made(subject, bench)
    stir(network, bench, subject.name)
    if any(parameter.requires_grad for parameter in network.parameters()):
        z, condition, _ = pairs(bench, 64)
        need_gradients(network.train(), [network(z, condition)], bench)


@check(NOUN, "is differentiable in the embedding, draws nothing and leaves what it is given as it was")
def maps_without_side_effects(subject: Subject, bench: Bench) -> None:
    network = made(subject, bench).eval()
    stir(network, bench, subject.name)
    z, condition, _ = pairs(bench, 4)
    kept = condition.clone()
    need_clean_map("the network", lambda given: network(given, condition), z.requires_grad_(), bench)
    must(torch.equal(condition, kept), "the network changes the condition")


task_checks(NOUN, "network", begin, answers)
frozen_checks(NOUN, begin)
