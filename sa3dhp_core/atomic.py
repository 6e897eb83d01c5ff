"""Writing without losing what is there: everything goes to a temporary name beside the target and is renamed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from sa3dhp_core.errors import DataError

LONGEST, META = 10**7, "/meta"
"""Bytes of metadata that go into a safetensors header, which may have 100 MB; longer ones are a tensor of this name."""

PARTIAL = ".partial"
"""How the names of unfinished files end; they begin with a dot."""


def remove_partial(folder: Path) -> None:
    """Remove the unfinished files that killed processes left under `folder`; nobody may be writing there."""
    for path in folder.rglob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary path in the same folder, flush it to disk, then rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_atomic(path, lambda p: p.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically, indented."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON; raises `DataError` naming the file where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError("the file is missing", where=str(path)) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"not readable as JSON: {error}", where=str(path)) from error


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays of numbers and text as a packed npz file, atomically."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    write_atomic(path, write)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, object] | None = None) -> None:
    """Write tensors as safetensors, with plain metadata, atomically.

    The metadata are one JSON string in the file's header; where they are too long for that, a tensor of its bytes.
    """
    plain, taken = {}, set[int]()
    for name, tensor in tensors.items():
        value = tensor.detach().to("cpu").contiguous()
        storage = value.untyped_storage()
        alone = storage.nbytes() == value.nbytes and storage.data_ptr() not in taken
        taken.add(storage.data_ptr())
        plain[name] = value if alone else value.clone()  # a file holds no storage twice, nor a part of one
    told = json.dumps(dict(meta or {}))
    if len(told) > LONGEST:  # in ASCII, so as many bytes
        plain[META] = torch.from_numpy(np.frombuffer(told.encode("ascii"), np.uint8).copy())
        told = ""
    write_atomic(path, lambda p: save_file(plain, str(p), metadata={"meta": told}))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read safetensors onto the CPU; raises `DataError` naming the file where it is missing or damaged."""
    if not path.is_file():
        raise DataError("the file is missing", where=str(path))
    try:
        tensors = load_file(str(path))
    except Exception as error:  # safetensors raises its own type, which is not public on all versions
        raise DataError(f"not readable as safetensors: {error}", where=str(path)) from error
    tensors.pop(META, None)
    return tensors


def read_meta(path: Path) -> dict[str, Any]:
    """The metadata that `write_tensors` stored; raises `DataError` as `read_tensors` does."""
    if not path.is_file():
        raise DataError("the file is missing", where=str(path))
    try:
        with safe_open(str(path), framework="pt") as file:
            told = (file.metadata() or {}).get("meta", "{}")
            return dict(json.loads(told or file.get_tensor(META).numpy().tobytes()))
    except Exception as error:  # as in `read_tensors`
        raise DataError(f"not readable as safetensors: {error}", where=str(path)) from error


def state_tensors(state: object, prefix: str = "") -> tuple[dict[str, Tensor], Any]:
    """Split a nested state (dicts, lists, scalars, tensors) into tensors by path and a JSON skeleton."""
    if isinstance(state, Tensor):
        return {prefix: state}, {"tensor": prefix}
    if isinstance(state, Mapping):
        tensors: dict[str, Tensor] = {}
        items = []
        for key, value in state.items():
            found, shape = state_tensors(value, f"{prefix}/{key}")
            tensors |= found
            items.append([key, shape])
        return tensors, {"dict": items}
    if isinstance(state, (list, tuple)):
        tensors = {}
        rows = []
        for index, value in enumerate(state):
            found, shape = state_tensors(value, f"{prefix}/{index}")
            tensors |= found
            rows.append(shape)
        return tensors, {"list" if isinstance(state, list) else "tuple": rows}
    return {}, {"value": state}


def join_state(shape: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Inverse of `state_tensors`."""
    ((kind, content),) = shape.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: join_state(value, tensors) for key, value in content}
    if kind == "list":
        return [join_state(value, tensors) for value in content]
    if kind == "tuple":
        return tuple(join_state(value, tensors) for value in content)
    return content


def generator_for(*parts: object) -> torch.Generator:
    """A CPU generator seeded by the digest of `parts`: randomness as a function of (seed, stage, step)."""
    return torch.Generator().manual_seed(_seed_of(parts))


@contextmanager
def seeded(*parts: object) -> Iterator[None]:
    """Seed torch's default generators by the digest of `parts`, and put them back afterwards.

    For what draws from them without asking, as the initial weights of modules do.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(_seed_of(parts))
        yield


def _seed_of(parts: tuple[object, ...]) -> int:
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
