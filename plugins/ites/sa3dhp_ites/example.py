"""The recipe on which the conformance kit runs the method: all stages at their smallest. Writes nothing.

It names a component of another plugin, as any recipe does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def recipe(folder: Path) -> dict[str, Any]:
    """The world's motion seen by two cameras, two steps of each lifter."""
    motion = {"train_sequences": 2, "validation_sequences": 1, "test_sequences": 1, "frames": 16}
    return {
        "data": {
            "keypoints": {
                "use": "projected-poses",
                "azimuths_deg": [20.0, 200.0],
                "stride": 4,
                "poses": {"use": "world-motion", **motion},
            }
        },
        "settings": {
            "teacher": {"use": "ites-mlp", "width": 16, "bottleneck": 8, "blocks": 1},
            "student": {"use": "ites-graph", "width": 8, "blocks": 1},
            "teaching": {"steps": 2, "batch": 4, "halve_every": 2, "aligned": 1},
            "learning": {"steps": 2, "batch": 4, "halve_every": 2},
        },
        "evaluation": {"protocols": ["ites-mpjpe", "pa-mpjpe"]},
        "engine": {"device": "cpu"},
    }
