"""Fewer passes over memory in a convolutional network, for the same results but for rounding.

A batch norm that learns no statistics multiplies and shifts each channel; so does the convolution before it with other
weights, and gradients reach both through them. And a ReLU may write over what it reads. Each is done where nothing else
reads the value between, which is found out by watching one image pass through: the modules' own code is not looked at.
While a part is in training mode it computes as ever. What a module lays aside for later (an attribute, a hook of the
user's on a layer) is not seen: such a network is not to be folded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from sa3dhp_core.engine.forwards import is_replaced, replace_forward

ARMED = "_folds_at_first_call"
"""Mark of modules that are looked at when they are first called."""

KEEPS_NO_RESULT = ("convolution", "batch_norm", "add", "add_")
"""What operations are called, at the end, whose gradients need nothing of what they gave."""


def fold_at_first_call(module: nn.Module, compiled: bool = False) -> None:
    """Watch the first image that the module is given, and let it compute with fewer passes from then on.

    A module without convolutions and batch norms of two dimensions, or that is called with anything but one tensor
    ``(N, ...)``, stays as it is. `forwards.put_back` and `disarm` undo it.

    Args:
        module: to be called.
        compiled: whether it will be: the compiler must not see the watching.
    """
    if any(_own_norm(part) for part in module.modules()):
        hook = torch.compiler.disable(_first_call) if compiled else _first_call  # loads the compiler
        vars(module)[ARMED] = module.register_forward_pre_hook(hook)


def disarm(module: nn.Module) -> None:
    """Forget that the module was to be watched."""
    if (hook := vars(module).pop(ARMED, None)) is not None:
        hook.remove()


def could_fold(module: nn.Module) -> bool:
    """Whether a module learns with norms whose statistics are fixed."""
    learns = any(weight.requires_grad for weight in module.parameters())
    return learns and any(_own_norm(part) and not part.training for part in module.modules())


def _first_call(module: nn.Module, args: Sequence[Any]) -> None:
    disarm(module)
    if len(args) == 1 and isinstance(args[0], Tensor) and args[0].dim() > 0 and len(args[0]):
        fold(module, args[0][:1])


def fold(module: nn.Module, example: Tensor) -> tuple[int, int]:
    """Let a module compute with fewer passes from now on.

    Args:
        module: takes one tensor; its weights, their names and what it learns stay as they are.
        example: ``(1, ...)`` that it can be called with.

    Returns:
        How many norms were folded, and how many ReLUs write over what they read.
    """
    watch = _watched(module, example)
    pairs, over = watch.pairs(), watch.overwriting()
    for convolution, norm in pairs:
        replace_forward(convolution, partial(_folded, convolution, norm, convolution.forward))
        replace_forward(norm, partial(_passed, norm, norm.forward))
    for activation in over:
        replace_forward(activation, partial(_over, activation, activation.forward))
    return len(pairs), len(over)


def _folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d, plain: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """What the norm gives of what the convolution gives."""
    if norm.training:
        return plain(images)
    weight, mean, variance = convolution.weight, norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    wide = torch.promote_types(weight.dtype, torch.float32)
    scale = (variance.to(wide) + norm.eps).rsqrt()
    scale = scale if norm.weight is None else scale * norm.weight.to(wide)
    shift = -mean.to(wide) if convolution.bias is None else convolution.bias.to(wide) - mean.to(wide)
    bias = shift * scale if norm.bias is None else shift * scale + norm.bias.to(wide)
    narrow = weight.dtype
    return convolution._conv_forward(images, (weight.to(wide) * scale[:, None, None, None]).to(narrow), bias.to(narrow))


def _passed(norm: nn.BatchNorm2d, plain: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return plain(images) if norm.training else images


def _over(activation: nn.Module, plain: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    return plain(values) if activation.training else torch.relu_(values)


def _own_norm(part: nn.Module) -> bool:
    return isinstance(part, nn.BatchNorm2d) and type(part).forward is nn.BatchNorm2d.forward


def _own_convolution(part: nn.Module) -> bool:
    return isinstance(part, nn.Conv2d) and type(part).forward is nn.Conv2d.forward


def _own_relu(part: nn.Module) -> bool:
    return isinstance(part, nn.ReLU) and type(part).forward is nn.ReLU.forward and not part.inplace


@attrs.frozen
class _Read:
    """An operation that read a value: its name, its number, the layer that it is of, and whether it wrote over it."""

    name: str
    number: int
    layer: nn.Module | None
    wrote: bool


@attrs.define(eq=False)
class _Layer:
    """What a layer read and gave, one of each a call; values are the numbers of their storages."""

    read: list[int] = attrs.field(factory=list)
    gave: list[int] = attrs.field(factory=list)


class _Watch(TorchDispatchMode):
    """Notes which operation reads which value, and what layers read and give.

    Everything that was made is kept until the end, so that no storage is used twice.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers: Mapping[nn.Module, _Layer] = {layer: _Layer() for layer in layers}
        self.reads: dict[int, list[_Read]] = {}
        self.made_by: dict[int, str] = {}
        self.given: set[int] | None = set()
        self._kept: list[Tensor] = []
        self._inside: nn.Module | None = None
        self._count = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        found, name = func(*args, **(kwargs or {})), func.overloadpacket.__name__
        self._count += 1
        results = [self._value(tensor) for tensor in tree_iter(found) if isinstance(tensor, Tensor)]
        read = [self._value(tensor) for tensor in tree_iter((args, kwargs)) if isinstance(tensor, Tensor)]
        for value in read:
            self.reads.setdefault(value, []).append(_Read(name, self._count, self._inside, value in results))
        for value in results:
            self.made_by.setdefault(value, name)
        return found

    def _value(self, tensor: Tensor) -> int:
        self._kept.append(tensor)
        number: int = tensor.untyped_storage()._cdata
        return number

    def began(self, layer: nn.Module, args: Sequence[Any]) -> None:
        """A layer is called."""
        self._inside = layer
        self.layers[layer].read.append(self._value(args[0]) if len(args) == 1 else 0)

    def ended(self, layer: nn.Module, args: Sequence[Any], found: Any) -> None:
        """It has given something."""
        self._inside = None
        self.layers[layer].gave.append(self._value(found))

    def pairs(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """Convolutions, each with the norm that alone reads what it gives; both called once."""
        known: dict[int, nn.Conv2d] = {
            layer.gave[0]: part
            for part, layer in self.layers.items()
            if isinstance(part, nn.Conv2d) and len(layer.gave) == 1
        }
        found = []
        for part, layer in self.layers.items():
            if isinstance(part, nn.BatchNorm2d) and len(layer.read) == 1 and layer.read[0] in known:
                value = layer.read[0]
                if not self._leaves(value) and all(read.layer is part for read in self.reads[value]):
                    found.append((known[value], part))
        return found

    def overwriting(self) -> list[nn.Module]:
        """ReLUs that may write over what they read: nothing else reads it, but for what was added to it in place."""
        return [
            part
            for part, layer in self.layers.items()
            if isinstance(part, nn.ReLU) and layer.read and all(self._only(part, value) for value in layer.read)
        ]

    def _only(self, part: nn.Module, value: int) -> bool:
        mine = [read.number for read in self.reads.get(value, ()) if read.layer is part]
        others = [read for read in self.reads.get(value, ()) if read.layer is not part]
        added = all(read.name == "add_" and read.wrote and read.number < min(mine, default=0) for read in others)
        made = self.made_by.get(value, "")
        return len(mine) == 1 and added and made.endswith(KEEPS_NO_RESULT) and not self._leaves(value)

    def _leaves(self, value: int) -> bool:
        """Whether the network gives it to its caller, or may."""
        return self.given is None or value in self.given

    def finish(self, result: Any) -> None:
        """Note what the network gives; all values may be among it where that cannot be told."""
        tensors = _tensors(result)
        self.given = None if tensors is None else {self._value(tensor) for tensor in tensors}


def _watched(module: nn.Module, example: Tensor) -> _Watch:
    layers = [
        part
        for part in module.modules()
        if (_own_norm(part) and part.running_var is not None) or _own_convolution(part) or _own_relu(part)
    ]
    watch = _Watch([part for part in layers if not is_replaced(part)])
    hooks = [part.register_forward_pre_hook(watch.began) for part in watch.layers]
    hooks += [part.register_forward_hook(watch.ended) for part in watch.layers]
    try:
        with torch.no_grad(), _evaluating(module), watch:
            watch.finish(module.forward(example))
    finally:
        for hook in hooks:
            hook.remove()
    return watch


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Statistics are not learnt, and nothing is dropped."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _tensors(value: Any) -> list[Tensor] | None:
    """All tensors in nested lists, mappings and attrs classes; None where something else may hold some."""
    if isinstance(value, Tensor):
        return [value]
    if value is None or isinstance(value, (bool, int, float, complex, str, torch.dtype, torch.device)):
        return []
    if isinstance(value, Mapping):
        return _tensors(list(value.values()))
    if attrs.has(type(value)):
        return _tensors([getattr(value, field.name) for field in attrs.fields(type(value))])
    if not isinstance(value, (list, tuple)):
        return None
    found: list[Tensor] = []
    for item in value:
        if (inner := _tensors(item)) is None:
            return None
        found += inner
    return found
