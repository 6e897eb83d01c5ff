"""Checkpoints: safetensors plus plain metadata. Loading one runs no code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sa3dhp_core.atomic import join_state, read_meta, read_tensors, state_tensors, write_tensors
from sa3dhp_core.engine.averaging import load_named, named_state
from sa3dhp_core.errors import DataError, RunError, nearest

CHECKPOINT = "checkpoint.safetensors"
WEIGHTS = "weights.safetensors"


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any]) -> None:
    """Write everything a resumed run needs after `step` steps, atomically."""
    tensors, shape = state_tensors(dict(state))
    write_tensors(folder / CHECKPOINT, tensors, {"step": step, "shape": shape})


def load_checkpoint(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """The steps done and the state, or None where there is no checkpoint."""
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        meta = read_meta(path)
        return int(meta["step"]), join_state(meta["shape"], read_tensors(path))
    except (DataError, KeyError) as error:
        raise RunError(
            f"the checkpoint cannot be read: {error}", where=str(path), hint="delete it to begin this stage again"
        ) from error


def save_weights(folder: Path, modules: Mapping[str, nn.Module], name: str = WEIGHTS) -> None:
    """Write the modules' weights."""
    write_tensors(folder / name, named_state(modules))


def load_weights(folder: Path, modules: Mapping[str, nn.Module], name: str = WEIGHTS) -> None:
    """Read weights into modules of the same shape.

    Raises:
        RunError: a weight is missing, left over or of another shape; the first one is named.
    """
    path = folder / name
    state = read_tensors(path)
    prefixes = tuple(f"{module}." for module in modules)
    state = {key: value for key, value in state.items() if key.startswith(prefixes)}
    expected: dict[str, Tensor] = named_state(modules)
    for key, value in expected.items():
        if key not in state:
            raise RunError("a weight is missing", where=str(path), found=nearest(key, state), expected=key)
        if state[key].shape != value.shape:
            raise RunError(
                f"weight {key!r} has another shape",
                where=str(path),
                found=tuple(state[key].shape),
                expected=tuple(value.shape),
                hint="the run was made with another configuration of this component",
            )
    extra = sorted(state.keys() - expected.keys())
    if extra:
        raise RunError("a weight is left over", where=str(path), found=extra[0], hint=nearest(extra[0], expected))
    load_named(modules, state)
