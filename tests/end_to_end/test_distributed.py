"""Two processes on the same global batch compute what one does: source training and an adaptation, by a flag alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

TWO = ("--set", "engine.devices=2", "--set", "engine.strategy=ddp")
TOLERANCE = 1e-5
"""Largest difference of a weight; one step moves them by about 1e-3."""


def half_done(uninterrupted: Path, run: Path, *patterns: str) -> None:
    """A copy of a run without some of its stages and what follows from them."""
    shutil.copytree(uninterrupted, run)
    (run / "results.json").unlink()
    for pattern in (*patterns, "analysis-*"):
        for folder in (run / "stages").glob(pattern):
            shutil.rmtree(folder)


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one(start: Any, content: Any, uninterrupted: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    half_done(uninterrupted, run, "row-*", "score-*", "relation-*", "latent-*")
    process = start("run", "tiny.toml", "--out", "run", *TWO)
    assert process.finish() == 0, process.stderr
    assert content(run).keys() == content(uninterrupted).keys(), "the first rank alone writes"
    trained = [path.relative_to(run) for path in run.rglob("weights.safetensors")]
    assert {path.parent.name.rsplit("-", 1)[0] for path in trained} >= {
        "relation-orbit",
        "row-source-only",
        "row-adapted",
    }
    for path in trained:
        one, two = load_file(uninterrupted / path), load_file(run / path)
        assert one.keys() == two.keys()
        for name, value in one.items():
            torch.testing.assert_close(two[name], value, rtol=TOLERANCE, atol=TOLERANCE, msg=f"{path}: {name}")
    assert process.stderr.count("row-adapted: started") == 1, "the first rank alone prints"
    assert process.stdout.count("source-only") == start_count(uninterrupted)
    found = json.loads((run / "results.json").read_text())["records"]
    expected = json.loads((uninterrupted / "results.json").read_text())["records"]
    for one, two in zip(expected, found, strict=True):
        assert two["value"] == pytest.approx(one["value"], rel=1e-3)


def start_count(run: Path) -> int:
    """How often one process names a row in its tables."""
    return (run.parent / "stdout").read_text(encoding="utf-8").count("source-only")


@pytest.mark.slow
def test_what_fails_on_all_ranks_is_said_once(start: Any, uninterrupted: Path, tmp_path: Path) -> None:
    half_done(uninterrupted, tmp_path / "run")
    process = start("run", "tiny.toml", "--out", "run", *TWO, "--set", "settings.adaptation.clips=3")
    assert process.finish() == 2, process.stderr
    assert process.stderr.count("the batch does not divide among the processes") == 1
    assert "settings.adaptation.clips=4" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.slow
def test_a_loss_of_one_output_keeps_no_rank_waiting(start: Any, uninterrupted: Path, tmp_path: Path) -> None:
    half_done(uninterrupted, tmp_path / "run")
    recipe = tmp_path / "tiny.toml"
    every = 'losses = ["lcr", "orbit", "prior", "rehearsal"]'
    text = recipe.read_text(encoding="utf-8")
    assert every in text
    recipe.write_text(text.replace(every, 'losses = ["lcr"]'), encoding="utf-8")
    process = start("run", "tiny.toml", "--out", "run", *TWO)
    assert process.finish() == 0, process.stderr
