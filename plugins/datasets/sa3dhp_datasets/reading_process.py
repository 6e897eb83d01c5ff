"""Files read in a process of its own, which may crash, loop or want all memory without harm. Knows no format.

The libraries for MATLAB, HDF5 and CDF files trust what a file says of itself: a damaged one can end the process that
reads it, or keep it busy for ever. So one process beside this one reads them all; its computing time and its memory are
limited for each file by the file's size, and it is started anew after it died. What it read comes back as
`plain_pickle` reads it.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.layouts import neighbour
from sa3dhp_datasets.plain_pickle import load_plain

SECONDS, BYTES_A_SECOND = 5, 2_000_000
"""Computing time for any file, and what is read at least in each further second."""

MEMORY, MEMORY_A_BYTE = 2 << 30, 30
"""Address space for any file, and more for each of its bytes: packed files grow."""

_START = """import json, sys; sys.path[:] = json.loads(sys.argv[1])
from sa3dhp_datasets.reading_process import serve; serve()"""
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}


class _Died(Exception):
    """The process ended before it had answered; the message says how."""


class _Endless(_Died):
    """It had used up its time."""


class _Reader:
    """The process, and who started it: after a fork it is another's."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", _START, json.dumps(sys.path)]
        environment = {**os.environ, **_ENVIRONMENT}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        self._owner, self.fresh = os.getpid(), True

    @property
    def usable(self) -> bool:
        return self._owner == os.getpid() and self._process.poll() is None

    def ask(self, request: list[Any], where: str) -> tuple[bool, Any]:
        """The answer to a request; raises `_Died` where there is none."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self.fresh = False
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            ok, answer = load_plain(self._process.stdout, where)
        except (DataError, OSError):
            raise self._died() from None
        except BaseException:
            self.end()
            raise
        return ok, answer

    def _died(self) -> _Died:
        code = self.end()
        if code == -getattr(signal, "SIGXCPU", 0):
            return _Endless("it keeps its reader busy without end")
        return _Died(f"it crashes its reader ({signal.Signals(-code).name if code < 0 else f'exit {code}'})")

    def end(self) -> int:
        """End the process if it has not ended, and give its exit code."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdout.close()
        with suppress(OSError):  # what it was to read was never read
            self._process.stdin.close()
        try:
            return self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


_lock = threading.Lock()
_readers: list[_Reader] = []


def read_apart(loader: str, path: Path, *keys: str, kind: str) -> Any:
    """What a loader makes of a file.

    Args:
        loader: ``module:function``; called with the path and the keys as text in the other process.
        path: of the file.
        keys: of what is wanted.
        kind: of file, for errors (``a CDF file``).

    Returns:
        Arrays, dicts, lists, numbers and text.

    Raises:
        DataError: there is no such file; the loader raised anything; it crashed, or took too much time or memory.
    """
    if not path.is_file():
        raise DataError("no such file", where=str(path), expected=kind, hint=neighbour(path))
    try:
        ok, answer = _answered([loader, str(path), keys, kind, _limits(path)], str(path))
    except _Died as died:
        expected, hint = f"{kind} that can be read", "copy the file again"
        raise DataError("a damaged file", where=str(path), found=str(died), expected=expected, hint=hint) from None
    if not ok:
        what, *facts = answer
        raise DataError(what, **dict(zip(("where", "found", "expected", "hint"), facts, strict=True)))
    return answer


def _limits(path: Path) -> tuple[int, int]:
    """Seconds of computing and bytes of memory that a file may take."""
    size = path.stat().st_size
    return SECONDS + size // BYTES_A_SECOND, MEMORY + MEMORY_A_BYTE * size


def _answered(request: list[Any], where: str) -> tuple[bool, Any]:
    """The answer; a process that had read others, which may have spoilt it, is not believed to die of this file."""
    with _lock:
        reader = _reader()
        fresh = reader.fresh
        try:
            return reader.ask(request, where)
        except _Endless:
            raise
        except _Died:
            if fresh:
                raise
            return _reader().ask(request, where)


def _reader() -> _Reader:
    _readers[:] = [reader for reader in _readers if reader.usable] or [_Reader()]
    return _readers[0]


@atexit.register
def end_all() -> None:
    """End the process; the next file starts another."""
    for reader in _readers:
        if reader.usable:
            reader.end()


def serve() -> None:
    """Answer requests, one a line of standard input, until it ends; run in the other process."""
    answers: IO[bytes] = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        loader, path, keys, kind, limits = json.loads(line)
        module, _, function = loader.partition(":")
        read = getattr(importlib.import_module(module), function)
        _limit(*limits)
        pickle.dump(_answer(read, path, keys, kind), answers, protocol=5)
        answers.flush()


def _answer(read: Any, path: str, keys: list[str], kind: str) -> tuple[bool, Any]:
    try:
        return True, read(path, *keys)
    except DataError as error:
        facts = (error.what, error.where, error.found, error.expected, error.hint)
        return False, [None if fact is None else str(fact) for fact in facts]
    except MemoryError:
        what = "the file wants more memory than its size allows"
    except Exception as error:  # any: the libraries raise what the first damaged byte brings about
        what = f"cannot be read as {kind}: {error or type(error).__name__}"
    return False, [what, path, None, kind, "copy the file again"]


def _limit(seconds: int, memory: int) -> None:
    """Limit the time and memory of this process from now on, where the system can."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    limits = {
        resource.RLIMIT_CPU: int(used.ru_utime + used.ru_stime) + 2 + seconds,
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CORE: 0,
    }
    for kind, limit in limits.items():
        most = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))
