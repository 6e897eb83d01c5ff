"""What every record says of how it was made: the command and the machine. Measures nothing."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from pathlib import Path


def command() -> str:
    """The command line of this process."""
    return shlex.join(["python", *sys.argv])


def machine() -> str:
    """The processor, and how many cores this process may use."""
    return f"{processor()}, {len(os.sched_getaffinity(0))} cores"


def loaded_machine() -> dict[str, object]:
    """The processor, its cores and how busy they are."""
    return {"cpu": processor(), "cores": os.cpu_count(), "load_before": round(os.getloadavg()[0], 2)}


def own_mib(name: str) -> float:
    """Memory of this process as Linux counts it, MiB: ``VmRSS`` resident, ``VmHWM`` at most, ``RssAnon`` its alone."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
