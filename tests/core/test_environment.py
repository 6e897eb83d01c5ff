"""What a run writes down about its machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sa3dhp_core import __version__, environment


def test_the_description_is_plain_data_and_true() -> None:
    facts = json.loads(json.dumps(environment.describe_environment()))
    assert facts["sa3dhp"] == __version__
    assert facts["python"] == platform.python_version()
    assert facts["packages"]["torch"] == torch.__version__
    assert 1 <= facts["cores"] <= (os.cpu_count() or 1)
    assert facts["memory_gib"] > 0.1
    assert len(facts["devices"]) == torch.cuda.device_count() or torch.backends.mps.is_available()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one commit."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "file").write_text("one")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "file"], [*identity, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def test_git_state_is_the_commit_and_whether_files_differ(checkout: Path) -> None:
    head = subprocess.run(["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert environment.git_state(checkout) == {"commit": head.stdout.strip(), "changed": False}
    (checkout / "another").write_text("untracked")
    assert environment.git_state(checkout) == {"commit": head.stdout.strip(), "changed": False}
    (checkout / "file").write_text("two")
    assert environment.git_state(checkout) == {"commit": head.stdout.strip(), "changed": True}


def test_outside_a_checkout_or_before_its_first_commit_there_is_none(tmp_path: Path) -> None:
    assert environment.git_state(tmp_path) is None
    subprocess.run(["git", "-C", str(tmp_path), "init", "-q"], check=True)
    assert environment.git_state(tmp_path) is None


def test_decoders_name_what_they_open_and_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "DECODERS", {"json": ("JSON", "x"), "no_such_module_anywhere": ("Y", "get y")})
    assert environment.decoders() == {"json: JSON": None, "no_such_module_anywhere: Y": "get y"}


def test_plugin_versions_come_from_their_distributions(site: Path) -> None:
    info = site / "toy_plugin-4.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-plugin\nVersion: 4.5\n")
    (info / "entry_points.txt").write_text("[sa3dhp]\ntoy = no_such_module_anywhere\n")
    assert environment.plugin_versions()["toy-plugin"] == "4.5"


def test_memory_is_what_a_process_may_use() -> None:
    whole, limit, free = environment.memory_gib(), environment.memory_limit_gib(), environment.free_memory_gib()
    assert whole is not None and limit is not None and free is not None
    assert 0 < limit <= whole and 0 < free <= limit


def test_a_shells_limit_is_the_memory_that_counts() -> None:
    program = "from sa3dhp_core import environment as e; print(e.memory_limit_gib(), e.free_memory_gib())"
    shell = f"ulimit -v 1048576; exec {sys.executable} -c '{program}'"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    limit, free = map(float, done.stdout.split())
    assert limit == 1.0 and 0 < free < 1.0
