"""Replaced forwards are called until they are put back, in every part of a module."""

from __future__ import annotations

import torch
from torch import nn

from sa3dhp_core.engine.forwards import is_replaced, put_back, replace_forward


def test_a_forward_is_replaced_and_put_back() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    images = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    plain, names = module(images), [*module.state_dict()]
    replace_forward(module[0], lambda values: values + 1)
    replace_forward(module[0], lambda values: values + 2)
    assert is_replaced(module[0]) and not is_replaced(module[1]) and not is_replaced(module)
    assert torch.equal(module(images), (images + 2).relu()) and [*module.state_dict()] == names
    put_back(module)
    assert torch.equal(module(images), plain) and not is_replaced(module[0])
    put_back(module)
