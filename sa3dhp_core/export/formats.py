"""The formats: how each is written and run again. What is imported for ONNX is imported here, inside its functions."""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib.util import find_spec

import attrs
import torch
from torch import Tensor
from torch.export import ExportedProgram

from sa3dhp_core import __version__
from sa3dhp_core.errors import RunError, nearest
from sa3dhp_core.export.facts import FACTS, POSES
from sa3dhp_core.protocols.exportable import Exportable

OPSET = 18
"""Of ONNX; runtimes know it since 2023."""

Inputs = tuple[Tensor, ...]
Compute = Callable[[Inputs], Tensor]


@attrs.frozen
class Format:
    """A format.

    Attributes:
        suffix: how its files end.
        checked_with: distribution that runs a file for the check.
        needs: libraries that are not torch.
        facts: what is told of its files alone.
        write: a graph, the model that it is of, and its facts as text, to the file's content.
        read: the content to what it computes.
    """

    suffix: str
    checked_with: str
    needs: tuple[str, ...]
    facts: dict[str, object]
    write: Callable[[ExportedProgram, Exportable, str], bytes]
    read: Callable[[bytes], Compute]


def format_of(form: str) -> Format:
    """A format by name; raises `RunError` where there is none or its libraries are not installed."""
    if form not in FORMATS:
        raise RunError("no such format", found=form, expected=" or ".join(FORMATS), hint=nearest(form, FORMATS))
    missing = [name for name in FORMATS[form].needs if find_spec(name) is None]
    if missing:
        raise RunError(
            f"{form} needs libraries that are not installed",
            found=f"no {', '.join(missing)}",
            hint='pip install "sa3dhp[export]"',
        )
    return FORMATS[form]


def _write_program(program: ExportedProgram, exportable: Exportable, facts: str) -> bytes:
    program.example_inputs = None
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={FACTS: facts})
    return file.getvalue()


def _read_program(content: bytes) -> Compute:
    module = torch.export.load(io.BytesIO(content)).module()
    return lambda inputs: module(*inputs)


def _write_onnx(program: ExportedProgram, exportable: Exportable, facts: str) -> bytes:
    import onnx

    found = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=OPSET,
        input_names=[port.name for port in exportable.inputs],
        output_names=[POSES],
        dynamic_shapes=tuple({0: "batch"} for _ in exportable.inputs),
        verbose=False,
    )
    model = found.model_proto  # type: ignore[union-attr]
    for part in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info):
        del part.metadata_props[:]
    model.producer_name, model.producer_version = "sa3dhp", __version__
    onnx.helper.set_model_props(model, {FACTS: facts})
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _read_onnx(content: bytes) -> Compute:
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_inputs()]

    def compute(inputs: Inputs) -> Tensor:
        values = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        (poses,) = session.run([POSES], values)
        return torch.from_numpy(poses)

    return compute


FORMATS = {
    "onnx": Format(
        ".onnx", "onnxruntime", ("onnx", "onnxruntime", "onnxscript"), {"opset": OPSET}, _write_onnx, _read_onnx
    ),
    "torch-export": Format(".pt2", "torch", (), {}, _write_program, _read_program),
}
