"""A run of the smallest lifters, as far as `lifted-poses` reads one; the conformance kit builds the component from it.

Nothing is trained: the lifter's first weights do.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from sa3dhp_core.atomic import generator_for, seeded, write_json, write_text
from sa3dhp_core.cards import skeleton
from sa3dhp_core.conformance.motion import FPS, Swinging
from sa3dhp_core.engine.checkpoint import save_weights
from sa3dhp_core.geometry import viewpoint
from sa3dhp_core.keypoint_store import write_keypoints
from sa3dhp_core.recipe import recipe_from, to_toml
from sa3dhp_core.runner import DONE, STAGES
from sa3dhp_ites.config import MlpConfig
from sa3dhp_ites.example import recipe
from sa3dhp_ites.lifter import mlp_lifter
from sa3dhp_ites.training import DATA, STUDENT

ELEVATION_DEG, AWAY_M, CLIPS, FRAMES = 10.0, 4.5, 2, 8


def lifted(folder: Path) -> dict[str, Any]:
    """The run's files in `folder`, and the table of `lifted-poses`."""
    run = folder / "run"
    stages = {name: run / "stages" / name for name in (DATA, STUDENT)}
    for split in ("train", "validation", "test"):
        write_seen(stages[DATA], split)
    whole = recipe_from({**recipe(folder), "id": "lifted-example", "method": "ites"})
    student = {key: value for key, value in whole.settings["student"].items() if key != "use"}
    with seeded("lifted-example"):
        lifter = mlp_lifter(MlpConfig(**student), skeleton=skeleton())
    save_weights(stages[STUDENT], {"lifter": lifter})
    for name, place in stages.items():
        write_json(place / DONE, {"stage": name, "seconds": 0.0})
    write_text(run / "recipe.toml", to_toml(whole))
    write_json(run / STAGES, {name: str(place) for name, place in stages.items()})
    return {"run": str(run), "elevations_deg": [ELEVATION_DEG]}


def write_seen(folder: Path, split: str) -> None:
    """Bodies that swing, as one camera sees them from above."""
    world = Swinging(skeleton())(CLIPS, FRAMES, generator_for("lifted-example", split)).flatten(0, 1)
    poses = world @ viewpoint(0.0, math.radians(ELEVATION_DEG)).mT
    write_keypoints(
        folder,
        split,
        points=poses[..., :2] / (poses[..., 2:] + AWAY_M),
        starts=torch.arange(CLIPS + 1) * FRAMES,
        fps=FPS,
        licence="own work",
        groups=["swing"] * CLIPS,
        poses=poses,
    )
