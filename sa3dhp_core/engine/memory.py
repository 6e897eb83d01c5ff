"""What is said when a step does not fit into memory: what was asked for, what is there, which keys would help most.

Frees nothing and tries nothing again: batches are part of what a recipe says. Checkpoints stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from sa3dhp_core.engine.checkpoint import CHECKPOINT
from sa3dhp_core.engine.folding import could_fold
from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.environment import free_memory_gib, memory_limit_gib
from sa3dhp_core.errors import TrainingError
from sa3dhp_core.protocols.task import Relief, Task
from sa3dhp_core.speed import multiplies

SIGNS = ("can't allocate memory", "out of memory", "bad_alloc", "_ALLOC_FAILED", "Storage size calculation overflowed")
"""What back ends without an error class of their own say."""

ASKED = re.compile(r"(?:tried to allocate|unable to allocate) ([\d.]+) ?(bytes|KiB|MiB|GiB|TiB|PiB|EiB)", re.IGNORECASE)
POWERS = {"bytes": -3, "kib": -2, "mib": -1, "gib": 0, "tib": 1, "pib": 2, "eib": 3}

HALF = 0.5
"""Share of activations that 16 bits in the place of 32 spare."""

RECOMPUTED = 0.5
"""Share of activations that go when every block keeps its input alone, and the largest one's come back while its
gradient is computed: 51 % for ResNet-50 to res4 with its head at 224 pixels, counted by `benchmarks/_roofline.py`."""

FOLDED = 0.49
"""Share of activations that go when norms are folded: of the same network's adaptation, counted in the same way."""

MOST, LEAST = 5, 0.01
"""How many keys are named, and what one must free of a step's share to be."""


@contextmanager
def explained(
    stage: str, step: int | None, device: torch.device, config: EngineConfig, task: Task | None, folder: Path
) -> Iterator[None]:
    """Turn any back end's shortage of memory into one `TrainingError` that says what to do.

    Args:
        stage, step: where it happens; None outside any training.
        device: what computes.
        config: the keys of ``[engine]``.
        task: what is trained, if anything; asked for its `reliefs`.
        folder: the stage's.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        reliefs = [] if task is None else [*getattr(task, "reliefs", tuple)(), *engine_reliefs(config, device, task)]
        keys = ranked(reliefs)
        raise TrainingError(
            "out of memory",
            where=f"stage {stage!r}{'' if step is None else f', step {step + 1}'}, on {device}",
            found=_found(error, device, task),
            expected="less than that",
            hint=_advice(keys) if step is None else f"{_advice(keys)}; last good checkpoint: {_kept(folder)}",
        ) from error


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


def asked_gib(error: BaseException) -> float | None:
    """How much was asked for, GiB, where the error tells."""
    told = ASKED.search(str(error))
    return None if told is None else float(told[1]) * 1024.0 ** POWERS[told[2].lower()]


def engine_reliefs(config: EngineConfig, device: torch.device, task: Task) -> Iterator[Relief]:
    """Keys of ``[engine]`` that would make a step smaller on a device."""
    if config.precision in ("32-true", "64-true") and multiplies(device, torch.bfloat16):
        yield Relief("engine.precision", config.precision, "bf16-mixed", HALF)
    there = torch.cuda.device_count() if device.type == "cuda" else 1
    if there > config.devices:
        yield Relief("engine.devices", config.devices, there, 1 - config.devices / there)
    blocks = [module for module in task.modules.values() if hasattr(module, "blocks")]
    if blocks and getattr(config, "checkpointing", None) == ():
        yield Relief("engine.checkpointing", "[]", '["all"]', RECOMPUTED)
    if not config.fold_norms and any(map(could_fold, task.modules.values())):
        yield Relief("engine.fold_norms", "false", "true", FOLDED)


def ranked(reliefs: Iterable[Relief | None]) -> list[Relief]:
    """Those that help, the most helpful first."""
    helpful = [one for one in reliefs if one is not None and one.freed >= LEAST]
    return sorted(helpful, key=lambda one: -one.freed)[:MOST]


def held_gib(task: Task) -> float:
    """What a training holds between two steps: weights, buffers, gradients, an average; moments are not seen here."""
    state: Mapping[int, Tensor] = {
        id(tensor): tensor
        for module in task.modules.values()
        for value in (*module.parameters(), *module.buffers())
        for tensor in (value, value.grad if value.requires_grad else None)
        if tensor is not None
    }
    return sum(tensor.nbytes for tensor in state.values()) / 2**30


def _found(error: BaseException, device: torch.device, task: Task | None) -> str:
    asked, cuda = asked_gib(error), device.type == "cuda"
    told = [] if asked is None else [f"{_size(asked)} asked for"]
    if cuda:
        free, whole = (size / 2**30 for size in torch.cuda.mem_get_info(device))
        told.append(f"{_size(free)} of {_size(whole)} free")
    elif (left := free_memory_gib()) is not None:
        told.append(f"{_size(left)} of {_size(memory_limit_gib() or left)} free")
    if task is not None:
        told.append(f"weights and gradients hold {_size(held_gib(task))}")
    return ", ".join(told) or str(error).splitlines()[0]


def _size(gib: float) -> str:
    """A size in the unit that suits it."""
    unit = next((name for name, least in (("GiB", 1.0), ("MiB", 2**-10)) if gib >= least), "KiB")
    return f"{gib / 1024.0 ** POWERS[unit.lower()]:.3g} {unit}" if gib < 1e5 else f"{gib:,.0f} GiB"


def _kept(folder: Path) -> str:
    path = folder / CHECKPOINT
    return str(path) if path.is_file() else "none yet in this stage"


def _advice(keys: list[Relief]) -> str:
    if not keys:
        return "less data or a smaller batch, or a machine with more memory"
    named = [f"--set {key.key}={key.then} (now {key.now}: {key.freed:.0%} less)" for key in keys]
    return "what makes a step smallest first: " + ", ".join(named)
