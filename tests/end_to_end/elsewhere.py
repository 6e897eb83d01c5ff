"""The command line on a device that is not the CPU, though the CPU computes for it: what a GPU refuses, it refuses.

    python tests/end_to_end/elsewhere.py FACTS sa3dhp COMMAND ...

runs ``sa3dhp COMMAND ...`` there, in one thread, and writes to FACTS which operators computed there, and how often. Its
tensors cannot be mixed with the CPU's but where CUDA allows that (copies, indices, scalars); random numbers need a
generator of their own device; there is no way to numpy but through ``cpu()``. PyTorch's own key for devices that it
does not know makes autograd and the optimizers treat it as they treat any accelerator.

A module that goes there is given other parameters, where one that goes to a GPU keeps its own with other content; so
what was made for the former (an optimizer, before the engine asks for it) is found as well.

What it cannot show: CUDA's kernels and their rounding, autocast, streams and pinned memory, the compiler; activation
checkpointing, for PyTorch's ends the process where a device is made in Python.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeGuard
from unittest.mock import patch

import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators import CPUAccelerator
from lightning_fabric.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from sa3dhp_core.engine import quiet, training

_setup_privateuseone_for_python_backend("elsewhere")

aten = torch.ops.aten
DEVICE = torch.device("elsewhere:0")
COMPUTED: Counter[str] = Counter()
"""How often each operator computed there."""

MOVES = (aten.copy_.default, aten._to_copy.default)
INDEXED = (aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default)
"""What is indexed there may have indices on the CPU."""


class Elsewhere(Tensor):
    """A tensor of that device; `held` is what the CPU computes with."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: Tensor) -> Elsewhere:
        """Looks as `held` does, but for its place."""
        shape: dict[str, Any] = {"strides": held.stride(), "storage_offset": held.storage_offset()}
        made = Tensor._make_wrapper_subclass(cls, held.size(), dtype=held.dtype, device=DEVICE, **shape)
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Where no mode is asked."""
        return computed(function, args, kwargs or {})


class Places(TorchDispatchMode):
    """Sees what makes tensors there out of none."""

    def __torch_dispatch__(
        self, function: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """As `Elsewhere`."""
        return computed(function, args, kwargs or {})


class Values(TorchFunctionMode):
    """What PyTorch turns into tensors without asking a `TorchDispatchMode`: numbers, and lists that index."""

    def __torch_function__(
        self, function: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Such tensors are made on the CPU and moved."""
        kwargs = dict(kwargs or {})
        if function in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], Elsewhere):
            args = (args[0], _listed(args[1]), *args[2:])
        elif function in (torch.tensor, torch.as_tensor) and _there(kwargs.get("device")):
            kwargs.pop("device")
            return function(*args, **kwargs).to(DEVICE)
        elif function is Tensor.new_tensor and isinstance(args[0], Elsewhere) and "device" not in kwargs:
            return torch.tensor(*args[1:], **{"dtype": args[0].dtype, **kwargs}).to(DEVICE)
        return function(*args, **kwargs)


_CPU_GENERATOR = torch.Generator

_AWAY: dict[int, torch.Generator] = {}
"""Generators of that device by their place in memory, which operators are given and not the objects."""


class _Away(_CPU_GENERATOR):
    device = DEVICE


class _Chosen(type(_CPU_GENERATOR)):  # type: ignore[misc]
    def __call__(cls, device: Any = "cpu") -> torch.Generator:
        if not _there(device):
            return _CPU_GENERATOR(device)
        made = _Away()
        _AWAY[made._cdata] = made  # type: ignore[attr-defined]
        return made

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _CPU_GENERATOR)


class Generator(_CPU_GENERATOR, metaclass=_Chosen):
    """In the place of ``torch.Generator``."""


