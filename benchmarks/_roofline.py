"""What a computation asks of a machine, counted operator by operator, and the least time that it can take there.

Counts on any device; on ``meta`` nothing is computed, so the published sizes fit every machine. Measures no time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from sa3dhp_core.environment import memory_gib
from sa3dhp_core.speed import copy_bytes_per_s, product_flops_per_s


@attrs.frozen
class Peak:
    """A device's published or measured limits.

    Attributes:
        name: as printed.
        flops_per_s: by precision, dense (no sparsity).
        bytes_per_s: of its memory.
        memory_gib: how much it has.
    """

    name: str
    flops_per_s: Mapping[str, float]
    bytes_per_s: float
    memory_gib: float


DEVICES = (
    # NVIDIA H200 datasheet (SXM): FP32 67; tensor cores with sparsity TF32 989, BFLOAT16 1,979, so dense half of that;
    # 141 GB at 4.8 TB/s.
    Peak("NVIDIA H200", {"fp32": 67e12, "tf32": 494e12, "bf16": 989e12}, 4.8e12, 141e9 / 2**30),
    # NVIDIA V100 datasheet (SXM2): single precision 15.7; no bf16 (its tensor cores take fp16, 125); 32 GB at 900 GB/s.
    Peak("NVIDIA V100", {"fp32": 15.7e12}, 900e9, 32e9 / 2**30),
)


def measured_peak(device: torch.device, name: str) -> Peak:
    """The limits of this machine's device, by its quickest matrix product and copy in this very process."""
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    rates = {kind: product_flops_per_s(device, dtype) for kind, dtype in kinds.items()}
    cuda = device.type == "cuda"
    memory = torch.cuda.get_device_properties(device).total_memory / 2**30 if cuda else memory_gib() or 0.0
    return Peak(name, {kind: rate for kind, rate in rates.items() if rate}, copy_bytes_per_s(device), memory)


@attrs.frozen
class Work:
    """What a computation asks for.

    Attributes:
        operators: (floating-point operations, bytes read and written) of each operator that touches numbers.
        kept: bytes of distinct tensors that wait for the backward pass, parameters left out.
    """

    operators: tuple[tuple[int, int], ...]
    kept: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(self.operators + other.operators, max(self.kept, other.kept))

    @property
    def flops(self) -> int:
        """Floating-point operations of matrix products and convolutions; a multiplication with its addition is two."""
        return sum(flops for flops, _ in self.operators)

    @property
    def moved(self) -> int:
        """Bytes that the operators read and write, each tensor once an operator."""
        return sum(moved for _, moved in self.operators)

    def floor_s(self, peak: Peak, precision: str) -> float:
        """Least seconds, one operator after another: each waits for its arithmetic or for its bytes."""
        rate, width = peak.flops_per_s[precision], peak.bytes_per_s
        return sum(max(flops / rate, moved / width) for flops, moved in self.operators)


class _Operators(TorchDispatchMode):
    """Notes the operations and bytes of every operator below autograd; views move nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view and func.namespace == "aten":
            count = flop_registry.get(func._overloadpacket)
            flops = 0 if count is None else count(*args, **(kwargs or {}), out_val=out)
            moved = [t.numel() * t.element_size() for t in tree_leaves((args, kwargs, out)) if isinstance(t, Tensor)]
            self.seen.append((int(flops), sum(moved)))
        return out


def counted(call: Callable[[], object], parameters: nn.Module) -> Work:
    """Count what a call asks for; parameters of `parameters` are not among what it keeps.

    Raises:
        RuntimeError: PyTorch's own counter counts other operations.
    """
    parameters.zero_grad(set_to_none=True)
    own = {p.untyped_storage()._cdata for p in [*parameters.parameters(), *parameters.buffers()]}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage.nbytes()
        return tensor

    with (
        FlopCounterMode(display=False) as whole,
        _Operators() as operators,
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        call()
    work = Work(tuple(operators.seen), sum(kept.values()))
    if whole.get_total_flops() != work.flops:
        raise RuntimeError(f"counted {work.flops} operations, PyTorch {whole.get_total_flops()}")
    return work
