"""The training loop, on Lightning Fabric: one that can be read.

Step k of a stage depends on (seed, stage, k) and on the weights alone, so a resumed run repeats an uninterrupted one.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import attrs
import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

from sa3dhp_core.atomic import generator_for
from sa3dhp_core.engine import devices, kernels, memory, precision
from sa3dhp_core.engine.averaging import MovingAverage, load_named, named_state
from sa3dhp_core.engine.checkpoint import (
    CHECKPOINT,
    WEIGHTS,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)
from sa3dhp_core.engine.distribution import apart, average, check_launch, copies, is_split, strategy_of
from sa3dhp_core.engine.feeding import Feed, Served, batches_ahead
from sa3dhp_core.engine.sharding import Shards, part_of, split_state, whole_state
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.errors import PluginError, RecipeError, RunError, TrainingError
from sa3dhp_core.protocols.task import Task
from sa3dhp_core.types import Shard


class Progress(Protocol):
    """The part of a sink board that the engine talks to."""

    def stage_started(self, stage: str, steps: int | None) -> None:
        """A stage begins."""
        ...

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        """A step is done."""
        ...


class Engine:
    """Runs tasks.

    Args:
        config: devices, precision, strategy, intervals.
        seed: the recipe's seed.
        board: where progress goes.

    Raises:
        RecipeError: the device, strategy or precision is not to be had here.
    """

    def __init__(self, config: EngineConfig, seed: int, board: Progress) -> None:
        self.config, self.seed, self.board = config, seed, board
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        torch.set_float32_matmul_precision(config.matmul_precision)
        check_launch(config)
        devices.need(config)
        try:
            self.fabric = Fabric(
                accelerator="auto" if config.device == "auto" else config.device,
                devices=config.devices,
                num_nodes=config.nodes,
                strategy=strategy_of(config),
                **precision.arguments(config),
            )
        except (RuntimeError, ValueError, TypeError, MisconfigurationException) as error:
            raise RecipeError(
                f"this machine cannot compute as the recipe asks: {error}",
                where="engine",
                found=f"device = {config.device!r}, devices = {config.devices}, strategy = {config.strategy!r}, "
                f"precision = {config.precision!r}",
                hint="--set engine.device=auto, or `sa3dhp doctor` for what this machine has",
            ) from error
        precision.need(config.precision, self.fabric.device)
        kernels.need(config, self.fabric.device)
        if config.devices * config.nodes > 1:
            logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # every rank would announce itself
            self.fabric.launch()

    @property
    def device(self) -> torch.device:
        """Where this rank computes."""
        return self.fabric.device

    @property
    def dtype(self) -> torch.dtype:
        """Numbers of poses, latents, losses and frozen parts: never less than float32."""
        return precision.exact(self.config.precision)

    @property
    def shard(self) -> Shard:
        """This rank's part of every global batch."""
        return Shard(self.fabric.global_rank, self.fabric.world_size)

    def gather(self, values: Tensor) -> Tensor:
        """Concatenate ``(b, ...)`` of all ranks to the global batch in its original order, with gradient."""
        if self.shard.world == 1:
            return values
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*all_gather is deprecated")  # Fabric's business
            stacked: Tensor = self.fabric.all_gather(values, sync_grads=values.requires_grad)  # type: ignore[assignment]
        return stacked.transpose(0, 1).flatten(0, 1)

    def train(self, task: Task, stage: str, folder: Path) -> None:
        """Train until `task.steps`, resuming from the folder's checkpoint; leaves `weights.safetensors`.

        A folder that has the weights and no checkpoint is done: they are loaded. One folder holds one training.

        Args:
            task: the training problem; its modules hold the final weights on return.
            stage: name used for seeds, progress and errors.
            folder: where the checkpoint and weights are written.

        Raises:
            TrainingError: a loss is no longer finite; names stage, step, loss and the last good checkpoint.
        """
        with ExitStack() as opened:
            self._train(task, stage, folder, opened)

    def _train(self, task: Task, stage: str, folder: Path, opened: ExitStack) -> None:
        raw = dict(task.modules)
        if (folder / WEIGHTS).is_file() and not (folder / CHECKPOINT).is_file():
            load_weights(folder, raw)
            for module in raw.values():
                module.to(self.device)
            return
        self._shards = Shards()
        self._set_up(task)
        live = self._shards.live(raw)
        optimizers = {}
        for name, (optimizer, scheduler) in task.optimizers().items():
            _need_owned(optimizer, (*raw.values(), *live.values()), f"{type(task).__name__}.optimizers()[{name!r}]")
            optimizers[name] = self.fabric.setup_optimizers(self._prepared(optimizer)), scheduler
        average = MovingAverage(live, task.ema) if task.ema is not None else None
        first = self._restore(folder, live, optimizers, average)
        self.board.stage_started(stage, task.steps)
        logs: dict[str, Tensor | float] = {}
        feed = opened.enter_context(self._feed(task, stage, first))
        for step in range(first, task.steps):
            with memory.explained(stage, step, self.device, self.config, task, folder):
                logs |= self._step(task, feed.take(step), optimizers)
            if average is not None:
                average.update(live, step)
            done = step + 1
            save = done % self.config.checkpoint_every == 0 and done < task.steps
            if save or done % self.config.log_every == 0 or done == task.steps:
                scalars = self._mean_over_ranks(logs)
                self._check(scalars, stage, done, folder)
                if save or done == task.steps:
                    self._check(self._shards.agree(not_finite(live)), stage, done, folder)
                scalars |= feed.speed(done - first)
                if self.fabric.is_global_zero:
                    self.board.progress(stage, done, scalars)
            if save:
                self._save(folder, done, live, optimizers, average)
        if average is not None and task.steps > 0:
            average.load_into(live)
        self._shards.join(raw, self.device)
        task.modules.update(raw)
        for module in raw.values():
            kernels.release(module)
        if self.fabric.is_global_zero:
            save_weights(folder, raw)
            (folder / CHECKPOINT).unlink(missing_ok=True)
        self.fabric.barrier()

    def _set_up(self, task: Task) -> None:
        precision.begin(self.fabric)
        for name, module in task.modules.items():
            trainable = any(parameter.requires_grad for parameter in module.parameters())
            sharded = name in getattr(task, "sharded", ())
            if sharded and is_split(module, self.config):
                copied = self._shards.copy(name, module)
                copied = kernels.prepare(copied, attrs.evolve(self.config, channels_last=False))
                task.modules[name] = self.fabric.setup_module(copied)
            elif sharded and trainable:
                task.modules[name] = self.fabric.setup_module(kernels.prepare(module, self.config))
            else:
                module.to(self.device, self.dtype if self.dtype is torch.float64 else None)
                if not trainable:
                    kernels.follow(module, self.fabric.strategy.precision)

    def _prepared(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        return kernels.set_fused(self._shards.hand_to(optimizer), self.config.fused)

    def _feed(self, task: Task, stage: str, first: int) -> Feed:
        ahead = batches_ahead(self.config.prefetch, self.device)
        seeded = partial(generator_for, self.seed, stage)
        return Feed(task, seeded, stage, first, self.shard, self.device, ahead)

    def _step(self, task: Task, served: Served, optimizers: Mapping[str, tuple[Any, Any]]) -> dict[str, Tensor | float]:
        logs: dict[str, Tensor | float] = {}
        # Whatever draws from the default generators (dropout) repeats as well; one process of a group draws its own.
        _seed_defaults(served.generator.initial_seed() + self.shard.rank, self.device)
        fresh = True
        in_parts = getattr(task, "in_parts", False)
        copied = copies(task.modules.values()) if in_parts else []
        with apart(copied):
            for update in served.updates():
                optimizer, scheduler = optimizers[update.optimizer]
                if fresh:
                    optimizer.zero_grad()
                self.fabric.backward(update.loss)
                fresh = not update.partial
                if update.partial:
                    if not in_parts:
                        expected, where = "in_parts = True", type(task).__name__
                        raise PluginError("a task yields partial updates unannounced", where=where, expected=expected)
                    logs |= update.logs
                    continue
                average(copied)
                self._shards.collect(optimizer)
                if task.clip_norm is not None:
                    precision.unscale(self.fabric, optimizer)
                    self._shards.clip(optimizer, task.clip_norm)
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
                logs[f"loss/{update.optimizer}"] = update.loss.detach()
                logs |= update.logs
        return logs

    def _mean_over_ranks(self, logs: Mapping[str, Tensor | float]) -> dict[str, float]:
        """Scalars of the global batch, the same on every rank, so that all ranks stop together."""
        if self.shard.world == 1 or not logs:
            return {name: float(value) for name, value in logs.items()}
        names = sorted(logs)
        values = torch.tensor([float(logs[name]) for name in names], dtype=torch.float64, device=self.device)
        mean = self.fabric.all_reduce(values, reduce_op="mean")
        return dict(zip(names, mean.tolist(), strict=True))  # type: ignore[union-attr]

    def _check(self, scalars: Mapping[str, float], stage: str, step: int, folder: Path) -> None:
        bad = [name for name, value in scalars.items() if not math.isfinite(value)]
        if bad:
            path = folder / CHECKPOINT
            raise TrainingError(
                f"{', '.join(bad)} is no longer finite",
                where=f"stage {stage!r}, at or before step {step}",
                found={name: scalars[name] for name in bad},
                expected="finite losses",
                hint=f"lower the learning rate or the loss's weight; last good checkpoint: "
                f"{path if path.is_file() else 'none yet in this stage'}",
            )

    def _save(
        self,
        folder: Path,
        step: int,
        modules: Mapping[str, nn.Module],
        optimizers: Mapping[str, tuple[Any, Any]],
        average: MovingAverage | None,
    ) -> None:
        state = {
            "modules": whole_state(named_state(modules)),
            "optimizers": {name: self._shards.state(optimizer) for name, (optimizer, _) in optimizers.items()},
            "schedulers": {name: s.state_dict() for name, (_, s) in optimizers.items() if s is not None},
            "average": {} if average is None else whole_state(average.average),
            "scale": self.fabric.strategy.precision.state_dict(),
        }
        if self.fabric.is_global_zero:
            save_checkpoint(folder, step, state)

    def _restore(
        self,
        folder: Path,
        modules: Mapping[str, nn.Module],
        optimizers: Mapping[str, tuple[Any, Any]],
        average: MovingAverage | None,
    ) -> int:
        found = load_checkpoint(folder)
        if found is None:
            return 0
        step, state = found
        try:
            load_named(modules, split_state(state["modules"], modules))
            for name, (optimizer, scheduler) in optimizers.items():
                optimizer.load_state_dict(self._shards.cut(optimizer, state["optimizers"][name]))
                _lay_out_like_parameters(optimizer)
                if scheduler is not None:
                    scheduler.load_state_dict(state["schedulers"][name])
            if state["scale"]:
                self.fabric.strategy.precision.load_state_dict(state["scale"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise RunError(
                f"the checkpoint does not fit what is trained: {error}",
                where=str(folder / CHECKPOINT),
                hint="delete it to begin this stage again",
            ) from error
        if average is not None:
            average.average = split_state(state["average"], modules)
        return step


def _seed_defaults(seed: int, device: torch.device) -> None:
    """Seed what is in use: `torch.manual_seed` notes a stack trace for every kind of accelerator that is not."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(seed)
    elif device.type != "cpu":
        torch.manual_seed(seed)


def _lay_out_like_parameters(optimizer: Any) -> None:
    """Give moments their parameters' memory order: files keep none, and fused kernels read storages as they lie."""
    for parameter, state in getattr(optimizer, "optimizer", optimizer).state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, dtype=value.dtype, device=value.device).copy_(value)


def _need_owned(optimizer: torch.optim.Optimizer, modules: Iterable[nn.Module], where: str) -> None:
    """Raise `PluginError` for weights that an optimiser would step and nobody would see."""
    owned = {id(parameter) for module in modules for parameter in module.parameters()}
    stepped = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    lost = [parameter for parameter in stepped if id(parameter) not in owned]
    if lost:
        raise PluginError(
            "an optimiser steps weights that no module of the task has",
            where=where,
            found=f"{len(lost)} of {len(stepped)} tensors, the first of shape {tuple(lost[0].shape)}",
            expected="parameters of task.modules",
            hint="name the module in `modules`; or make the optimiser only when `optimizers` is called",
        )


def not_finite(modules: Mapping[str, nn.Module]) -> dict[str, float]:
    """Weights that are no longer finite, as ``weight <name>`` to the first bad value; no checkpoint may hold one."""
    found = {}
    for name, value in named_state(modules).items():
        value = part_of(value)
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            found[f"weight {name}"] = float(value[~torch.isfinite(value)][0])
            break
    return found
