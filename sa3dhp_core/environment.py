"""Where a run happened: versions, state of the source, hardware. Reads; changes nothing. Torch is asked last."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sa3dhp_core import __version__

PACKAGES = ("torch", "lightning-fabric", "numpy", "attrs", "cattrs", "pluggy", "einops", "roma", "safetensors")
"""Distributions whose versions can change a result."""

DECODERS = {
    "av": ("videos (mp4, …)", "pip install av"),
    "scipy": (".mat files up to version 7.2", "pip install scipy"),
    "h5py": ("HDF5 and newer .mat files", "pip install h5py"),
    "cdflib": (".cdf files", "pip install cdflib"),
    "PIL": ("pictures", "pip install pillow"),
    "transformers": ("pretrained backbones", "pip install transformers"),
    "tensorboard": ("TensorBoard logs", "pip install tensorboard"),
}
"""Importable name to what it opens, and how to get it."""


def describe_environment() -> dict[str, Any]:
    """Everything about this machine and installation that can matter to a run, as plain data."""
    return {
        "sa3dhp": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "command": sys.argv,
        "packages": {name: _version(name) for name in PACKAGES},
        "plugins": plugin_versions(),
        "git": git_state(Path(__file__).resolve().parent),
        "cores": usable_cores(),
        "memory_gib": memory_gib(),
        "devices": devices(),
    }


def plugin_versions() -> dict[str, str]:
    """Installed distributions that register plugins, and their versions."""
    found = {
        str(distribution.name): str(distribution.version)
        for distribution in distributions()
        if any(point.group == "sa3dhp" for point in distribution.entry_points)
    }
    return dict(sorted(found.items()))


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of the checkout that holds `folder`, and whether tracked files differ from it; None outside one."""
    if shutil.which("git") is None or not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return None if commit is None else {"commit": commit, "changed": bool(changes)}


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_gib() -> float | None:
    """Main memory in GiB, where the system tells."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None


def memory_limit_gib() -> float | None:
    """Main memory that this process may use, GiB: what there is, or less where its group or shell has a limit."""
    limits = [whole for whole in (memory_gib(), _cgroup_gib(), _shell_gib()) if whole is not None]
    return min(limits, default=None)


def free_memory_gib() -> float | None:
    """Main memory that is not in use, GiB, where the system tells."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        free = next(int(line.split()[1]) / 2**20 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    shell = _shell_gib()
    if shell is not None:
        free = min(free, max(0.0, shell - _own_gib()))
    return round(free, 2)


def _cgroup_gib() -> float | None:
    """The limit of a container, where there is one."""
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            told = Path(name).read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if told.isdigit() and int(told) < 2**50:
            return round(int(told) / 2**30, 1)
    return None


def _shell_gib() -> float | None:
    """The limit of this process's addresses (``ulimit -v``), where there is one."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else round(limit / 2**30, 1)


def _own_gib() -> float:
    """Addresses that this process uses."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**30


def devices() -> list[str]:
    """Names of the accelerators that torch sees, or why it cannot be asked; imports torch."""
    try:
        import torch
    except Exception as error:  # a damaged installation raises anything from ImportError to OSError
        return [f"torch cannot be imported: {error}"]
    if torch.cuda.is_available():
        return [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    return ["mps"] if torch.backends.mps.is_available() else []


def decoders() -> dict[str, str | None]:
    """What each optional library opens, to the command that installs it, or None where it is there."""
    return {f"{name}: {opens}": None if find_spec(name) is not None else get for name, (opens, get) in DECODERS.items()}


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
