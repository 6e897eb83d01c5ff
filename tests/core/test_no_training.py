"""A task of no steps is a task, and has nothing to do."""

from __future__ import annotations

import torch
from torch import nn

from sa3dhp_core.no_training import NoTraining
from sa3dhp_core.types import WHOLE


def test_it_names_its_modules_and_yields_no_update() -> None:
    module = nn.Linear(2, 2)
    task = NoTraining({"network": module})
    assert task.modules == {"network": module} and task.steps == 0
    assert list(task.updates(0, torch.Generator(), WHOLE)) == [] and task.optimizers() == {}
