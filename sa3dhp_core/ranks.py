"""Which process of a group this is, by what its launcher wrote into the environment. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping

NAMES = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")
"""What torchrun, Fabric and SLURM number processes and machines by; the first of all has no number but 0."""


def is_first(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is the only or the first one of its group: the one that writes and talks."""
    return not any(int(environment.get(name) or 0) for name in NAMES)
