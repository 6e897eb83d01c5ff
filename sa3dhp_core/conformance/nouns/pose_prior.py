"""What a pose prior must keep: poses to a bounded latent space and back, learned by its own task.

Figures are measured on motion that it has not learned from, after as many of its own steps as the profile allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sa3dhp_core.atomic import seeded
from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.lessons import Lesson, recorded, task_checks, trained
from sa3dhp_core.conformance.modules import (
    made,
    need_clean_map,
    need_close,
    need_finite,
    need_no_draws,
    stir,
)
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.strategies import seeds
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.conformance.tolerance import TOLERANCE, need_equal
from sa3dhp_core.geometry import bone_lengths, within_limits
from sa3dhp_core.protocols.pose_prior import PosePrior

NOUN = "pose_prior"
HELD_OUT = 1024
"""Poses, or samples, that a figure is measured on."""

HUGE = 1e4
"""What is squashed to the edge of the domain; networks find their limits with it."""


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """A pose prior is built for a skeleton."""
    return {"skeleton": bench.skeleton}


def begin(subject: Subject, bench: Bench, seed: int) -> Lesson:
    """A new prior with its task, on the bench's motion."""
    prior, drawn = made(subject, bench, seed), []  # type: ignore[var-annotated]
    with seeded(bench.seed, NOUN, seed):  # as the runner seeds the beginning of a stage
        task = prior.task(recorded(bench.motion.train.poses, drawn))
    return Lesson(prior, task, {}, drawn)


def held_out(bench: Bench, count: int = HELD_OUT) -> Tensor:
    """``(count, J, 3)`` poses that no prior has learned from."""
    return bench.motion.held_out.poses(count, bench.generator("held out")).to(torch.get_default_dtype())


def edges(prior: Any) -> tuple[Tensor, Tensor]:
    """Lowest and highest z ``(latent,)`` of the domain, as `bound` gives them."""
    like = next((p for p in prior.parameters() if p.is_floating_point()), torch.zeros(()))
    raw = torch.full((prior.latent,), HUGE, dtype=like.dtype, device=like.device)
    return prior.bound(-raw), prior.bound(raw)


def need_inside(z: Tensor, prior: Any, what: str) -> None:
    """Raise `BrokenPromise` unless ``(..., latent)`` lies in the domain."""
    low, high = edges(prior)
    slack = TOLERANCE[z.dtype] * (1 + high.abs())
    over = torch.maximum(low - slack - z, z - high - slack)
    must(bool((over <= 0).all()), f"{what} leaves the domain", f"by {float(over.max()):.3g}", "bound's own range")


def answers(prior: Any, bench: Bench) -> dict[str, Tensor]:
    """What a prior says to fixed questions."""
    z = prior.sample(16, bench.generator("questions"))
    return {"sample": z, "decoded": prior.decode(z), "encoded": prior.encode(prior.decode(z.detach()))}


@check(NOUN, "is a module with the width of its latent and its skeleton")
def has_the_attributes(subject: Subject, bench: Bench) -> None:
    prior = made(subject, bench)
    must(isinstance(prior, nn.Module), "is no torch.nn.Module", type(prior).__name__)
    must(isinstance(prior, PosePrior), "lacks an attribute of the protocol")
    must(type(prior.latent) is int and prior.latent > 0, "latent is no width", prior.latent)
    must(prior.skeleton == bench.skeleton, "has another skeleton than it was given", prior.skeleton.id)


@check(NOUN, "encodes and decodes with any leading axes, each pose by itself, in the dtype of its weights")
def keeps_leading_axes(subject: Subject, bench: Bench) -> None:
    prior = made(subject, bench).eval()
    for device in bench.devices:
        for dtype in (torch.float32, torch.float64):
            prior = prior.to(device=device, dtype=dtype)
            poses = held_out(bench, 6).to(device=device, dtype=dtype)
            whole = prior.encode(poses)
            decoded = prior.decode(whole)
            must(whole.shape == (6, prior.latent), "embeddings of a wrong shape", tuple(whole.shape))
            must(decoded.shape == poses.shape, "decoded poses of a wrong shape", tuple(decoded.shape))
            found = {(t.dtype, t.device) for t in (whole, decoded)}
            must(found == {(dtype, poses.device)}, "changes dtype or device", found, (dtype, poses.device))
            for shape in ((), (1,), (2, 3), (3, 1, 2), (0,)):
                count = int(torch.tensor(shape).prod()) if shape else 1
                few = {"z": prior.encode(poses[:count].reshape(*shape, *poses.shape[1:]))}
                few["poses"] = prior.decode(whole[:count].reshape(*shape, prior.latent))
                expected = {"z": whole[:count].reshape(*shape, -1) if count else whole[:0]}
                expected["poses"] = decoded[:count].reshape(*shape, *poses.shape[1:])
                need_close(few, expected, f"leading axes {shape} are treated differently")


