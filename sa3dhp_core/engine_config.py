"""How a recipe is computed: the keys of ``[engine]`` and ``[evaluation]``. Imports no torch and runs nothing."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs import validators

PRECISIONS = Literal["32-true", "16-mixed", "bf16-mixed", "bf16-true", "64-true"]
"""Float16 weights are no choice: what Adam divides by is zero in float16, and a training ends in its first steps."""


@attrs.frozen
class EngineConfig:
    """Keys of ``[engine]``."""

    device: str = attrs.field(
        default="auto", metadata={"help": "`auto`, or an accelerator of Lightning Fabric: `cpu`, `cuda`, `mps`"}
    )
    devices: int = attrs.field(
        default=1, validator=validators.ge(1), metadata={"help": "processes on this machine, one a device"}
    )
    nodes: int = attrs.field(default=1, validator=validators.ge(1), metadata={"help": "number of machines"})
    strategy: str = attrs.field(default="auto", metadata={"help": "`auto`, `ddp`, `fsdp`, … of Lightning Fabric"})
    shard_from: int = attrs.field(
        default=1_000_000,
        validator=validators.ge(0),
        metadata={
            "help": "`fsdp` splits modules of at least so many parameters; smaller ones are copied to each device"
        },
    )
    precision: PRECISIONS = attrs.field(
        default="32-true", metadata={"help": "numbers that the trained networks compute with"}
    )
    threads: int | None = attrs.field(
        default=None,
        validator=validators.optional(validators.ge(1)),
        metadata={"help": "CPU threads of a process; PyTorch's choice if absent"},
    )
    checkpoint_every: int = attrs.field(
        default=100, validator=validators.ge(1), metadata={"help": "steps between two checkpoints"}
    )
    log_every: int = attrs.field(
        default=10, validator=validators.ge(1), metadata={"help": "steps between two lines of metrics"}
    )
    prefetch: int | None = attrs.field(
        default=None,
        validator=validators.optional(validators.ge(0)),
        metadata={
            "help": "batches drawn ahead of the step, each in a thread of its own; 0: in the loop; if absent 2 on an "
            "accelerator, 0 on a CPU"
        },
    )
    matmul_precision: Literal["highest", "high", "medium"] = attrs.field(
        default="highest", metadata={"help": "precision of float32 matrix products on CUDA"}
    )
    channels_last: bool = attrs.field(
        default=True, metadata={"help": "memory order of images and of the weights of convolutions: channels last"}
    )
    compile: Literal["off", "static", "dynamic", "max-autotune"] = attrs.field(
        default="off",
        metadata={
            "help": "`torch.compile` of the encoder: `static` makes kernels for every size of batch, `dynamic` for "
            "all, `max-autotune` also tries which are fastest"
        },
    )
    checkpointing: tuple[str, ...] = attrs.field(
        default=(),
        metadata={
            "help": "encoder blocks (`all`: every one) whose activations are computed again instead of kept for the "
            "backward pass"
        },
    )
    fold_norms: bool = attrs.field(
        default=False,
        metadata={
            "help": "batch norms that learn no statistics, as in adaptation, are folded into the convolutions before "
            "them, and ReLUs write over what they read"
        },
    )
    fused: bool | None = attrs.field(
        default=None,
        metadata={"help": "one kernel for an optimiser's step: true or false for all that can; as each asks if absent"},
    )


@attrs.frozen
class EvaluationConfig:
    """Keys of ``[evaluation]``."""

    protocols: tuple[str, ...] = attrs.field(
        default=("mpjpe-root", "pa-mpjpe"),
        validator=validators.min_len(1),
        metadata={"help": "ids of protocol cards; the first chooses between checkpoints"},
    )
