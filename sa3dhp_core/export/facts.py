"""What an exported file says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from sa3dhp_core import __version__
from sa3dhp_core.protocols.exportable import Exportable

FACTS = "sa3dhp.json"
"""Name of the facts inside the file: a metadata property of ONNX, an extra file of torch.export."""

POSES = "poses"
"""Name of what a model gives."""


def facts_of(exportable: Exportable, made_by: Mapping[str, object], inputs: tuple[Tensor, ...]) -> dict[str, Any]:
    """Plain data: of which run the model is, and what goes in and comes out; `inputs` show their shapes."""
    body = exportable.skeleton
    taken = [
        {**attrs.asdict(port), "axes": list(port.axes), "shape": ["batch", *value.shape[1:]], "dtype": "float32"}
        for port, value in zip(exportable.inputs, inputs, strict=True)
    ]
    given = {
        "name": POSES,
        "axes": ["batch", "joint", "xyz"],
        "meaning": f"metres from the root, in {exportable.frame}: x right, y down, z away",
        "shape": ["batch", len(body), 3],
        "dtype": "float32",
    }
    return {
        **exportable.facts,
        "made_by": {**made_by, "sa3dhp": __version__, "torch": torch.__version__},
        "row": exportable.row,
        "inputs": taken,
        "outputs": [given],
        "skeleton": body.id,
        "joints": list(body.joints),
        "parents": list(body.parent_indices),
        "unit": "m",
        "frame": exportable.frame,
        "licences": dict(exportable.licences),
    }