@check(NOUN, "its bound squashes whatever is real into one finite domain, with a gradient")
def bounds_anything(subject: Subject, bench: Bench) -> None:
    prior = made(subject, bench)

    @bench.for_all(seed=seeds)
    def holds(seed: int) -> None:
        direction = torch.randn(2, 3, prior.latent, generator=bench.generator("raw", seed))
        for scale in (0.01, 1.0, HUGE, HUGE**2):
            raw = (scale * direction).requires_grad_()
            z = prior.bound(raw)
            must(z.shape == raw.shape, "bound changes the shape", tuple(z.shape), tuple(raw.shape))
            need_finite({"z": z}, "bound")
            need_inside(z.detach(), prior, "what bound returns")
            (gradient,) = torch.autograd.grad(z.sum(), raw)
            need_finite({"gradient": gradient}, "bound")
            must(scale > 1 or gradient.abs().max() > 0, "bound has no gradient near the middle")


@check(NOUN, "what it encodes and what it samples lies in the domain that its bound gives")
def stays_in_its_domain(subject: Subject, bench: Bench) -> None:
    prior = trained(begin, NOUN, subject, bench)
    need_inside(prior.encode(held_out(bench)), prior, "an encoded pose")
    need_inside(prior.encode(3 * bench.poses(64, dtype=torch.get_default_dtype())), prior, "an encoded giant")
    need_inside(prior.sample(HELD_OUT, bench.generator("samples")), prior, "a sample")


@check(NOUN, "decodes any z of its domain to a finite pose whose root is the origin")
def decodes_its_whole_domain(subject: Subject, bench: Bench) -> None:
    prior = trained(begin, NOUN, subject, bench)
    low, high = edges(prior)

    @bench.for_all(seed=seeds)
    def holds(seed: int) -> None:
        share = torch.rand(32, prior.latent, generator=bench.generator("domain", seed))
        share[:16] = share[:16].round()  # its corners
        decoded = prior.decode(torch.lerp(low, high, share))
        need_finite({"a pose": decoded}, "decode")
        root = decoded[..., bench.skeleton.index(bench.skeleton.root), :]
        need_equal(root, torch.zeros_like(root), "a decoded pose is not root-relative")


@check(NOUN, "samples from the generator that it is given alone, as many as it is asked for")
def samples_from_its_generator_alone(subject: Subject, bench: Bench) -> None:
    prior = trained(begin, NOUN, subject, bench)
    need_no_draws(lambda: {"samples": prior.sample(16, bench.generator("samples"))}, "sample")
    for count in (0, 1, 5):
        found = tuple(prior.sample(count, bench.generator("samples")).shape)
        must(found == (count, prior.latent), "samples of a wrong shape", found, (count, prior.latent))
    one, two = (prior.sample(4, bench.generator("samples", seed)) for seed in range(2))
    must(not torch.equal(one, two), "two generators give the same samples")


@check(NOUN, "encoding and decoding are differentiable, draw nothing and leave what they are given as it was")
def maps_without_side_effects(subject: Subject, bench: Bench) -> None:
    prior = made(subject, bench).eval()
    stir(prior, bench, subject.name)
    poses = held_out(bench, 4).requires_grad_()
    z = prior.sample(4, bench.generator("samples")).detach().requires_grad_()
    for name, function, given in (("encode", prior.encode, poses), ("decode", prior.decode, z)):
        need_clean_map(name, function, given, bench)


@check(NOUN, "held-out motion, encoded and decoded, comes back within the declared mean error", ["round-trip-mm"])
def comes_back_within_its_figure(subject: Subject, bench: Bench) -> None:
    prior, poses = trained(begin, NOUN, subject, bench), held_out(bench)
    error_mm = 1000 * float((prior.decode(prior.encode(poses)) - poses).norm(dim=-1).mean())
    limit = subject.figures["round-trip-mm"]
    must(error_mm <= limit, "the round trip is off", f"{error_mm:.1f} mm on {bench.motion.source}", f"{limit:g} mm")


@check(NOUN, "all that it decodes has the same bone lengths, left and right alike", ["constant-bone-lengths"])
def decodes_constant_bones(subject: Subject, bench: Bench) -> None:
    prior, body = trained(begin, NOUN, subject, bench), bench.skeleton
    low, high = edges(prior)
    anywhere = torch.lerp(low, high, torch.rand(64, prior.latent, generator=bench.generator("domain")))
    z = torch.cat([prior.encode(held_out(bench, 64)), prior.sample(64, bench.generator("samples")), anywhere])
    lengths = bone_lengths(prior.decode(z), body)
    need_equal(lengths, lengths[:1].expand_as(lengths), "decoded bones differ in length")
    need_equal(lengths, lengths[:, list(body.mirror)], "left and right bones differ in length")


@check(NOUN, "at least the declared share of decoded samples keeps the card's limits of bending", ["anatomical-rate"])
def samples_what_a_body_can_do(subject: Subject, bench: Bench) -> None:
    prior = trained(begin, NOUN, subject, bench)
    decoded = prior.decode(prior.sample(HELD_OUT, bench.generator("samples")))
    rate = float(within_limits(decoded, bench.skeleton).double().mean())
    wanted = subject.figures["anatomical-rate"]
    must(rate >= wanted, "samples bend where no body does", f"{rate:.3f} within limits", f"at least {wanted:g}")


task_checks(NOUN, "prior", begin, answers)
