"""Tables from which the conformance kit builds what the defaults would make too large."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def small_resnet(folder: Path) -> dict[str, Any]:
    """A ResNet of one thin layer a stage, from a configuration: nothing is downloaded or read."""
    return {"name": "resnet", "options": {"embedding_size": 8, "hidden_sizes": [8, 12, 16, 24], "depths": [1, 1, 1, 1]}}
