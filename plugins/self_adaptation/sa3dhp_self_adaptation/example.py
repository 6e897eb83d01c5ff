"""The recipe on which the conformance kit runs the method: every kind of stage at its smallest. Writes nothing.

It names components of other plugins, as any recipe does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def recipe(folder: Path) -> dict[str, Any]:
    """Source, target and motion of the world, two relations, one adapted row."""
    return {
        "data": {"source": _world("plain", "source"), "target": _world("mild", "target"), "poses": _motion()},
        "encoder": {
            "use": "latent-encoder",
            "feature": 8,
            "grid": 2,
            "head_norm": "layer",
            "backbone": {"use": "small-cnn", "widths": [8, 8], "norm": "group", "stem_stride": 4},
        },
        "pose_prior": {"use": "pose-aae", "latent": 16, "hidden": 16, "layers": 1, "steps": 2, "batch": 8},
        "motion_prior": {"use": "motion-dct", "latent": 12, "coefficients": 4, "hidden": 16, "steps": 2, "batch": 4},
        "relation_network": {"use": "residual-mlp", "steps": 2, "batch": 8},
        "relations": [
            {"use": "in-plane-rotation", "name": "turn", "angle": 40.0},
            {"use": "slow", "name": "slow", "factor": 2},
        ],
        "losses": [
            {"use": "relation", "name": "turned", "relation": "turn", "weight": 1.0},
            {"use": "relation", "name": "slowed", "relation": "slow", "weight": 1.0},
            {"use": "rehearsal", "name": "rehearsed", "weight": 1.0},
        ],
        "settings": {
            "frames": 4,
            "samples": 1,
            "source": {"steps": 2, "batch": 4},
            "adaptation": {"steps": 2, "clips": 2, "source": 2, "prior": 4},
        },
        "rows": [
            {"name": "source", "kind": "source"},
            {"name": "adapted", "kind": "adapt", "start": "source", "losses": ["turned", "slowed", "rehearsed"]},
        ],
        "engine": {"device": "cpu"},
    }


def _world(look: str, role: str) -> dict[str, Any]:
    clips = {"train_clips": 2, "validation_clips": 1, "test_clips": 1, "frames": 10, "size": 32, "body_count": 2}
    return {"use": "world", "look": look, "role": role, **clips}


def _motion() -> dict[str, Any]:
    return {"use": "world-motion", "train_sequences": 4, "validation_sequences": 2, "test_sequences": 2, "frames": 16}
