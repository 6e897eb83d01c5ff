"""Checks that everything with a task of its own shares: priors and relation networks. Registers them by noun.

The loop here is the engine's without devices, checkpoints and logs (`sa3dhp_core.engine.training`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from sa3dhp_core.conformance.bench import Bench
from sa3dhp_core.conformance.modules import need_same, need_state
from sa3dhp_core.conformance.promises import check, must
from sa3dhp_core.conformance.subject import Subject
from sa3dhp_core.engine.averaging import MovingAverage
from sa3dhp_core.protocols.task import Task, Update
from sa3dhp_core.types import WHOLE

FEW = 3
"""Steps that show whether training repeats."""

KEPT = 64
"""Batches of a lesson that are kept for comparison."""

Begin = Callable[[Subject, Bench, int], "Lesson"]
"""``begin(subject, bench, seed)``: a module with initial weights of the seed, and its task on the bench's motion."""

Answers = Callable[[Any, Bench], Mapping[str, Tensor]]
"""``answers(module, bench)``: what a module says to fixed questions, by name."""


@attrs.frozen
class Lesson:
    """A module and how it is trained.

    Attributes:
        module: to be trained.
        task: its own.
        frozen: modules that it was given and must leave as they are.
        drawn: what the task drew first, in order.
    """

    module: Any
    task: Task
    frozen: dict[str, nn.Module]
    drawn: list[Tensor]


def recorded(draw: Callable[..., Tensor], drawn: list[Tensor]) -> Callable[..., Tensor]:
    """A draw that keeps the first that it gave."""

    def given(*arguments: Any, **named: Any) -> Tensor:
        batch = draw(*arguments, **named)
        if len(drawn) < KEPT:
            drawn.append(batch.clone())
        return batch

    return given


def train(task: Task, bench: Bench, steps: int | None, noise: int = 0) -> int:
    """Run a task's first steps as the engine does.

    Args:
        task: the training problem.
        bench: seeds the steps.
        steps: at most so many; None for all of the task.
        noise: what the seeds of the default generators differ by, as they do among processes.

    Returns:
        How many updates there were.

    Raises:
        BrokenPromise: the engine could not apply an update.
    """
    optimizers, done = task.optimizers(), 0
    average = MovingAverage(task.modules, task.ema) if task.ema is not None else None
    with torch.random.fork_rng():
        for step in range(task.steps if steps is None else min(steps, task.steps)):
            generator = bench.generator("step", step)
            torch.manual_seed(generator.initial_seed() + noise)
            fresh = True
            for update in task.updates(step, generator, WHOLE):
                _need_applicable(update, list(optimizers))
                told = getattr(task, "in_parts", False) or not update.partial
                must(told, "a task yields partial updates unannounced", "no in_parts", "in_parts = True")
                _apply(update, *optimizers[update.optimizer], task.clip_norm, fresh)
                fresh = not update.partial
                done += fresh
            if average is not None:
                average.update(task.modules, step)
    if average is not None and done:
        average.load_into(task.modules)
    return done


def trained(begin: Begin, noun: str, subject: Subject, bench: Bench) -> Any:
    """The noun's module after as many steps as the profile allows, frozen; trained once on a bench."""

    def learn() -> Any:
        lesson = begin(subject, bench, 0)
        train(lesson.task, bench, bench.profile.steps)
        return lesson.module.eval().requires_grad_(False)

    return bench.once((noun, subject), learn)


def _apply(
    update: Update, optimizer: torch.optim.Optimizer, scheduler: Any, clip_norm: float | None, fresh: bool
) -> None:
    if fresh:
        optimizer.zero_grad()
    update.loss.backward()
    if update.partial:
        return
    if clip_norm is not None:
        torch.nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], clip_norm)
    optimizer.step()
    if scheduler is not None:
        scheduler.step()


def _need_applicable(update: Update, optimizers: list[str]) -> None:
    """Raise `BrokenPromise` unless the engine could apply the update and log it."""
    must(update.optimizer in optimizers, "an update names no optimiser", update.optimizer, optimizers)
    must(update.loss.shape == (), "a loss is no scalar", tuple(update.loss.shape))
    must(update.loss.isfinite(), "a loss is not finite", float(update.loss.detach()))
    for name, value in update.logs.items():
        must(math.isfinite(float(value)), "a logged number is not finite", f"{name} = {float(value)}")