def computed(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """An operator's results, in the place that its arguments say.

    Raises:
        RuntimeError: tensors, or a generator, of two places.
    """
    given = tree_leaves((args, kwargs))
    far = [item for item in given if isinstance(item, Elsewhere)]
    goes = bool(far) if kwargs.get("device") is None else _there(kwargs["device"])
    near = [item for item in given if _near(item)]
    if function in INDEXED:
        indices = [id(item) for item in tree_leaves(args[1])]
        near = [item for item in near if id(item) not in indices]
    if far and near and function not in MOVES:
        shapes = f"{tuple(near[0].shape)} and {tuple(far[0].shape)}"
        raise RuntimeError(f"{function}: expected all tensors on one device, but found cpu and {DEVICE}: {shapes}")
    if any(isinstance(item, _CPU_GENERATOR) and (item._cdata in _AWAY) != goes for item in given):  # type: ignore[attr-defined]
        raise RuntimeError(f"{function}: the generator is of another device than what it is to fill")
    if goes:
        COMPUTED[str(function)] += 1
    owners = {id(item.held): item for item in far}

    def held(item: Any) -> Any:
        if isinstance(item, torch.device) and _there(item):
            return torch.device("cpu")
        return item.held if isinstance(item, Elsewhere) else item

    def placed(item: Any) -> Any:
        if not isinstance(item, Tensor):
            return item
        if id(item) in owners:
            return owners[id(item)]
        return Elsewhere(item) if goes else item

    found = _OWN.get(function, function)(*tree_map(held, args), **tree_map(held, dict(kwargs)))
    return args[0] if function is aten.copy_.default else tree_map(placed, found)


def _there(device: Any) -> bool:
    return device is not None and torch.device(device).type == DEVICE.type


def _near(item: Any) -> TypeGuard[Tensor]:
    return isinstance(item, Tensor) and not isinstance(item, Elsewhere) and item.dim() > 0


def _listed(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(map(_listed, index))
    return torch.tensor(index) if isinstance(index, list) else index


def _lstm_cell(
    inputs: Tensor, hidden: Tensor, cell: Tensor, bias: Tensor | None = None, hidden_bias: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The cell that PyTorch has for accelerators alone; last the gates, for its gradient."""
    gates = inputs + hidden
    if bias is not None and hidden_bias is not None:
        gates = gates + bias + hidden_bias
    let, forget, new, out = gates.chunk(4, 1)
    let, forget, new, out = let.sigmoid(), forget.sigmoid(), new.tanh(), out.sigmoid()
    cell = forget * cell + let * new
    return out * cell.tanh(), cell, torch.cat([let, forget, new, out], 1)


def _lstm_cell_gradient(
    of_hidden: Tensor | None, of_cell: Tensor | None, before: Tensor, cell: Tensor, gates: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    let, forget, new, out = gates.chunk(4, 1)
    shown = cell.tanh()
    of_hidden = torch.zeros_like(cell) if of_hidden is None else of_hidden
    inner = of_hidden * out * (1 - shown**2) + (0 if of_cell is None else of_cell)
    parts = (inner * new * let * (1 - let), inner * before * forget * (1 - forget), inner * let * (1 - new**2))
    of_gates = torch.cat([*parts, of_hidden * shown * out * (1 - out)], 1)
    return of_gates, inner * forget, of_gates.sum(0) if has_bias else None


_OWN: dict[Any, Any] = {
    aten._thnn_fused_lstm_cell.default: _lstm_cell,
    aten._thnn_fused_lstm_cell_backward_impl.default: _lstm_cell_gradient,
}


class There(CPUAccelerator):
    """Lightning Fabric's idea of the device."""

    def setup_device(self, device: torch.device) -> None:
        """Nothing to set up."""


class OnlyThere(Fabric):
    """In the place of `Fabric`: whatever device a recipe names, it is this one."""

    def __init__(self, *_: Any, precision: Any = None, plugins: Any = None, **__: Any) -> None:
        strategy = SingleDeviceStrategy(DEVICE, accelerator=There())
        super().__init__(strategy=strategy, precision=precision, plugins=plugins)


def leave(code: object = 0) -> NoReturn:
    """End the process at once.

    Where Python clears up first, it now and then meets autograd's thread for that device, which wants the interpreter
    to ask the device's guard, and aborts.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def main(facts: Path, words: Sequence[str]) -> NoReturn:
    """Run a command there; ends the process with its exit code."""
    from sa3dhp_core.cli.app import main as command

    torch.set_num_threads(1)
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with (
            patch.object(training, "Fabric", OnlyThere),
            patch.object(quiet, "on_one_cpu", lambda config: False),
            patch.object(torch, "Generator", Generator),
            Values(),
            Places(),
        ):
            command([*words])
    except SystemExit as ended:
        facts.write_text(json.dumps(COMPUTED), encoding="utf-8")
        leave(ended.code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[3:])
