"""A whole run whose batches are drawn ahead, in a real process, beside one that draws in the loop."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest


def tensors(run: Path) -> dict[str, bytes]:
    """Every stage's tensors; the key in a folder's name is left out."""
    files = run.rglob("*.safetensors")
    return {re.sub(r"-[0-9a-f]{12}/", "/", str(path.relative_to(run))): path.read_bytes() for path in files}


@pytest.mark.slow
def test_a_run_that_draws_ahead_is_bit_identical(start: Any, uninterrupted: Path, tmp_path: Path) -> None:
    process = start("run", "tiny.toml", "--out", "run", "--set", "engine.prefetch=3")
    assert process.finish() == 0, process.stderr
    found, expected = tensors(tmp_path / "run"), tensors(uninterrupted)
    assert found.keys() == expected.keys() and len(found) > 10
    assert [name for name in found if found[name] != expected[name]] == []
    assert re.search(r"row-adapted .* steps/s, \d+ % waiting for data", process.stderr)
