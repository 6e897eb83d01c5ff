"""A plugin's source folder as a distribution, and as a part of the host."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sa3dhp_core import __version__
from sa3dhp_core.errors import PluginError
from sa3dhp_core.host import Host
from sa3dhp_core.source_folder import DYNAMIC, SourceFolder, same_name

Distribute = Callable[..., str]
Sources = Callable[..., Path]

PLUGIN = """
from sa3dhp_core.components import Component
from sa3dhp_core.hookspecs import hookimpl

@hookimpl
def sa3dhp_sinks():
    return [Component("sink", "{id}", "a sink", "os:stat_result", "os:getcwd")]
"""


@pytest.fixture
def sources(site: Path) -> Sources:
    """``sources(name, id, below="src", project="…")`` writes a source folder of a plugin with one sink."""

    def write(name: str, id: str, below: str = ".", project: str = 'version = "2.0"') -> Path:
        folder, package = site / f"{name}-sources", name.replace("-", "_")
        (folder / below / package).mkdir(parents=True)
        (folder / below / package / "__init__.py").write_text(PLUGIN.format(id=id), encoding="utf-8")
        text = f'[project]\nname = "{name}"\n{project}\n[project.entry-points.sa3dhp]\n{name} = "{package}"\n'
        (folder / "pyproject.toml").write_text(text, encoding="utf-8")
        return folder

    return write


def test_it_reads_as_an_installed_distribution_does(sources: Sources) -> None:
    project = 'version = "2.0"\ndescription = "a\\n sink"\nlicense = "MIT"\ndependencies = ["sa3dhp>=0.1", "attrs"]'
    folder = SourceFolder(sources("odd-sink", "odd", project=f'{project}\nurls.Homepage = "https://example.org"'))
    assert (folder.name, folder.version, folder.requires) == ("odd-sink", "2.0", ["sa3dhp>=0.1", "attrs"])
    assert folder.metadata["Summary"] == "a sink" and folder.metadata["License-Expression"] == "MIT"
    assert folder.metadata["Project-URL"] == "Homepage, https://example.org"
    (point,) = folder.entry_points
    assert (point.group, point.name, point.value, point.dist) == ("sa3dhp", "odd-sink", "odd_sink", folder)
    assert SourceFolder(sources("no-version", "x", project='dynamic = ["version"]')).version == DYNAMIC


@pytest.mark.parametrize("below", [".", "src"])
def test_its_components_stand_beside_the_installed_ones(sources: Sources, toy: str, below: str) -> None:
    host = Host.load(strict=True, only=[toy], folders=[SourceFolder(sources("new-sink", "newest", below))])
    (offer,) = host.components("sink")
    assert (offer.component.id, offer.distribution, offer.version) == ("newest", "new-sink", "2.0")
    assert {offer.distribution for offer in host.offers} == {toy, "new-sink"}


def test_it_takes_the_place_of_an_installed_distribution_of_its_name(sources: Sources, distribute: Distribute) -> None:
    name = distribute("same-sink", PLUGIN.format(id="installed"), version="1.0")
    assert [o.component.id for o in Host.load(only=[name]).offers] == ["installed"]
    host = Host.load(strict=True, only=[], folders=[SourceFolder(sources("same-sink", "in-folder"))])
    assert [(o.component.id, o.version) for o in host.offers] == [("in-folder", "2.0")]
    assert "same-sink-sources" in str(sys.modules["same_sink"].__file__)


def test_an_id_that_an_installed_plugin_has_is_the_folders_fault(sources: Sources, distribute: Distribute) -> None:
    name = distribute("zebra", PLUGIN.format(id="taken"))
    host = Host.load(only=[name], folders=[SourceFolder(sources("ant", "taken"))])
    assert [offer.distribution for offer in host.offers] == ["zebra"]
    assert [plugin.distribution for plugin in host.broken] == ["ant"] and "zebra 1.0" in host.broken[0].problem


def test_a_folder_that_fails_is_reported_with_where_to_mend_it(sources: Sources) -> None:
    folder = sources("sad-sink", "sad")
    (folder / "sad_sink" / "__init__.py").write_text("raise RuntimeError('rain')", encoding="utf-8")
    (broken,) = Host.load(only=[], folders=[SourceFolder(folder)]).broken
    assert "RuntimeError: rain" in broken.problem and str(folder) in broken.hint and "pip" not in broken.hint


def test_its_host_range_is_held(sources: Sources) -> None:
    folder = sources("late-sink", "late", project='version = "1"\ndependencies = ["sa3dhp>=999"]')
    (broken,) = Host.load(only=[], folders=[SourceFolder(folder)]).broken
    assert f"needs sa3dhp>=999, and this is {__version__}" in broken.problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no source folder of a plugin"),
        ("[project", "not readable as TOML"),
        ('[project]\nname = "x"\n', "declares no plugin"),
        ('[project.entry-points.sa3dhp]\nx = "x"\n', "declares no plugin"),
        ("project = 3\n", "declares no plugin"),
    ],
)
def test_a_folder_without_a_plugin_is_refused(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    with pytest.raises(PluginError, match=words) as caught:
        SourceFolder(tmp_path)
    assert str(tmp_path) in str(caught.value.where)


def test_names_are_compared_as_package_indexes_do() -> None:
    assert same_name("My_Plugin.One", "my-plugin-one") and not same_name("plugin", "plugins")
