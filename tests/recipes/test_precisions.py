"""Every precision that there is trains and scores both methods; a switch of the engine changes no stage's key."""

from __future__ import annotations

import math
from pathlib import Path
from typing import get_args

import pytest
import torch

from sa3dhp_core import runner
from sa3dhp_core.atomic import read_tensors
from sa3dhp_core.engine.checkpoint import WEIGHTS
from sa3dhp_core.engine_config import PRECISIONS
from sa3dhp_core.host import Host
from sa3dhp_core.recipe import load_recipe
from tests.recipes.shrinking import shrunk

TINY = str(Path(__file__).parents[1] / "end_to_end" / "tiny.toml")
OTHERS = [name for name in get_args(PRECISIONS) if name != "32-true"]
TYPES = {"bf16-true": torch.bfloat16, "64-true": torch.float64}


@pytest.mark.parametrize("precision", OTHERS)
def test_self_adaptation_runs_to_its_end(host: Host, tmp_path: Path, precision: str) -> None:
    changes = (f"engine.precision={precision}", "losses.1.anchor=teacher", "settings.source.steps=4")
    out = tmp_path / "run"
    results = runner.run(shrunk(TINY, host, changes), host, out, only=("score-adapted", "latent"))
    assert results["records"] and all(math.isfinite(record["value"]) for record in results["records"])
    encoder = read_tensors(runner.stage_folders(out)["row-adapted"] / WEIGHTS)
    kinds = {value.dtype for name, value in encoder.items() if name.startswith("encoder.backbone")}
    assert kinds == {TYPES.get(precision, torch.float32)}
    heads = {value.dtype for name, value in encoder.items() if name.startswith("losses") and name.endswith("weight")}
    assert heads == {torch.float64 if precision == "64-true" else torch.float32}


def test_lifting_runs_in_double_precision(host: Host, tmp_path: Path) -> None:
    recipe = shrunk("ites-world", host, ("engine.precision=64-true", "engine.device=cpu"))
    results = runner.run(recipe, host, tmp_path / "run")
    assert all(math.isfinite(record["value"]) for record in results["records"])
    weights = read_tensors(runner.stage_folders(tmp_path / "run")["student"] / WEIGHTS)
    assert {value.dtype for value in weights.values() if value.is_floating_point()} == {torch.float64}


def test_switches_are_no_part_of_a_stages_key(host: Host) -> None:
    def keys(*changes: str) -> dict[str, str]:
        recipe = load_recipe(TINY, changes)
        method = host.build("method", {"use": recipe.method, **recipe.settings}, "settings", recipe=recipe, host=host)
        return runner._keys(method.stages(), recipe)

    switches = ("channels_last=false", "compile=static", 'checkpointing=["all"]', "fused=false")
    assert keys(*(f"engine.{switch}" for switch in switches)) == keys()
    assert not set(keys("engine.precision=bf16-mixed").values()) & set(keys().values())
