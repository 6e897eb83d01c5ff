"""Fixtures of the contracts: the libraries of this environment without anything of sa3dhp."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of links to all that is installed here, less everything of sa3dhp and every `.pth` file.

    On the path of an interpreter that reads no site-packages of its own, it is an environment before `pip install`.
    """
    folder = tmp_path_factory.mktemp("libraries")
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    for path in sorted(entry for site in paths for entry in Path(site).iterdir()):
        if not path.name.startswith(("sa3dhp", "_sa3dhp")) and path.suffix != ".pth" and path.name != "__pycache__":
            (folder / path.name).symlink_to(path)
    return folder
