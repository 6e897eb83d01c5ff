"""``sa3dhp plugins new``: what it writes works as it is, under a name that nobody has, whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sa3dhp_core.components import NOUNS
from sa3dhp_core.errors import PluginError
from sa3dhp_core.host import Host
from sa3dhp_core.new_plugin import plugin_files, write_plugin
from sa3dhp_core.source_folder import SourceFolder

Call = Callable[..., Any]
NOBODY = Host(())
LEFT_OVER = ("sa3dhp_template", "sa3dhp-template", "template-tilt", "my_package", '"my-')


@pytest.mark.parametrize("noun", NOUNS)
def test_every_kind_is_written_and_loads(noun: str, site: Path) -> None:
    name = f"brand-new-{noun.replace('_', '-')}"
    write_plugin(name, noun, site / "mine", NOBODY)
    host = Host.load(strict=True, folders=[SourceFolder(site / "mine")])
    (offer,) = [offer for offer in host.offers if offer.distribution == name]
    assert (offer.component.noun, offer.component.id) == (noun, name)
    assert callable(offer.component.load_target())
    assert host.config(noun, {"use": name}, noun) is not None


NO_PART_OF_A_RECIPE = ("command", "lifter", "relation_score", "relation_selection")


@pytest.mark.parametrize("noun", NOUNS)
def test_nothing_of_the_template_is_left_in_the_text(noun: str) -> None:
    texts = plugin_files("brand-new", noun)
    assert [(path, word) for path, text in texts.items() for word in LEFT_OVER if word in path + text] == []
    rows = [line.split("`")[1] for line in texts["README.md"].splitlines() if line.startswith("| `")]
    assert set(rows) == {path for path in texts if not path.endswith(("README.md", "__init__.py", "py.typed"))}
    assert "brand-new" in texts["README.md"].partition("```toml")[2] or noun in NO_PART_OF_A_RECIPE
    project = tomllib.loads(texts["pyproject.toml"])["project"]
    assert project["entry-points"]["sa3dhp"] == {"brand-new": "brand_new.plugin"}


@pytest.mark.slow
@pytest.mark.parametrize("noun", ["relation", "backbone", "pose_prior", "alignment_loss"])
def test_it_keeps_every_promise_as_it_is(noun: str, call: Call, site: Path) -> None:
    written = call("plugins", "new", "brand-new", "--kind", noun, "--out", "mine")
    assert written.returncode == 0 and "mine/brand_new/plugin.py" in written.stdout.splitlines(), written.stderr
    checked = call("plugins", "check", "./mine")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{noun}:brand-new" in checked.stdout


@pytest.mark.slow
def test_its_own_tests_pass(site: Path) -> None:
    write_plugin("brand-new", "relation", site / "mine", NOBODY)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site / "mine"), *sys.path])}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    run = subprocess.run(words, cwd=site / "mine", env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0 and " passed" in run.stdout, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("My_Relation", "try: 'my-relation'"),
        ("3d", "try: my-3d"),
        ("lambda", "try: my-lambda"),
        ("no space", "try: 'no-space'"),
        ("../up", "try: 'up'"),
        ("", "lower-case words"),
        ("json", "package json can be imported"),
        ("attrs", "distribution attrs"),
        ("flip", "sa3dhp-relations offers a relation of this id"),
    ],
)
def test_a_name_that_cannot_be_used_or_is_taken_is_refused(name: str, words: str, call: Call, site: Path) -> None:
    done = call("plugins", "new", name, "--kind", "relation", "--out", "mine")
    assert done.returncode == 2 and words in done.stderr, done.stderr
    assert not (site / "mine").exists()


def test_an_unknown_kind_names_the_nearest(call: Call, site: Path) -> None:
    done = call("plugins", "new", "brand-new", "--kind", "relatoin", "--out", "mine")
    assert done.returncode == 2 and "did you mean 'relation'" in done.stderr and not (site / "mine").exists()


def test_a_folder_with_something_in_it_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    for out in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(PluginError, match="left as it is"):
            write_plugin("brand-new", "relation", out, NOBODY)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_folder_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    written = write_plugin("brand-new", "relation", Path("."), NOBODY)
    assert all(path.is_file() for path in written) and Path("brand_new/plugin.py") in written
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_where_nothing_can_be_written_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for out in (tmp_path / "file" / "below", tmp_path / ("long" * 70)):
        with pytest.raises(PluginError, match="cannot be written"):
            write_plugin("brand-new", "relation", out, NOBODY)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
