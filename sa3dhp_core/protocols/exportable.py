"""Models as they are taken home: a value that a method may offer once its stages are done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from sa3dhp_core.types import Skeleton

InputDraw = Callable[[int, torch.Generator], tuple[Tensor, ...]]
"""``draw(count, generator)``: inputs of the model like those it was made for, each with `count` items; on the CPU."""


@attrs.frozen
class Port:
    """An input of an exported model.

    Attributes:
        name: a Python identifier, for example ``images``.
        axes: names of its axes; the first is ``batch``, of any size.
        meaning: values, units, frame, and what stands where something is missing, in one sentence.
    """

    name: str
    axes: tuple[str, ...]
    meaning: str


@attrs.frozen(eq=False)
class Exportable:
    """What a method's ``exportable(folders, engine, row) -> Exportable`` gives; it loads, and trains nothing.

    Attributes:
        module: takes `inputs` in their order and gives poses ``(B, J, 3)``, metres, root-relative; each item by itself,
            with all that belongs to the model before and after its network. It decides nothing by values in Python.
        inputs: what it takes.
        draw: makes inputs on which the file is checked; none of them is written into it.
        skeleton: of the poses.
        frame: of the poses, in words: which camera's; its axes are x right, y down, z away.
        row: name of the run's row.
        licences: of the data that the run was made with, by role.
        facts: what else a user of the file must know, plain data.
    """

    module: nn.Module
    inputs: tuple[Port, ...]
    draw: InputDraw
    skeleton: Skeleton
    frame: str
    row: str
    licences: Mapping[str, str]
    facts: Mapping[str, Any] = attrs.field(factory=dict)