def task_checks(noun: str, key: str, begin: Begin, answers: Answers) -> None:
    """Register the checks of a noun whose modules bring a task.

    Args:
        noun: of the components.
        key: what the task calls the module.
        begin: builds a module with its task.
        answers: what a module says to fixed questions.
    """

    @check(noun, f"its task names the module `{key}`, its optimisers and finite losses, and steps nothing itself")
    def brings_a_task(subject: Subject, bench: Bench) -> None:
        lesson = begin(subject, bench, 0)
        task = lesson.task
        must(task.modules.get(key) is lesson.module, f"the task does not call the module {key!r}", list(task.modules))
        must(type(task.steps) is int and task.steps >= 0, "steps is no number of steps", task.steps)
        must(task.clip_norm is None or task.clip_norm > 0, "clip_norm is no norm", task.clip_norm)
        must(task.ema is None or 0 < task.ema < 1, "ema is no decay", task.ema)
        must(set(task.sharded) <= set(task.modules), "sharded names no module", task.sharded, list(task.modules))
        if task.steps > 0:
            _need_updates(task, bench)

    @check(noun, "training repeats: from equal weights and generators, three steps lead to equal weights")
    def trains_alike_twice(subject: Subject, bench: Bench) -> None:
        lessons = [begin(subject, bench, 0) for _ in range(3)]
        for lesson, noise in zip(lessons, (0, 0, 1), strict=True):
            train(lesson.task, bench, FEW, noise)
        first, second, other = lessons
        need_same(second.module.state_dict(), first.module.state_dict(), "a second training ends elsewhere")
        must(len(other.drawn) == len(first.drawn), "batches are drawn by more than the step's generator")
        alike = all(map(torch.equal, other.drawn, first.drawn))
        must(alike, "batches are drawn by more than the step's generator", "they differ with the global seed")

    @check(noun, "its state travels through safetensors: a second module that loads it answers alike, bit for bit")
    def keeps_its_state(subject: Subject, bench: Bench) -> None:
        first, second = (begin(subject, bench, seed) for seed in range(2))
        train(first.task, bench, FEW)
        with torch.no_grad():
            need_state(first.module.eval(), second.module, lambda module: answers(module, bench), bench)


def frozen_checks(noun: str, begin: Begin) -> None:
    """Register the check of a noun whose modules are given others, frozen."""

    @check(noun, "training leaves what it was given frozen as it was: weights, gradients and whether it wants them")
    def leaves_frozen_parts_alone(subject: Subject, bench: Bench) -> None:
        lesson = begin(subject, bench, 0)
        before = {name: _copied(module) for name, module in lesson.frozen.items()}
        train(lesson.task, bench, FEW)
        for name, module in lesson.frozen.items():
            need_same(module.state_dict(), before[name], f"training changes the frozen {name}")
            wanting = [n for n, p in module.named_parameters() if p.requires_grad or p.grad is not None]
            must(not wanting, f"the frozen {name} collects gradients", wanting)


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def _need_updates(task: Task, bench: Bench) -> None:
    """Raise `BrokenPromise` unless updates step all trainable weights, and are computed without moving any."""
    owned = {id(p) for o, _ in task.optimizers().values() for group in o.param_groups for p in group["params"]}
    left = [
        f"{name}.{key}"
        for name, module in task.modules.items()
        for key, parameter in module.named_parameters()
        if parameter.requires_grad and id(parameter) not in owned
    ]
    must(not left, "trainable parameters that no optimiser steps", left[:5])
    must(train(task, bench, 1), "a step has no update")
    before = {name: _copied(module) for name, module in task.modules.items()}
    next(task.updates(1, bench.generator("step", 1), WHOLE), None)
    for name, module in task.modules.items():
        parameters = dict(module.named_parameters())
        moved = [key for key in parameters if not torch.equal(parameters[key], before[name][key])]
        must(not moved, f"computing a loss moves weights of {name}", moved[:5])
