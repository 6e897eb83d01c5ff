"""Tables from which the conformance kit builds the world's data sets: small enough for seconds. Writes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def images(folder: Path) -> dict[str, Any]:
    """Five clips of the busiest look."""
    clips = {"train_clips": 3, "validation_clips": 1, "test_clips": 1, "frames": 6, "shard_clips": 2}
    return {"look": "street", "size": 32, "body_count": 2, **clips}


def motion(folder: Path) -> dict[str, Any]:
    """A dozen short sequences."""
    counts = {"train_sequences": 6, "validation_sequences": 3, "test_sequences": 3}
    return {"frames": 20, "body_count": 2, **counts}
