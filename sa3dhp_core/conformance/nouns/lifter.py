"""What a lifter must keep: poses of the right shape, person by person, trainable, and the symmetries that it claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from sa3dhp_core.atomic import read_tensors, seeded, write_tensors
from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.strategies import angles, seeds
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.conformance.symmetries import shape_error_mm, turn_error_mm
from sa3dhp_core.conformance.tolerance import need_equal
from sa3dhp_core.geometry import project, rotation_z

NOUN = "lifter"
NEAR_M, FAR_M = 3.0, 6.0
"""How far away the people of the bench stand."""

PEOPLE = 32
"""Whose mean a figure is."""

shapes = st.sampled_from([(), (1,), (5,), (2, 4), (0,)])
factors = st.floats(0.5, 2.0)


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """A lifter is built for a skeleton."""
    return {"skeleton": bench.skeleton}


def keypoints(bench: Bench, *lead: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """``(*lead, J, 2)``: what a camera of focal length 1 sees of people around its optical axis."""
    share = torch.rand(lead, generator=bench.generator("keypoints", seed), dtype=torch.float64)
    away = torch.zeros(*lead, 1, 3, dtype=torch.float64)
    away[..., 0, 2] = NEAR_M + (FAR_M - NEAR_M) * share
    found = project(bench.poses(*lead, seed=seed) + away, torch.eye(3, dtype=torch.float64))
    return found.to(dtype)


def evaluated(subject: Subject, bench: Bench) -> Any:
    """The lifter in evaluation mode."""
    return subject.make(bench).eval()


def untrained(subject: Subject, bench: Bench) -> Any:
    """The lifter in evaluation mode, with the same first weights every time."""
    with seeded(bench.seed, "conformance", NOUN):
        return evaluated(subject, bench)


def lift(lifter: Any, points: Tensor) -> Tensor:
    """Poses without a gradient."""
    with torch.no_grad():
        poses: Tensor = lifter(points)
    return poses


@check(NOUN, "is a torch module that lifts any leading axes, finite, in the keypoints' dtype and on their device")
def keeps_axes_dtype_and_device(subject: Subject, bench: Bench) -> None:
    lifter = evaluated(subject, bench)
    must(isinstance(lifter, torch.nn.Module), "is no torch.nn.Module", type(lifter).__name__)

    @bench.for_all(shape=shapes, seed=seeds)
    def holds(shape: tuple[int, ...], seed: int) -> None:
        poses = lift(lifter, keypoints(bench, *shape, seed=seed))
        must(poses.shape == (*shape, len(bench.skeleton), 3), "wrong shape", tuple(poses.shape), (*shape, "J", 3))
        must(bool(poses.isfinite().all()), "poses are not finite")

    for device in bench.devices:
        for dtype in (torch.float32, torch.float64):
            poses = lift(lifter.to(device, dtype), keypoints(bench, 3, dtype=dtype).to(device))
            found, wanted = (poses.dtype, poses.device), (dtype, device)
            must(found[0] == dtype and poses.device.type == device.type, "changes dtype or device", found, wanted)


@check(NOUN, "puts the root at the origin")
def puts_the_root_at_the_origin(subject: Subject, bench: Bench) -> None:
    lifter, root = evaluated(subject, bench), bench.skeleton.index(bench.skeleton.root)

    @bench.for_all(seed=seeds)
    def holds(seed: int) -> None:
        at = lift(lifter, keypoints(bench, 5, seed=seed))[:, root]
        need_equal(at, torch.zeros_like(at), "the root is not at the origin")


@check(NOUN, "in evaluation mode lifts each person alone, whoever else is in the batch, and alike every time")
def lifts_each_person_alone(subject: Subject, bench: Bench) -> None:
    lifter = evaluated(subject, bench)
    points = keypoints(bench, 2, 4)
    kept = points.clone()
    together = lift(lifter, points)
    must(torch.equal(points, kept), "changes its input")
    must(torch.equal(lift(lifter, points), together), "lifts the same keypoints differently")
    for batch, frame in ((0, 0), (1, 3)):
        alone = lift(lifter, points[batch, frame])
        need_equal(alone, together[batch, frame], "a pose depends on the others of its batch", factor=5)


@check(NOUN, "is differentiable: the gradient reaches the keypoints and every trainable parameter")
def is_differentiable(subject: Subject, bench: Bench) -> None:
    lifter = subject.make(bench).train()
    points = keypoints(bench, 8).requires_grad_()
    poses = lifter(points)
    weights = torch.randn(poses.shape, generator=bench.generator("weights"))
    (poses * weights).sum().backward()
    must(_reached(points), "the gradient does not reach the keypoints")
    for name, parameter in lifter.named_parameters():
        must(not parameter.requires_grad or _reached(parameter), f"the gradient does not reach {name}")


def _reached(tensor: Tensor) -> bool:
    return tensor.grad is not None and bool(tensor.grad.isfinite().all()) and bool((tensor.grad != 0).any())


@check(NOUN, "goes through safetensors: another build with its stored state lifts alike")
def survives_being_stored(subject: Subject, bench: Bench) -> None:
    lifter, other = evaluated(subject, bench), evaluated(subject, bench)
    path = bench.folder() / "lifter.safetensors"
    write_tensors(path, lifter.state_dict())
    other.load_state_dict(read_tensors(path))
    points = keypoints(bench, 5)
    need_equal(lift(other, points), lift(lifter, points), "the stored state lifts differently")


@check(NOUN, "turns poses as keypoints turn about the optical axis, up to its figure", ["rotation-equivariant-mm"])
def turns_with_its_keypoints(subject: Subject, bench: Bench) -> None:
    lifter, limit = evaluated(subject, bench), subject.figures["rotation-equivariant-mm"]

    @bench.for_all(seed=seeds, angle=angles)
    def holds(seed: int, angle: float) -> None:
        points, turn = keypoints(bench, 4, seed=seed), rotation_z(angle)
        found, expected = lift(lifter, points @ turn[:2, :2].mT), lift(lifter, points) @ turn.mT
        _within(found, expected, limit, "poses do not turn with their keypoints")


@check(NOUN, "does not change where keypoints grow or shrink around the optical axis", ["scale-invariant-mm"])
def ignores_the_size_of_its_keypoints(subject: Subject, bench: Bench) -> None:
    lifter, limit = evaluated(subject, bench), subject.figures["scale-invariant-mm"]

    @bench.for_all(seed=seeds, factor=factors)
    def holds(seed: int, factor: float) -> None:
        points = keypoints(bench, 4, seed=seed)
        _within(lift(lifter, factor * points), lift(lifter, points), limit, "poses change with the keypoints' size")


@check(NOUN, "as built lifts people who turned about the vertical as turned, up to its figure", ["turn-equivariant-mm"])
def turns_with_its_people(subject: Subject, bench: Bench) -> None:
    lifter, points = untrained(subject, bench), keypoints(bench, PEOPLE)
    apart_mm = turn_error_mm(lifter, points, bench.skeleton, bench.generator("turns"))
    need_figure(apart_mm, subject, "turn-equivariant-mm", "poses do not turn with their people")


@check(NOUN, "as built tells one canonical shape however it is turned, up to its figure", ["shape-invariant-mm"])
def keeps_its_canonical_shapes(subject: Subject, bench: Bench) -> None:
    lifter, points = untrained(subject, bench), keypoints(bench, PEOPLE)
    must(hasattr(lifter, "canonical_shape"), "tells no canonical shape", type(lifter).__name__, "`canonical_shape`")
    apart_mm = shape_error_mm(lifter.canonical_shape, lifter, points, bench.skeleton, bench.generator("turns"))
    need_figure(apart_mm, subject, "shape-invariant-mm", "canonical shapes change as they are turned")


def need_figure(found_mm: float, subject: Subject, name: str, what: str) -> None:
    """Raise `BrokenPromise` unless a measured figure is at most the claimed one."""
    limit_mm = subject.figures[name]
    must(found_mm <= limit_mm, what, f"{found_mm:.4g} mm", f"at most {limit_mm:g} mm")


def _within(found: Tensor, expected: Tensor, limit_mm: float, what: str) -> None:
    apart_mm = 1000 * float((found - expected).norm(dim=-1).max())
    must(apart_mm <= limit_mm, what, f"{apart_mm:.3g} mm", f"at most {limit_mm:g} mm")
