"""Forwards that are replaced for a while, and put back. Knows nothing of what they compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

REPLACED = "_forward_replaced"
"""Mark of modules whose forward was replaced."""


def replace_forward(module: nn.Module, forward: Callable[..., Any]) -> None:
    """Call something else in place of the module's own forward, until `put_back`."""
    vars(module)[REPLACED] = True
    vars(module)["forward"] = forward


def is_replaced(module: nn.Module) -> bool:
    """Whether something else is called."""
    return REPLACED in vars(module)


def put_back(module: nn.Module) -> None:
    """Give the module and all its parts their own forwards again."""
    for part in module.modules():
        if vars(part).pop(REPLACED, False):
            del vars(part)["forward"]
