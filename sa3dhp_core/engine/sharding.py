"""Weights that are split over processes (FSDP): stepped as plain parts, saved and read back whole.

Files never show how many processes wrote them. Where nothing is split, everything here hands back what it is given.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.utils import clip_grad_norm_

from sa3dhp_core.engine.averaging import named_state
from sa3dhp_core.errors import TrainingError


class Shards:
    """The split modules of one training.

    An optimiser gets this process's parts as plain tensors in the place of split parameters, so that it may mix them
    with others and run its fused kernels. Right for optimisers that work element by element (SGD, Adam, AdamW).
    """

    def __init__(self) -> None:
        self._modules: dict[str, nn.Module] = {}
        self._whole: dict[int, str] = {}
        self._split_of: dict[int, DTensor] = {}

    def copy(self, name: str, module: nn.Module) -> nn.Module:
        """A copy of a module, to be split; the module itself stays whole and gets the weights at the end."""
        self._whole |= {id(parameter): name for parameter in module.parameters()}
        copied = copy.deepcopy(module)
        for parameter in copied.parameters():
            parameter.data = parameter.data.contiguous()  # parts are cut along the first axis
        self._modules[name] = copied
        return copied

    def live(self, modules: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
        """Modules by name, the split ones in the place of those that they were copied from."""
        return {name: self._modules.get(name, module) for name, module in modules.items()}

    def hand_to(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """Let an optimiser step this process's parts.

        Raises:
            TrainingError: it was made for a module before that was split.
        """
        for group in optimizer.param_groups:
            group["params"] = [self._part(parameter) for parameter in group["params"]]
        return optimizer

    def _part(self, parameter: Tensor) -> Tensor:
        if id(parameter) in self._whole:
            name = self._whole[id(parameter)]
            raise TrainingError(
                f"module {name!r} cannot be split over processes: its optimiser is made before it is",
                where="engine.shard_from",
                hint="a greater number of parameters, so that it is copied; or engine.strategy=ddp",
            )
        if not isinstance(parameter, DTensor):
            return parameter
        part = parameter.to_local().detach().requires_grad_(parameter.requires_grad)
        self._split_of[id(part)] = parameter
        return part

    def collect(self, optimizer: Any) -> None:
        """Hand the gradients of split parameters to the parts that an optimiser steps."""
        for part in _parameters(optimizer):
            split = self._split_of.get(id(part))
            if split is not None and split.grad is not None:
                part.grad = split.grad.to_local()  # type: ignore[attr-defined]
        for module in self._modules.values():
            module.zero_grad()

    def clip(self, optimizer: Any, norm: float) -> None:
        """Clip the norm of all gradients of an optimiser, split or not, over all processes."""
        if not self._modules:
            clip_grad_norm_(_parameters(optimizer), norm)
            return
        split = [p.grad for p in _parameters(optimizer) if p.grad is not None and id(p) in self._split_of]
        other = [p.grad for p in _parameters(optimizer) if p.grad is not None and id(p) not in self._split_of]
        squares = [torch.nn.utils.get_total_norm(grads).square() for grads in (split, other)]
        device = next(iter(split + other)).device if split or other else None
        total = squares[0].to(device, torch.float32).reshape(1).clone()
        dist.all_reduce(total)
        torch.nn.utils.clip_grads_with_norm_(_parameters(optimizer), norm, (total[0] + squares[1].to(total)).sqrt())

    def state(self, optimizer: Any) -> dict[str, Any]:
        """An optimiser's state with whole moments; every process must call it."""
        found: dict[str, Any] = optimizer.state_dict()
        if not self._modules:
            return found
        whole = {
            number: {name: self._joined(parameter, value) for name, value in found["state"][number].items()}
            for number, parameter in enumerate(_parameters(optimizer))
            if number in found["state"]
        }
        return {**found, "state": whole}

    def cut(self, optimizer: Any, state: Mapping[str, Any]) -> dict[str, Any]:
        """Inverse of `state`: what this process's optimiser loads."""
        if not self._modules:
            return dict(state)
        parameters = _parameters(optimizer)
        parts = {
            number: {name: self._cut(parameters[int(number)], value) for name, value in moments.items()}
            for number, moments in state["state"].items()
        }
        return {**state, "state": parts}

    def _joined(self, part: Tensor, value: Any) -> Any:
        split = self._split_of.get(id(part))
        if split is None or not isinstance(value, Tensor) or value.shape != part.shape:
            return value
        return whole(
            DTensor.from_local(
                value, split.device_mesh, split.placements, run_check=False, shape=split.shape, stride=split.stride()
            )
        )

    def _cut(self, part: Tensor, value: Any) -> Any:
        split = self._split_of.get(id(part))
        if split is None or not isinstance(value, Tensor) or value.shape != split.shape:
            return value
        return part_of(like(value, split))

    def agree(self, found: dict[str, float]) -> dict[str, float]:
        """What any process found in its parts, the same on all."""
        if not self._modules:
            return found
        everybody: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(everybody, found)
        return next((one for one in everybody if one), {})

    def join(self, modules: Mapping[str, nn.Module], device: torch.device) -> None:
        """Put the split modules' weights into those that they were copied from; buffers are those of the first."""
        for name, split in self._modules.items():
            for buffer in split.buffers():
                dist.broadcast(buffer, src=0)
            module, state = modules[name].to(device), whole_state(split.state_dict())
            for key, value in module.state_dict(keep_vars=True).items():
                value.data = value.data.to(state[key].dtype)  # as a precision may have made the copy
            module.load_state_dict(state)


def _parameters(optimizer: Any) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def whole(value: Tensor) -> Tensor:
    """A tensor of all processes' parts, in the machine's memory; every process must call it for a split one."""
    return value.full_tensor().cpu() if isinstance(value, DTensor) else value


def like(value: Tensor, present: Tensor) -> Tensor:
    """A whole tensor, split as another one is, on its device."""
    if not isinstance(present, DTensor):
        return value.to(present.device)
    return distribute_tensor(value.to(present.device), present.device_mesh, present.placements)


def whole_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by name, all whole; every process must call it if one of them is split."""
    return {name: whole(value) for name, value in state.items()}


def part_of(value: Tensor) -> Tensor:
    """This process's part of a tensor that may be split."""
    return value.to_local() if isinstance(value, DTensor) else value


def split_state(state: Mapping[str, Tensor], modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Whole tensors by name, split as the modules are; names that no module has are kept, to be refused by loading."""
    present = named_state(modules)
    return {name: like(value, present[name]) if name in present else value for name, value in state.items()}
