"""How many processes compute a run and how they share the weights: what is asked of Fabric, and whether it can be.

Knows the launchers (Fabric's own, torchrun, SLURM) by the environment variables that they set. Trains nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
import torch.distributed as dist
from lightning_fabric.strategies import ModelParallelStrategy, Strategy
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.errors import RecipeError

FSDP = "fsdp"
ALONE = ("ddp", FSDP)
"""Strategies that one process does without."""


def strategy_of(config: EngineConfig) -> str | Strategy:
    """What Fabric is told. ``fsdp`` is PyTorch's present FSDP (`fully_shard`), on any device.

    Fabric's own flag of that name is the older FSDP, which PyTorch keeps for GPUs only; both split weights, gradients
    and moments over the processes.
    """
    world = config.devices * config.nodes
    if world == 1 and config.strategy in ALONE:
        return "auto"
    if config.strategy != FSDP:
        return config.strategy

    def parallelize(module: nn.Module, mesh: DeviceMesh) -> nn.Module:
        if is_split(module, config):
            fully_shard(module, mesh=mesh["data_parallel"], reshard_after_forward=True)  # in place
            return module
        return DistributedDataParallel(module)

    return ModelParallelStrategy(parallelize, data_parallel_size=world, tensor_parallel_size=1)


def is_split(module: nn.Module, config: EngineConfig) -> bool:
    """Whether a module's weights are split over the processes; smaller ones are copied to all, as with ``ddp``."""
    several = config.devices * config.nodes > 1
    return several and config.strategy == FSDP and sum(p.numel() for p in module.parameters()) >= config.shard_from


def copies(modules: Iterable[nn.Module]) -> list[DistributedDataParallel]:
    """The modules that every process has a copy of, whose gradients are averaged as a backward pass makes them."""
    return [part for module in modules for part in module.modules() if isinstance(part, DistributedDataParallel)]


@contextmanager
def apart(copied: Iterable[DistributedDataParallel]) -> Iterator[None]:
    """Let the gradients of several backward passes add up in each process; `average` makes them everybody's.

    Averaged as they come they would be so only once after a forward pass, and stay this process's own afterwards.
    """
    with ExitStack() as opened:
        for copy in copied:
            opened.enter_context(copy.no_sync())
        yield


def average(copied: Iterable[DistributedDataParallel]) -> None:
    """Average gradients over the processes, in one message for each type of numbers."""
    grads = [p.grad for copy in copied for p in copy.parameters() if p.grad is not None]
    for dtype in dict.fromkeys(grad.dtype for grad in grads):
        some = [grad for grad in grads if grad.dtype == dtype]
        together = torch.cat([grad.flatten() for grad in some])
        dist.all_reduce(together)
        together /= dist.get_world_size()
        for grad, mean in zip(some, together.split([grad.numel() for grad in some]), strict=True):
            grad.copy_(mean.view_as(grad))


def check_launch(config: EngineConfig, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse a launch by torchrun or srun of more or fewer processes than the recipe says.

    Raises:
        RecipeError: each of them would otherwise take itself for the only one, or wait for others that never come.
    """
    launched = _launched(environment)
    if launched is None:
        return
    launcher, world, nodes = launched
    if config.devices * config.nodes == world and nodes in (None, config.nodes):
        return
    nodes = nodes or 1
    raise RecipeError(
        f"{launcher} started other processes than the recipe says",
        where="engine.devices, engine.nodes",
        found=f"{config.devices} processes a machine on {config.nodes} machine(s)",
        expected=f"{world} processes" + (f" on {nodes} machine(s)" if nodes > 1 else ""),
        hint=f"--set engine.devices={max(1, world // nodes)} --set engine.nodes={nodes}",
    )


def _launched(environment: Mapping[str, str]) -> tuple[str, int, int | None] | None:
    """Launcher, processes and, where it tells, machines; None if this process was started by hand."""
    if "TORCHELASTIC_RUN_ID" in environment:
        world, local = int(environment["WORLD_SIZE"]), int(environment.get("LOCAL_WORLD_SIZE") or 0)
        return "torchrun", world, world // local if local and world % local == 0 else None
    in_step = "SLURM_STEP_ID" in environment or int(environment.get("SLURM_PROCID") or 0) > 0
    if in_step and environment.get("SLURM_JOB_NAME") not in ("bash", "interactive") and "SLURM_NTASKS" in environment:
        return "srun", int(environment["SLURM_NTASKS"]), int(environment.get("SLURM_NNODES") or 0) or None
    return None
