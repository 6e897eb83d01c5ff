"""Settings that all tests share, the core's and the plugins': Hypothesis profiles and one thread a process.

Holds no fixtures and no helpers; those stand beside the tests that use them.
"""

from __future__ import annotations

import os

# Before anything imports torch: the suite runs several processes on few cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)

_SLOW_MACHINES = (HealthCheck.too_slow, HealthCheck.data_too_large)
settings.register_profile(
    "quick", max_examples=20, deadline=None, derandomize=True, suppress_health_check=_SLOW_MACHINES
)
settings.register_profile("thorough", max_examples=500, deadline=None, suppress_health_check=_SLOW_MACHINES)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
