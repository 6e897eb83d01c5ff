"""Real processes: the console script run on the smallest recipe that has every kind of stage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

SCRIPT = Path(sys.executable).with_name("sa3dhp")
TINY = Path(__file__).with_name("tiny.toml")
VOLATILE = ("environment.json", "metrics.jsonl", "stages.json", "done.json")
"""Files that hold times, paths or commands."""


def _hear_interrupts() -> None:
    """A shell's background job ignores SIGINT, and so would all that it starts: the tests as well."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Process:
    """One call of ``sa3dhp`` in a process of its own, or by a `launcher`; `logs` tells apart what runs at once."""

    def __init__(
        self,
        folder: Path,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        launcher: Sequence[str] = (),
        logs: str = "",
    ) -> None:
        self._logs = [(folder / f"{name}{logs}").open("a+", encoding="utf-8") for name in ("stdout", "stderr")]
        for log in self._logs:
            log.truncate(0)
        self.popen = subprocess.Popen(
            [*launcher, str(SCRIPT), *arguments],
            stdout=self._logs[0],
            stderr=self._logs[1],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            start_new_session=True,
            preexec_fn=_hear_interrupts,
        )

    def finish(self, timeout: float = 240.0) -> int:
        """Wait for the end; returns the exit code."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self.popen.pid, 9)
            pytest.fail(f"still running after {timeout} s\n{self.stderr}")

    def wait_for(self, ready: Callable[[], object], timeout: float = 120.0) -> None:
        """Wait until something is true, or the process has ended."""
        limit = time.monotonic() + timeout
        while not ready() and self.popen.poll() is None:
            assert time.monotonic() < limit, self.stderr
            time.sleep(0.01)  # what is waited for is a file that another process writes: nothing tells when it does

    def _read(self, number: int) -> str:
        self._logs[number].seek(0)
        return self._logs[number].read()

    @property
    def stdout(self) -> str:
        return self._read(0)

    @property
    def stderr(self) -> str:
        return self._read(1)


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """``start("run", "tiny.toml", ...)`` in a temporary folder that holds the recipe."""
    if not SCRIPT.is_file():
        pytest.skip("the console script is not installed beside this Python")
    (tmp_path / TINY.name).write_text(TINY.read_text(encoding="utf-8"), encoding="utf-8")

    def call(*arguments: str, launcher: Sequence[str] = (), logs: str = "", **environment: str) -> Process:
        return Process(tmp_path, arguments, environment, launcher, logs)

    return call


Content = Callable[[Path], dict[str, bytes]]


@pytest.fixture
def content() -> Content:
    """Every file of a run directory that two equal runs have in common, by relative path."""
    return lambda run: {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in VOLATILE
    }


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that every interrupted or distributed one is compared with."""
    if not SCRIPT.is_file():
        pytest.skip("the console script is not installed beside this Python")
    folder = tmp_path_factory.mktemp("uninterrupted")
    (folder / TINY.name).write_text(TINY.read_text(encoding="utf-8"), encoding="utf-8")
    process = Process(folder, ("run", TINY.name, "--out", "run"), {})
    assert process.finish() == 0, process.stderr
    return folder / "run"
