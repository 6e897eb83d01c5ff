"""A plugin's source folder, seen as if it were installed: name, version, requirements, entry points. Builds nothing.

Only the static part of its `pyproject.toml` is read.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

from sa3dhp_core.cards import read_toml
from sa3dhp_core.errors import PluginError, RecipeError

GROUP = "sa3dhp"
DYNAMIC = "0"
"""Version of a folder whose build tool would find it out."""


class SourceFolder(Distribution):
    """A distribution that is not installed.

    Args:
        folder: holds a `pyproject.toml` with entry points in the group ``sa3dhp``.

    Raises:
        PluginError: it does not.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.project = _project(self.folder)

    def put_first(self) -> None:
        """Let this process import its packages from the folder; those of that name from elsewhere are forgotten."""
        for point in self.entry_points:
            package = point.module.partition(".")[0]
            for root in (self.folder, self.folder / "src"):
                if (root / package).is_dir() or (root / f"{package}.py").is_file():
                    sys.path.insert(0, str(root))
            _forget(package, self.folder)
        importlib.invalidate_caches()

    def read_text(self, filename: str) -> str | None:
        """What an installed distribution would have in this file of its dist-info folder."""
        if filename == "METADATA":
            return _metadata(self.project)
        if filename == "entry_points.txt":
            points = self.project["entry-points"][GROUP]
            return "\n".join([f"[{GROUP}]", *(f"{name} = {value}" for name, value in points.items()), ""])
        return None

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        """The path of one of its files."""
        return self.folder / path


def same_name(one: str, other: str) -> bool:
    """Whether two names of distributions are one: case, and the sort of separator, do not count."""
    first, second = (re.sub(r"[-_.]+", "-", name).lower() for name in (one, other))
    return first == second


def _forget(package: str, folder: Path) -> None:
    """Drop a package and its modules from `sys.modules`, unless they come from `folder`."""
    place = getattr(sys.modules.get(package), "__file__", None)
    if place is None or not Path(place).resolve().is_relative_to(folder):
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]


def _project(folder: Path) -> dict[str, Any]:
    file = folder / "pyproject.toml"
    if not file.is_file():
        raise PluginError(
            "no source folder of a plugin",
            where=str(folder),
            expected="a pyproject.toml in it",
            hint="sa3dhp plugins new NAME --kind relation --out FOLDER writes one",
        )
    try:
        project = read_toml(file).get("project", {})
    except RecipeError as error:
        raise PluginError(error.what, where=error.where) from error
    project = project if isinstance(project, dict) else {}
    points = project.get("entry-points", {}).get(GROUP)
    if not points or not isinstance(project.get("name"), str):
        raise PluginError(
            "its pyproject.toml declares no plugin",
            where=str(file),
            expected=f"[project] with a name and [project.entry-points.{GROUP}] with an entry",
            hint='my-plugin = "my_plugin.plugin"',
        )
    return project


def _metadata(project: dict[str, Any]) -> str:
    """Core metadata, as far as the host and the cards read it."""
    fields = [("Metadata-Version", "2.4"), ("Name", project["name"]), ("Version", project.get("version", DYNAMIC))]
    for key, value in (("Summary", project.get("description")), ("License-Expression", project.get("license"))):
        fields += [(key, " ".join(value.split()))] if isinstance(value, str) else []
    fields += [("Project-URL", f"{label}, {url}") for label, url in project.get("urls", {}).items()]
    fields += [("Requires-Dist", line) for line in project.get("dependencies", ())]
    return "\n".join(f"{key}: {value}" for key, value in fields) + "\n\n"
