"""What a motion prior must keep: sequences of z to v and back, on a frozen pose prior, learned by its own task.

The pose prior of the bench is plain and exact, so the figure is the motion prior's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.atomic import seeded
from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.lessons import Lesson, frozen_checks, recorded, task_checks, trained
from sa3dhp_core.conformance.modules import made, need_clean_map, need_close, need_finite, stir
from sa3dhp_core.conformance.nouns.pose_prior import need_inside
from sa3dhp_core.conformance.plain import PlainPosePrior
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.protocols.motion_prior import MotionPrior

NOUN = "motion_prior"
FRAMES = 16
"""Length of the sequences of the bench."""

HELD_OUT = 128
"""Sequences that the figure is measured on."""


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """A frozen plain pose prior, and a length."""
    return {"pose_prior": PlainPosePrior(bench.skeleton), "frames": FRAMES}


def begin(subject: Subject, bench: Bench, seed: int) -> Lesson:
    """A new prior with its task, on the bench's motion."""
    pose_prior, drawn = PlainPosePrior(bench.skeleton), []  # type: ignore[var-annotated]
    prior = made(subject, bench, seed, pose_prior=pose_prior)
    with seeded(bench.seed, NOUN, seed):  # as the runner seeds the beginning of a stage
        task = prior.task(recorded(bench.motion.train.sequences, drawn))
    return Lesson(prior, task, {"pose prior": pose_prior}, drawn)


def held_out(bench: Bench, frames: int, count: int = HELD_OUT) -> tuple[Tensor, Tensor]:
    """``(count, frames, J, 3)`` motion that no prior has learned from, and its z ``(count, frames, D)``."""
    motion = bench.motion.held_out.sequences(count, frames, bench.generator("held out"))
    motion = motion.to(torch.get_default_dtype())
    return motion, PlainPosePrior(bench.skeleton).encode(motion)


def answers(prior: Any, bench: Bench) -> dict[str, Tensor]:
    """What a prior says to fixed questions."""
    v = prior.encode(held_out(bench, prior.frames, 4)[1])
    return {"v": v, "z": prior.decode(v)}


@check(NOUN, "is a module with the width of its latent and the length of sequences that it was built for")
def has_the_attributes(subject: Subject, bench: Bench) -> None:
    prior = made(subject, bench)
    must(isinstance(prior, nn.Module), "is no torch.nn.Module", type(prior).__name__)
    must(isinstance(prior, MotionPrior), "lacks an attribute of the protocol")
    must(type(prior.latent) is int and prior.latent > 0, "latent is no width", prior.latent)
    must(type(prior.frames) is int and prior.frames > 0, "frames is no length", prior.frames)
    for frames in (FRAMES, 5) if subject.rebuilds else ():
        found = made(subject, bench, frames=frames).frames
        must(found == frames, "frames is not what was asked for", found, frames)


@check(NOUN, "encodes and decodes with any leading axes, each sequence by itself, as wide and as long as it states")
def keeps_leading_axes(subject: Subject, bench: Bench) -> None:
    for frames in (FRAMES, 5) if subject.rebuilds else (made(subject, bench).frames,):
        prior = made(subject, bench, frames=frames).eval()
        with torch.no_grad():
            _need_leading_axes(prior, held_out(bench, frames, 6)[1])


def _need_leading_axes(prior: Any, z: Tensor) -> None:
    v = prior.encode(z)
    decoded = prior.decode(v)
    must(v.shape == (6, prior.latent), "embeddings of a wrong shape", tuple(v.shape), (6, prior.latent))
    must(decoded.shape == z.shape, "decoded sequences of a wrong shape", tuple(decoded.shape), tuple(z.shape))
    must({v.dtype, decoded.dtype} == {z.dtype}, "changes the dtype", (v.dtype, decoded.dtype), z.dtype)
    for shape, count in (((), 1), ((1,), 1), ((2, 3), 6), ((3, 1, 2), 6)):
        few = {"v": prior.encode(z[:count].reshape(*shape, *z.shape[1:]))}
        few["z"] = prior.decode(v[:count].reshape(*shape, prior.latent))
        expected = {"v": v[:count].reshape(*shape, -1), "z": decoded[:count].reshape(*shape, *z.shape[1:])}
        need_close(few, expected, f"leading axes {shape} are treated differently")


@check(NOUN, "v is finite, and lies in the domain of its bound where it has one")
def stays_in_its_domain(subject: Subject, bench: Bench) -> None:
    prior = trained(begin, NOUN, subject, bench)
    _, z = held_out(bench, prior.frames)
    noise = 2 * torch.rand(z.shape, generator=bench.generator("noise")) - 1
    for what, given in (("motion", z), ("noise", noise)):
        v = prior.encode(given)
        need_finite({"v": v, "z": prior.decode(v)}, what)
        if hasattr(prior, "bound"):
            need_inside(v, prior, f"encoded {what}")


@check(NOUN, "encoding and decoding are differentiable, draw nothing and leave what they are given as it was")
def maps_without_side_effects(subject: Subject, bench: Bench) -> None:
    prior = made(subject, bench).eval()
    stir(prior, bench, subject.name)
    z = held_out(bench, prior.frames, 3)[1].requires_grad_()
    v = prior.encode(z).detach().requires_grad_()
    for name, function, given in (("encode", prior.encode, z), ("decode", prior.decode, v)):
        need_clean_map(name, function, given, bench)


@check(NOUN, "held-out motion, encoded and decoded, comes back within the declared mean error", ["round-trip-mm"])
def comes_back_within_its_figure(subject: Subject, bench: Bench) -> None:
    error_mm, limit = round_trip_mm(subject, bench), subject.figures["round-trip-mm"]
    must(error_mm <= limit, "the round trip is off", f"{error_mm:.1f} mm on {bench.motion.source}", f"{limit:g} mm")


def round_trip_mm(subject: Subject, bench: Bench) -> float:
    """Mean joint error of held-out motion, through z and v and back."""
    prior = trained(begin, NOUN, subject, bench)
    motion, z = held_out(bench, prior.frames)
    decoded = PlainPosePrior(bench.skeleton).decode(prior.decode(prior.encode(z)))
    return 1000 * float((decoded - motion).norm(dim=-1).mean())


task_checks(NOUN, "prior", begin, answers)
frozen_checks(NOUN, begin)
