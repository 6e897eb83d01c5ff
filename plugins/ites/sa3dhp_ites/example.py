"""The recipe on which the conformance kit runs the method: all stages, trained until it shows. Writes nothing.

It names a component of another plugin, as any recipe does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

STEPS = 60


def recipe(folder: Path) -> dict[str, Any]:
    """The world's motion seen by two cameras, a second's training of each lifter by the published losses."""
    lifter = {"use": "ites-mlp", "width": 64, "bottleneck": 32, "blocks": 1, "norm": "none"}
    training = {"optimizer": "adamw", "learning_rate": 3e-3, "steps": STEPS, "batch": 32}
    motion = {"train_sequences": 4, "validation_sequences": 1, "test_sequences": 2, "frames": 16}
    return {
        "data": {
            "keypoints": {
                "use": "projected-poses",
                "azimuths_deg": [20.0, 200.0],
                "stride": 2,
                "poses": {"use": "world-motion", **motion},
            }
        },
        "settings": {
            "teacher": lifter,
            "student": {**lifter, "head": "depth"},
            "teaching": {**training, "aligned": STEPS},
            "learning": training,
        },
        "evaluation": {"protocols": ["ites-mpjpe", "pa-mpjpe"]},
        "engine": {"device": "cpu"},
    }
