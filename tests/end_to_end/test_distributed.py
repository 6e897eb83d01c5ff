"""Two processes on the same global batch compute what one does: source training and an adaptation, by a flag alone.

Started by Fabric, torchrun and (as it would) SLURM; with a process killed on the way.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

TWO = ("--set", "engine.devices=2", "--set", "engine.strategy=ddp")
SPLIT = ("--set", "engine.devices=2", "--set", "engine.strategy=fsdp", "--set", "engine.shard_from=1000")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--no-python")
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
    assert_same_weights(uninterrupted, run, "relation-orbit", "row-source-only", "row-adapted")
    assert process.stderr.count("row-adapted: started") == 1, "the first rank alone prints"
    assert process.stdout.count("source-only") == start_count(uninterrupted)
    found = json.loads((run / "results.json").read_text())["records"]
    expected = json.loads((uninterrupted / "results.json").read_text())["records"]
    for one, two in zip(expected, found, strict=True):
        assert two["value"] == pytest.approx(one["value"], rel=1e-3)


LEAN = {
    "settings.adaptation.planning": "lean",
    "settings.adaptation.chunk": "5",
    "engine.fold_norms": "true",
    "losses.1.anchor": "student",  # as the first loss has it: its frames are back-propagated last of all
    "losses.1.anchor_photometric": "weak:0",
    "rows.1.losses": '["lcr", "orbit"]',
}


@pytest.mark.slow
def test_lean_planning_in_two_processes_gives_the_weights_of_one(
    start: Any, uninterrupted: Path, tmp_path: Path
) -> None:
    told = [word for key, value in LEAN.items() for word in ("--set", f"{key}={value}")]
    for ranks, name in (((), "one"), (TWO, "copied"), (SPLIT, "split")):
        half_done(uninterrupted, tmp_path / name, "row-adapted-*", "score-*")
        process = start("run", "tiny.toml", "--out", name, *told, *ranks)
        assert process.finish() == 0, process.stderr
        assert_same_weights(tmp_path / "one", tmp_path / name, "row-adapted")


def assert_same_weights(uninterrupted: Path, run: Path, *stages: str) -> None:
    """All weights of two runs, those of `stages` among them."""
    trained = [path.relative_to(run) for path in run.rglob("weights.safetensors")]
    assert {path.parent.name.rsplit("-", 1)[0] for path in trained} >= set(stages)
    for path in trained:
        one, two = load_file(uninterrupted / path), load_file(run / path)
        assert one.keys() == two.keys()
        for name, value in one.items():
            torch.testing.assert_close(two[name], value, rtol=TOLERANCE, atol=TOLERANCE, msg=f"{path}: {name}")


def kill_second(run: Path, process: Any) -> None:
    """SIGKILL to the second process of a group, as soon as the adaptation has written a checkpoint."""
    process.wait_for(lambda: list((run / "stages").glob("row-adapted-*/checkpoint.safetensors")))
    assert process.popen.poll() is None, process.stderr
    for path in Path("/proc").glob("[0-9]*"):
        try:
            here = (path / "cwd").readlink() == run.parent
            second = b"LOCAL_RANK=1" in (path / "environ").read_bytes().split(b"\0")
        except OSError:  # another's, or gone
            continue
        if here and second:
            os.kill(int(path.name), signal.SIGKILL)
            return
    pytest.fail(f"there is no second process\n{process.stderr}")


@pytest.mark.slow
def test_a_killed_process_ends_the_job_which_one_process_finishes(
    start: Any, uninterrupted: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    half_done(uninterrupted, run, "row-adapted-*", "score-*")
    process = start("run", "tiny.toml", "--out", "run", *TWO)
    kill_second(run, process)
    assert process.finish(60) == 5, process.stderr
    assert "no more of rank 1" in process.stderr
    assert "try: sa3dhp resume run" in process.stderr
    assert "Error" not in process.stderr
    process = start("run", "tiny.toml", "--out", "run")
    assert process.finish() == 0, process.stderr
    assert_same_weights(uninterrupted, run, "row-adapted")


@pytest.mark.slow
def test_torchrun_with_split_weights_is_killed_and_slurm_goes_on_with_copied_ones(
    start: Any, uninterrupted: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    half_done(uninterrupted, run, "row-*", "score-*")
    process = start("run", "tiny.toml", "--out", "run", *SPLIT, launcher=TORCHRUN)
    kill_second(run, process)
    assert process.finish(60) != 0, process.stderr
    assert process.stderr.count("try: sa3dhp resume run") == 1, process.stderr
    assert "row-source-only" in process.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    job = {"SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}
    job |= {"SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_NODELIST": "127.0.0.1", "MASTER_PORT": port}
    tasks = [
        start("run", "tiny.toml", "--out", "run", *TWO, logs=rank, SLURM_PROCID=rank, SLURM_LOCALID=rank, **job)
        for rank in ("0", "1")
    ]
    assert [task.finish() for task in tasks] == [0, 0], [task.stderr for task in tasks]
    assert "row-source-only  cached" in tasks[0].stderr
    assert "row-adapted: started" not in tasks[1].stderr
    assert_same_weights(uninterrupted, run, "row-source-only", "row-adapted")


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
