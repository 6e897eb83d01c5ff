"""What an alignment loss must keep: honest requests, a finite scalar, gradients where it says and nowhere else."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.losses import LABELLED, plain_parts, random_step, reordered, right_step
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.strategies import seeds
from sa3dhp_core.conformance.subject import Subject, built
from sa3dhp_core.conformance.tolerance import need_equal
from sa3dhp_core.protocols.alignment import LossInput, LossParts, View

NOUN = "alignment_loss"
WHO = ("student", "stopped", "teacher")
IMAGES = ("source", "tracks")
SUMS = 10.0
"""How many tolerances a sum over a batch may be off: the same numbers are added in another order."""

APART = 1e-3
"""What a loss must at least say about embeddings that have nothing to do with one another."""

clip_counts = st.integers(1, 4)


def parts(bench: Bench, table: Mapping[str, Any]) -> dict[str, Any]:
    """A loss is built from frozen parts; an example may name the relations mirror, tilt, turn and backward."""
    return {"parts": plain_parts(bench)}


def lent(subject: Subject, bench: Bench) -> tuple[Any, LossParts]:
    """The loss and the parts that it was built from: its own, where it was given built and holds some."""
    plain = plain_parts(bench)
    loss = subject.make(bench, parts=plain)
    held = [value for value in vars(loss).values() if isinstance(value, LossParts)]
    return loss, held[0] if held else plain


def asked(loss: Any, view: View) -> tuple[int, ...]:
    """The frames that a view shows."""
    return tuple(range(loss.window)) if view.frames is None else view.frames


@check(NOUN, "has a name, a weight, a window, views, and says which labelled images it wants")
def has_the_attributes(subject: Subject, bench: Bench) -> None:
    loss = subject.make(bench)
    wanted = ("name", "views", "window", "labelled", "weight")
    must(
        not [n for n in wanted if not hasattr(loss, n)], "lacks attributes", [n for n in wanted if not hasattr(loss, n)]
    )
    must(isinstance(loss.name, str) and loss.name, "name is no text", repr(loss.name))
    must(type(loss.window) is int and loss.window >= 1, "window is no number of frames", loss.window)
    must(math.isfinite(loss.weight) and loss.weight >= 0, "weight is no factor", loss.weight, "a number, 0 or more")
    must(isinstance(loss.views, tuple) and all(isinstance(v, View) for v in loss.views), "views are no tuple of `View`")
    must(isinstance(loss.labelled, tuple), "labelled is no tuple", loss.labelled)


@check(NOUN, "asks for views of relations that there are, encoded by whom there is, with frames inside its window")
def asks_for_views_inside_its_window(subject: Subject, bench: Bench) -> None:
    loss, given = lent(subject, bench)
    must(len(set(loss.views)) == len(loss.views), "asks for a view twice", loss.views)
    for view in loss.views:
        frames = asked(loss, view)
        must(frames and all(0 <= f < loss.window for f in frames), "frames leave the window", frames, loss.window)
        must(len(set(frames)) == len(frames), "a view shows a frame twice", frames)
        must(view.by in WHO, "nobody of that name encodes", view.by, WHO)
        must(view.spatial in ("", *given.relations), "no relation has that name", view.spatial, list(given.relations))


@check(NOUN, "asks for labelled images that there are, and for tracks exactly where it claims to")
def names_labelled_images_that_there_are(subject: Subject, bench: Bench) -> None:
    loss = subject.make(bench)
    must(set(loss.labelled) <= set(IMAGES), "no labelled images have that name", loss.labelled, IMAGES)
    claimed, wanted = "tracks" in subject.capabilities, "tracks" in loss.labelled
    must(claimed == wanted, "the capability `tracks` and `labelled` contradict each other", f"{claimed} and {wanted}")
    must(loss.views or loss.labelled, "asks for nothing to learn from")


@check(NOUN, "is one finite number for every embedding inside the prior's bound, with one clip or several")
def is_a_finite_number(subject: Subject, bench: Bench) -> None:
    @bench.for_all(seed=seeds, clips=clip_counts)
    def holds(seed: int, clips: int) -> None:
        loss, given = lent(subject, bench)
        for make in (random_step, right_step):
            value = loss(make(loss, given, bench, seed, clips))
            must(isinstance(value, Tensor) and value.shape == (), "is no scalar tensor", getattr(value, "shape", value))
            must(bool(value.isfinite()), "is not finite", value.detach())


@check(NOUN, "is never below zero", ["non-negative"])
def is_never_negative(subject: Subject, bench: Bench) -> None:
    @bench.for_all(seed=seeds, clips=clip_counts)
    def holds(seed: int, clips: int) -> None:
        loss, given = lent(subject, bench)
        for make in (random_step, right_step):
            value = float(loss(make(loss, given, bench, seed, clips)).detach())
            must(value >= 0, "is below zero", value)


@check(NOUN, "is zero where all is encoded as it should be, and above zero elsewhere", ["zero-when-consistent"])
def is_zero_when_consistent(subject: Subject, bench: Bench) -> None:
    @bench.for_all(seed=seeds, clips=clip_counts)
    def holds(seed: int, clips: int) -> None:
        loss, given = lent(subject, bench)
        right = loss(right_step(loss, given, bench, seed, clips)).detach()
        need_equal(right, torch.zeros_like(right), "is not zero where every view is right", factor=SUMS)
        wrong = float(loss(random_step(loss, given, bench, seed, clips)).detach())
        must(wrong > APART, "is zero where views have nothing to do with one another", wrong, f"above {APART}")


@check(NOUN, "does not depend on the order of clips and of labelled images", ["permutation-invariant"])
def ignores_the_order_of_the_batch(subject: Subject, bench: Bench) -> None:
    @bench.for_all(seed=seeds)
    def holds(seed: int) -> None:
        shuffle = bench.generator("order", seed)
        order = 1 + torch.randperm(3, generator=shuffle)
        clips = torch.cat([order, torch.zeros(1, dtype=order.dtype)])
        images = torch.randperm(LABELLED, generator=shuffle)
        loss, given = lent(subject, bench)
        other = twin(loss, subject, bench)
        step, same = (random_step(loss, given, bench, seed, clips=4) for _ in range(2))
        found = other(reordered(same, clips, images))
        need_equal(found.detach(), loss(step).detach(), "the order of the batch matters", factor=SUMS)


def twin(loss: Any, subject: Subject, bench: Bench) -> Any:
    """Another loss of the same keys in the same state."""
    other = subject.make(bench)
    if isinstance(loss, nn.Module):
        other.load_state_dict(loss.state_dict())
    return other


@check(NOUN, "leaves frozen parts alone: priors, relations and networks get no gradient, no change, no place in it")
def leaves_frozen_parts_alone(subject: Subject, bench: Bench) -> None:
    loss, given = lent(subject, bench)
    frozen = dict(_frozen(given))
    before = {name: p.detach().clone() for name, p in frozen.items()}
    loss(random_step(loss, given, bench)).backward()
    own = {id(t) for t in (*loss.parameters(), *loss.buffers())} if isinstance(loss, nn.Module) else set()
    for name, parameter in frozen.items():
        must(id(parameter) not in own, f"{name} is part of the loss, so it would be trained or stored")
        must(not parameter.requires_grad and parameter.grad is None, f"{name} gets a gradient")
        must(torch.equal(parameter, before[name]), f"{name} is changed")


def _frozen(given: LossParts) -> Iterator[tuple[str, Tensor]]:
    modules = {"pose_prior": given.pose_prior, "motion_prior": given.motion_prior}
    modules |= {f"networks.{name}": network for name, network in given.networks.items()}
    for name, module in modules.items():
        if isinstance(module, nn.Module):
            kept = (*module.named_parameters(), *module.named_buffers())
            yield from ((f"{name}.{inner}", tensor) for inner, tensor in kept)


@check(NOUN, "teaches the student through every view and image that it asks it to encode, and its own heads")
def teaches_the_student(subject: Subject, bench: Bench) -> None:
    loss, given = lent(subject, bench)
    step = random_step(loss, given, bench)
    loss(step).backward()
    for view, encoded in step.views.items():
        taught = _reached(encoded.z, encoded.feature)
        must(taught == (view.by == "student"), "the gradient stops short of a view", view)
    for name, labelled in step.labelled.items():
        must(_reached(*labelled.encoding), f"the gradient stops short of the labelled images `{name}`")
    for name, parameter in loss.named_parameters() if isinstance(loss, nn.Module) else ():
        must(not parameter.requires_grad or _reached(parameter), f"its own parameter {name} gets no gradient")


def _reached(*tensors: Tensor) -> bool:
    return any(t.grad is not None and bool((t.grad != 0).any()) and bool(t.grad.isfinite().all()) for t in tensors)


@check(NOUN, "leaves the step's material as it was")
def leaves_its_input_alone(subject: Subject, bench: Bench) -> None:
    loss, given = lent(subject, bench)
    step = random_step(loss, given, bench)
    before = copy.deepcopy([t.detach() for t in _tensors(step)])
    loss(step)
    must(all(torch.equal(a, b) for a, b in zip(_tensors(step), before, strict=True)), "changes what it is handed")


def _tensors(step: LossInput) -> list[Tensor]:
    found = [step.prior_poses]
    for encoded in step.views.values():
        found += [encoded.z, encoded.feature, *((encoded.spatial.matrix,) if encoded.spatial else ())]
    return found + [t for one in step.labelled.values() for t in (*one.encoding, one.poses)]


@check(NOUN, "draws from the step's generator alone: the same step in the same state gives the same number")
def draws_from_its_generator_alone(subject: Subject, bench: Bench) -> None:
    loss, given = lent(subject, bench)
    other = twin(loss, subject, bench)
    first, second = (random_step(loss, given, bench) for _ in range(2))
    before = torch.get_rng_state()
    found, again = loss(first), other(second)
    must(torch.equal(before, torch.get_rng_state()), "draws from the global generator")
    must(torch.equal(found, again), "two equal steps differ", again.detach(), found.detach())


@check(NOUN, "keeps all that it carries from step to step in its state, so that a resumed run repeats")
def goes_on_from_its_state(subject: Subject, bench: Bench) -> None:
    loss, given = lent(subject, bench)
    for step in range(3):
        loss(random_step(loss, given, bench, step=step))
    other = twin(loss, subject, bench)
    for step in (3, 4):
        found, again = (one(random_step(loss, given, bench, step=step)) for one in (loss, other))
        must(torch.equal(found, again), "a loss with its state goes on differently", again.detach(), found.detach())


@check(NOUN, "agrees with its slow reference, step after step, where its plugin gives one")
def agrees_with_its_reference(subject: Subject, bench: Bench) -> None:
    component = subject.component
    if component is None or (reference := component.load_reference()) is None:
        return
    for seed in range(3):
        loss, given = lent(subject, bench)
        slow = built(component, bench, reference, {})
        if isinstance(loss, nn.Module) and isinstance(slow, nn.Module):
            slow.load_state_dict(dict(loss.named_parameters()))
        for step in range(3):
            found, wanted = (one(random_step(loss, given, bench, seed, step=step)) for one in (loss, slow))
            wanted = torch.as_tensor(wanted, dtype=found.dtype)
            need_equal(found.detach(), wanted.detach(), "differs from the reference", factor=SUMS)
