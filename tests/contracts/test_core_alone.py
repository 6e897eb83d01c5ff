"""The core stands alone: it imports no plugin nor a plugin's library, and explains itself with none installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = ("av", "jinja2", "kornia", "plotly", "scipy", "tensorboard", "torch_geometric", "torchvision", "transformers")
PLUGINS = tuple(path.name for path in (ROOT / "plugins").glob("*/sa3dhp_*") if path.is_dir())

IMPORT_ALL = """
import importlib, json, pkgutil, sys
import sa3dhp_core
for module in pkgutil.walk_packages(sa3dhp_core.__path__, "sa3dhp_core."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""

HEAVY = ("torch", "numpy", "lightning", "lightning_fabric", "scipy", "cattrs", "pydantic", "tomlkit", "markdown_it")
"""What a call that only lists or explains leaves alone: the first for memory as well, the others for time."""

CONSOLE_SCRIPT = """
import json, sys
from importlib.metadata import entry_points
script = next(iter(entry_points(group="console_scripts", name="sa3dhp"))).load()
try:
    script()
finally:
    print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})), file=sys.stderr)
"""


def python(code: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter outside the checkout's folder."""
    return subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT.anchor, check=False
    )


@pytest.fixture(scope="module")
def bare(libraries: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Code that makes an interpreter see the core and its libraries, but no installed plugin."""
    folder = tmp_path_factory.mktemp("core")
    (folder / "sa3dhp_core").symlink_to(ROOT / "sa3dhp_core")
    return f"import sys; sys.path[:0] = [{str(folder)!r}, {str(libraries)!r}]\n"


def test_importing_all_of_the_core_brings_no_plugin_and_none_of_their_libraries() -> None:
    run = python(IMPORT_ALL)
    assert run.returncode == 0, run.stderr
    loaded = set(json.loads(run.stdout))
    assert "sa3dhp_core" in loaded
    assert sorted(loaded & {*FOREIGN, *PLUGINS}) == []


def test_listing_plugins_imports_no_torch() -> None:
    run = python("import sys\nfrom sa3dhp_core.host import Host\nHost.load()\nprint('torch' in sys.modules)")
    assert (run.returncode, run.stdout.strip()) == (0, "False"), run.stderr


@pytest.mark.parametrize("words", ["--help", "plugins list", "plugins list --json", "plugins --help", "--version"])
def test_the_installed_script_lists_and_explains_without_heavy_libraries(words: str) -> None:
    run = python(f"import sys; sys.argv = {['sa3dhp', *words.split()]!r}\n{CONSOLE_SCRIPT}")
    assert run.returncode == 0 and run.stdout.strip(), run.stderr
    loaded = set(json.loads(run.stderr.splitlines()[-1]))
    assert {"sa3dhp_core", "typer"} <= loaded
    assert sorted(loaded & {*HEAVY}) == []
    assert words == "plugins list" or "rich" not in loaded


def test_without_plugins_the_host_is_empty_and_all_of_the_core_imports(bare: str) -> None:
    code = "from sa3dhp_core.host import Host\nhost = Host.load(strict=True)\nprint(len(host.offers), len(host.broken))"
    run = python(bare + code, "-I", "-S")
    assert (run.returncode, run.stdout.strip()) == (0, "0 0"), run.stderr
    run = python(bare + IMPORT_ALL, "-I", "-S")
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("words", [["--help"], ["plugins", "list"], ["recipes", "list"], ["plugins", "list", "--json"]])
def test_without_plugins_the_command_line_explains_itself(bare: str, words: list[str]) -> None:
    run = python(bare + f"from sa3dhp_core.cli import main\nmain({words!r})", "-I", "-S")
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()


def test_without_plugins_a_run_says_what_is_missing(bare: str, tmp_path: Path) -> None:
    words = ["run", "quickstart", "--out", str(tmp_path / "run")]
    run = python(bare + f"from sa3dhp_core.cli import main\nmain({words!r})", "-I", "-S")
    assert run.returncode == 2, run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    assert "install" in run.stderr + run.stdout
