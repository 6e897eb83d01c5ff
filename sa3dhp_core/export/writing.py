"""Writing one model: a copy in float32 is traced, written, run again, compared, and only then put in its place."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from sa3dhp_core.atomic import generator_for, write_atomic, write_json
from sa3dhp_core.errors import RunError
from sa3dhp_core.export.facts import facts_of
from sa3dhp_core.export.formats import Compute, Inputs, format_of
from sa3dhp_core.protocols.exportable import Exportable

FOLDER = "export"
"""Where a run keeps its models, unless the user says otherwise."""

ABSOLUTE_M, RELATIVE = 1e-4, 1e-4
"""How far a coordinate of the file may lie from the model's: a tenth of a millimetre, and so much of the coordinate."""

TRACED, CHECKED = 3, (1, 2, 5)
"""Batch sizes: the one that the graph is traced with, and those that the file is checked on."""


def write_model(path: Path, form: str, exportable: Exportable, made_by: Mapping[str, object]) -> dict[str, Any]:
    """Write a model and, beside it, ``<path>.json``, which says what it is and how it was checked.

    Args:
        path: the new file.
        form: one of `FORMATS`.
        exportable: the model; it is left as it is.
        made_by: plain data: of which run.

    Returns:
        The content of the JSON file.

    Raises:
        RunError: there is no such format, its libraries are missing, the file is not named as it asks or there already,
            the model cannot be written in it, or the file computes something else. Then nothing is written.
    """
    kind = format_of(form)
    beside = path.with_name(f"{path.name}.json")
    if path.suffix != kind.suffix:
        expected = f"a name that ends in {kind.suffix}, by which readers know {form}"
        raise RunError("the file is not named as its format asks", where=str(path), expected=expected)
    for each in (path, beside):
        _need_free(each)
    module = _plain(exportable.module)
    cases = [_case(module, exportable, count) for count in CHECKED]
    facts = facts_of(exportable, made_by, cases[0][0])
    what = f"row {exportable.row!r}"
    try:
        with _quiet():
            content = kind.write(_traced(module, exportable), exportable, json.dumps(facts, allow_nan=False))
            found = _computed(kind.read(content), [inputs for inputs, _ in cases])
    except Exception as error:  # the exporters have many ways to refuse what they are given
        raise RunError(
            f"row {exportable.row!r} cannot be written as {form}: {_brief(error)}", where=str(path)
        ) from error
    checked = _checked(found, [poses for _, poses in cases], f"{what} as {form}")
    checked = {"with": f"{kind.checked_with} {version(kind.checked_with)}", **checked}
    own = {"file": path.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    told = {"format": form, **kind.facts, **own, "checked": checked, **facts}
    write_atomic(path, lambda temporary: temporary.write_bytes(content))
    write_json(beside, told)
    return told


def place_in(run: Path, row: str, form: str) -> Path:
    """Where the model of a row goes unless the user says otherwise."""
    stem = re.sub(r"[^\w.-]+", "-", row).strip("-.") or "model"
    return run / FOLDER / f"{stem}{format_of(form).suffix}"


def _need_free(path: Path) -> None:
    if path.exists():
        raise RunError("there is a file of this name, and it is left as it is", where=str(path), hint="another --out")


def _plain(module: nn.Module) -> nn.Module:
    """A copy in float32 on the CPU, in evaluation mode, whose memory lies as torch lays it out by itself."""
    copy = deepcopy(module).to(device="cpu", dtype=torch.float32).eval().requires_grad_(False)
    return copy.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def _drawn(exportable: Exportable, count: int) -> Inputs:
    return tuple(value.float() for value in exportable.draw(count, generator_for(FOLDER, count)))


@torch.no_grad()
def _case(module: nn.Module, exportable: Exportable, count: int) -> tuple[Inputs, Tensor]:
    """Inputs and what the model makes of them; raises `RunError` where these are no poses."""
    inputs = _drawn(exportable, count)
    poses: Tensor = module(*(value.clone() for value in inputs))
    expected = (count, len(exportable.skeleton), 3)
    if tuple(poses.shape) != expected or not bool(poses.isfinite().all()):
        found = f"{tuple(poses.shape)}, {int((~poses.isfinite()).sum())} numbers not finite"
        what = f"row {exportable.row!r} makes no poses of the inputs that it is checked on"
        raise RunError(what, found=found, expected=f"{expected}, all finite")
    return inputs, poses


def _traced(module: nn.Module, exportable: Exportable) -> ExportedProgram:
    """The model as a graph; inputs of the example and places in the source stay out of it."""
    batch = Dim("batch")
    program = torch.export.export(
        module, _drawn(exportable, TRACED), dynamic_shapes=tuple({0: batch} for _ in exportable.inputs)
    )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


@torch.no_grad()
def _computed(compute: Compute, batches: Sequence[Inputs]) -> list[Tensor]:
    return [compute(inputs) for inputs in batches]


def _checked(found: Sequence[Tensor], expected: Sequence[Tensor], what: str) -> dict[str, object]:
    """How a file was checked; raises `RunError` where it computed something else than the model."""
    largest_m = 0.0
    for given, poses in zip(found, expected, strict=True):
        apart = (given - poses).abs() if given.shape == poses.shape else torch.full_like(poses, torch.inf)
        if not bool((apart <= ABSOLUTE_M + RELATIVE * poses.abs()).all()):
            raise RunError(
                f"{what} computes something else than the model, and is not written",
                found=f"{1000 * float(apart.max()):.3g} mm apart in a batch of {len(poses)}",
                expected=f"at most {1000 * ABSOLUTE_M:g} mm and {RELATIVE:g} of the coordinate",
            )
        largest_m = max(largest_m, float(apart.max()))
    return {
        "batches": [len(poses) for poses in expected],
        "largest_difference_m": largest_m,
        "absolute_tolerance_m": ABSOLUTE_M,
        "relative_tolerance": RELATIVE,
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of what the exporters tell their developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)


def _brief(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
