"""Runs that end before their end, in real processes: SIGKILL, Ctrl-C, a full disk, NaN; and what resuming gives."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

KILLS = 3
LONGEST_LIFE_S = 1.5


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed_is_bit_identical(
    start: Any, content: Any, uninterrupted: Path, tmp_path: Path
) -> None:
    run, moments, kills = tmp_path / "run", random.Random(os.getpid()), 0
    while kills < KILLS:
        process = start("resume", "run") if run.exists() else start("run", "tiny.toml", "--out", "run")
        (run / "environment.json").unlink(missing_ok=True)  # written again as soon as the stages begin
        process.wait_for((run / "environment.json").exists)
        time.sleep(moments.uniform(0.0, LONGEST_LIFE_S))
        if process.popen.poll() is not None:
            break
        os.killpg(process.popen.pid, signal.SIGKILL)
        process.popen.wait()
        kills += 1
    assert kills > 0
    process = start("resume", "run")
    assert process.finish() == 0, process.stderr
    found, expected = content(run), content(uninterrupted)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []


@pytest.mark.slow
def test_control_c_says_how_to_go_on(start: Any, content: Any, uninterrupted: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    adapted = next((run / "stages").glob("row-adapted-*"))
    shutil.rmtree(adapted)
    (run / "results.json").unlink()
    process = start("resume", "run")
    process.wait_for((adapted / "checkpoint.safetensors").exists)
    process.popen.send_signal(signal.SIGINT)
    assert process.finish() == 130, process.stderr
    assert "sa3dhp resume run" in process.stderr
    assert "Traceback" not in process.stderr
    process = start("resume", "run")
    assert process.finish() == 0, process.stderr
    assert content(run) == content(uninterrupted)


@pytest.mark.slow
def test_a_loss_that_becomes_nan_names_stage_step_and_checkpoint(
    start: Any, content: Any, uninterrupted: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    before = content(run)
    rate = "settings.adaptation.learning_rate=1e30"
    process = start("run", "tiny.toml", "--out", "run", "--set", rate, "--set", "settings.adaptation.clip_norm=1e30")
    assert process.finish() == 3, process.stderr
    for fact in ("row-adapted", "step", "no longer finite", "last good checkpoint"):
        assert fact in process.stderr
    assert "Traceback" not in process.stderr
    after = content(run)
    assert {name for name in before if after[name] != before[name]} <= {"recipe.toml"}
    assert not [name for name in after if name.endswith(".partial")]


@pytest.mark.slow
def test_a_step_that_fits_no_memory_names_the_key_and_leaves_what_was_written(
    start: Any, content: Any, uninterrupted: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    before = content(run)
    process = start("run", "tiny.toml", "--out", "run", "--set", "pose_prior.batch=1000000000000")
    assert process.finish() == 3, process.stderr
    for fact in ("'pose_prior', step 1, on", "asked for", "pose_prior.batch=500000000000", "last good checkpoint"):
        assert fact in process.stderr
    assert "Traceback" not in process.stderr
    after = content(run)
    assert {name for name in before if after.get(name) != before[name]} <= {"recipe.toml"}


def test_a_device_that_is_not_here_is_refused_before_anything_is_written(start: Any, tmp_path: Path) -> None:
    process = start("run", "tiny.toml", "--out", "run", "--set", "engine.device=abacus")
    assert process.finish() == 2, process.stderr
    assert "engine.device: no kind of device has this name" in process.stderr
    assert not (tmp_path / "run").exists()


def test_a_full_disk_leaves_what_was_written(start: Any, content: Any, uninterrupted: Path, tmp_path: Path) -> None:
    run = tmp_path / "disk" / "run"
    run.parent.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(run.parent)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system of a limited size can be mounted here")
    try:
        shutil.copytree(uninterrupted, run)
        shutil.rmtree(next((run / "stages").glob("row-adapted-*")))
        before = content(run)
        ballast = run.parent / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        process = start("resume", "disk/run")
        assert process.finish() == 4, process.stderr
        assert "disk is full" in process.stderr
        assert "Traceback" not in process.stderr
        after = content(run)
        assert {name: after[name] for name in before} == before
        assert not [name for name in after if name.endswith(".partial")]
        ballast.unlink()
        process = start("resume", "disk/run")
        assert process.finish() == 0, process.stderr
        assert content(run) == content(uninterrupted)
    finally:
        subprocess.run(["umount", str(run.parent)], check=True)


@pytest.mark.slow
def test_a_second_process_is_refused(start: Any, uninterrupted: Path, tmp_path: Path) -> None:
    import fcntl

    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    with (run / ".lock").open("w") as file:  # what a first process holds
        fcntl.flock(file, fcntl.LOCK_EX)
        process = start("resume", "run")
        assert process.finish() == 2
    assert "another process is writing this run directory" in process.stderr
