"""The command line: messages, exit codes, and (in processes of their own) no torch where none is needed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sa3dhp_core
from sa3dhp_core.cards import card_ids
from sa3dhp_core.cli.console import print_results
from sa3dhp_core.cli.data_files import counted
from sa3dhp_core.recipe import load_recipe

Distribute = Callable[..., str]
PROGRAM = "import sys; from sa3dhp_core.cli import main; main()"
LISTING_TORCH = """
import sys
from sa3dhp_core.cli import main
from sa3dhp_core.cli.console import print_results
try:
    main()
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""


Call = Callable[..., Any]


def test_version_and_help(call: Call) -> None:
    assert call("--version").stdout == f"sa3dhp {sa3dhp_core.__version__}\n"
    for arguments in (["--help"], []):
        done = call(*arguments)
        assert done.returncode == 0
        for command in "recipes run resume eval predict report export plugins protocols data doctor".split():
            assert command in done.stdout


@pytest.mark.parametrize(
    "arguments", [["--help"], ["plugins", "list"], ["protocols", "list"], ["recipes", "list"], ["run", "--help"]]
)
def test_what_only_lists_imports_no_torch(process: Call, arguments: list[str]) -> None:
    done = process(LISTING_TORCH, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["nonsense"], 2), (["run"], 2), (["run", "x"], 2), (["recipes", "show"], 2), (["doctor", "--nonsense"], 2)],
)
def test_wrong_arguments(call: Call, arguments: list[str], code: int) -> None:
    done = call(*arguments)
    assert done.returncode == code
    assert "Traceback" not in done.stderr and done.stderr


def test_plugins_list_and_show(call: Call, toy: str) -> None:
    listing = call("plugins", "list", only=toy).stdout
    assert "toy-loss" in listing and "toy-plugin 1.0" in listing and "BROKEN" not in listing
    content = json.loads(call("plugins", "list", "--json", only=toy).stdout)
    assert {c["id"] for c in content["components"]} == {"toy-loss", "toy-backbone", "toy-encoder", "toy-method"}
    shown = call("plugins", "show", "toy-loss", only=toy).stdout
    for words in ("temperature", "a number", "0.1", "required", "which relation", "one of 'hard', 'soft'"):
        assert words in shown
    unknown = call("plugins", "show", "toy-los", only=toy)
    assert unknown.returncode == 2 and "did you mean 'toy-loss'" in unknown.stderr


def test_broken_plugins_are_listed_and_strict_refuses(call: Call, distribute: Distribute, toy: str) -> None:
    distribute("bad", "import no_such_module_anywhere")
    done = call("plugins", "list", only=f"{toy},bad")
    assert done.returncode == 0
    for words in ("BROKEN", "bad", "ModuleNotFoundError", "toy-loss"):
        assert words in done.stdout
    broken = json.loads(call("plugins", "list", "--json", only=f"{toy},bad").stdout)["broken"]
    assert [plugin["distribution"] for plugin in broken] == ["bad"]
    strict = call("plugins", "list", "--strict-plugins", only=f"{toy},bad")
    assert strict.returncode == 2 and "no_such_module_anywhere" in strict.stderr and "Traceback" not in strict.stderr
    unknown = call("plugins", "list", only="tuy-plugin")
    assert unknown.returncode == 2 and "did you mean 'toy-plugin'" in unknown.stderr


def test_run_refuses_a_wrong_recipe_before_any_work(call: Call, toy: str, recipe_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    cases = {
        "losses.0.temprature=1": "losses[0].temprature",
        "losses.7.weight=1": "no item '7'",
        "engine.device=[1]": "engine.device",
        "methd=x": "did you mean 'method'",
        "encoder.use=other": "no image_encoder is called 'other'",
    }
    for assignment, words in cases.items():
        done = call("run", str(recipe_path), "--out", str(out), "--set", assignment, only=toy)
        assert done.returncode == 2 and words in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
    assert not out.exists()
    debug = call("run", str(recipe_path), "--out", str(out), "--set", "methd=x", "--debug", only=toy)
    assert debug.returncode == 2 and "Traceback" in debug.stderr and "did you mean 'method'" in debug.stderr


def test_commands_that_need_a_run_refuse_what_is_none(call: Call, toy: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "nowhere")
    predict = ["predict", folder, "x.npz", "--out", str(tmp_path / "poses")]
    evaluate, export = ["eval", folder, "--data", "x"], ["export", folder, "--format", "torch-export"]
    for arguments in (["resume", folder], evaluate, predict, ["report", folder], export):
        done = call(*arguments, only=toy)
        assert done.returncode == 2, done.stderr
        assert folder in done.stderr and "Traceback" not in done.stderr


def test_recipes_are_shown_resolved_and_copied_with_their_comments(
    call: Call, recipe_path: Path, tmp_path: Path
) -> None:
    shown = call("recipes", "show", str(recipe_path), "--set", "seed=9")
    assert shown.returncode == 0 and "seed = 9" in shown.stdout and "checkpoint_every = 100" in shown.stdout
    copy = tmp_path / "mine.toml"
    assert call("recipes", "copy", str(recipe_path), str(copy)).stdout.strip() == str(copy)
    assert "# the comment that a copy keeps" in copy.read_text()
    assert load_recipe(copy).id == "mine" and load_recipe(copy).losses == load_recipe(recipe_path).losses
    before = copy.read_bytes()
    again = call("recipes", "copy", str(recipe_path), str(copy))
    assert again.returncode == 2 and "left as it is" in again.stderr and copy.read_bytes() == before
    for target in ("no/such/folder.toml", "no-suffix"):
        assert call("recipes", "copy", str(recipe_path), target).returncode == 2
    unknown = call("recipes", "show", "quikstart")
    assert unknown.returncode == 2 and "no recipe 'quikstart'" in unknown.stderr


def test_protocols_are_listed_with_what_they_read_and_shown_in_words(call: Call) -> None:
    listing = call("protocols", "list")
    assert listing.returncode == 0
    assert "h36m-hmr-p2-pa-mpjpe-14" in listing.stdout and "true orientation" in listing.stdout
    cards = json.loads(call("protocols", "list", "--json").stdout)["protocols"]
    assert [card["id"] for card in cards] == list(card_ids("protocols"))
    shown = call("protocols", "show", "cps-300").stdout
    assert shown.startswith("# Correct poses score") and tomllib.loads(shown)["metric"] == "cps"
    unknown = call("protocols", "show", "cps-30")
    assert unknown.returncode == 2 and "did you mean 'cps-300'" in unknown.stderr


COMMANDS = """
    import errno
    from pathlib import Path
    import typer
    from sa3dhp_core.cli.session import interruptible
    from sa3dhp_core.components import Component
    from sa3dhp_core.errors import DataError
    from sa3dhp_core.hookspecs import hookimpl

    app = typer.Typer()

    @app.command()
    def greet(name: str, loud: bool = typer.Option(False, "--loud")):
        print(f"hello {name}{'!' if loud else ''}")

    @app.command()
    def fail(how: str):
        if how == "data":
            raise DataError("empty", where="[data.x]")
        if how == "full":
            raise OSError(errno.ENOSPC, "No space left on device", "out/weights")
        if how == "wrapped":
            raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
        if how == "interrupt":
            with interruptible(Path("runs/first")):
                raise KeyboardInterrupt
        if how == "bug":
            raise ZeroDivisionError("division by zero")

    @hookimpl
    def sa3dhp_commands():
        names = ("toy", "run")
        return [Component("command", name, "greets people", "attrs:Attribute", f"{__name__}:app") for name in names]
"""


@pytest.fixture
def commands(distribute: Distribute) -> str:
    """A plugin with a command, and with one whose name is taken."""
    return distribute("toy-commands", COMMANDS)


def test_a_plugins_command_is_mounted(call: Call, commands: str) -> None:
    assert "greets people" in call("--help", only=commands).stdout
    assert call("toy", "greet", "Ada", "--loud", only=commands).stdout == "hello Ada!\n"
    assert "greet" in call("toy", "--help", only=commands).stdout
    wrong = call("toy", "gret", only=commands)
    assert wrong.returncode == 2 and "Traceback" not in wrong.stderr
    assert "RECIPE" in call("run", "--help", only=commands).stdout
    suggestions = json.loads(call("doctor", "--json", only=commands).stdout)["suggestions"]
    assert any("rename the command 'run' of toy-commands" in line for line in suggestions)


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("data", 2, "[data.x]: empty"),
        ("full", 4, "out/weights: the disk is full"),
        ("wrapped", 4, "the disk is full"),
        ("interrupt", 130, "resume with: sa3dhp resume runs/first"),
        ("bug", 1, "ZeroDivisionError: division by zero"),
    ],
)
def test_every_failure_has_its_message_and_code(call: Call, commands: str, how: str, code: int, words: str) -> None:
    done = call("toy", "fail", how, only=commands)
    assert done.returncode == code
    assert words in done.stderr and "Traceback" not in done.stderr
    debug = call("--debug", "toy", "fail", how, only=commands)
    assert debug.returncode == code and "Traceback" in debug.stderr


def test_the_exit_code_reaches_the_shell(process: Call, commands: str) -> None:
    done = process(PROGRAM, "toy", "fail", "full", only=commands)
    assert (done.returncode, done.stdout) == (4, "") and "the disk is full" in done.stderr


def test_a_closed_pipe_is_quiet(process: Call, toy: str) -> None:
    program = f"""
import subprocess, sys
process = subprocess.Popen([sys.executable, "-c", {PROGRAM!r}, "plugins", "list", "--json"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
process.stdout.close()
print(process.stderr.read().decode())
"""
    assert process(program, only=toy).stdout.strip() == ""


def test_doctor_says_what_is_there_and_what_to_do(call: Call, distribute: Distribute) -> None:
    distribute("bad", "import no_such_module_anywhere")
    facts = json.loads(call("doctor", "--json", only="bad").stdout)
    assert facts["packages"]["torch"] and facts["cores"] >= 1 and facts["components"] == 0
    assert any("sa3dhp[all]" in line for line in facts["suggestions"])
    assert any("bad" in line for line in facts["suggestions"])
    assert facts["limits"] and facts["engine"]["device"] in ("cpu", "cuda", "mps")
    assert facts["engine"].keys() == facts["reasons"].keys() and "measured" not in facts
    text = call("doctor", only="bad").stdout
    assert "BROKEN bad 1.0" in text and "python" in text and "[engine]" in text and "device = " in text
    unread = call("doctor", "--video", "film.mp4", only="bad")
    assert unread.returncode == 2 and "nothing that is installed reads films" in unread.stderr


def test_doctor_measures_when_it_is_asked(call: Call) -> None:
    facts = json.loads(call("doctor", "--measure", "--json", only="none").stdout)
    names = ("product_fp32_gflop_per_s", "copy_gb_per_s", "network_images_per_s", "drawing_images_per_s")
    assert all(facts["measured"][name] > 0 for name in names)
    assert facts["limits"][0].startswith(("computing: ", "input: "))


def test_data_lists_and_shows(call: Call, distribute: Distribute) -> None:
    source = """
        import attrs
        from sa3dhp_core.components import Component
        from sa3dhp_core.hookspecs import hookimpl

        @attrs.frozen
        class Config:
            folder: str = attrs.field(metadata={"help": "where the files are"})

        @hookimpl
        def sa3dhp_pose_data():
            return [Component("pose_data", "toy-poses", "poses of toys", f"{__name__}:Config", "os:getcwd")]
    """
    name = distribute("toy-data", source)
    assert "poses of toys" in call("data", "list", only=name).stdout
    assert "where the files are" in call("data", "show", "toy-poses", only=name).stdout
    assert "did you mean 'toy-poses'" in call("data", "show", "toy-pose", only=name).stderr


def test_results_are_a_table_of_latent_stages_and_one_of_the_targets_test_split(
    capsys: pytest.CaptureFixture[str],
) -> None:
    splits = ("target-validation", "target-test", "target-test:families", "source-test")
    records = [
        {"row": row, "protocol": protocol, "split": split, "value": value, "unit": unit}
        for split in splits
        for row in ("source-only", "adapted [a]")
        for protocol, value, unit in (("mpjpe-root", 71.26, "mm"), ("pa-mpjpe", 51.0, "mm"), ("spread", 0.873, ""))
    ]
    distance = {
        "row": "relation flip",
        "protocol": "latent-distance",
        "split": "latent:test",
        "value": 0.81,
        "unit": "",
    }
    print_results({"recipe": "[b]toy", "seed": 3, "records": [*records, distance]})
    text = capsys.readouterr().out
    assert "[b]toy, seed 3" in text and text.count("target-test") == 1
    assert "validation" not in text and "families" not in text
    latent, text = text.split("split latent:test")
    assert "relation flip" in latent and "0.81" in latent and "latent" not in text
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith(("source-only", "adapted"))]
    assert [line.split()[-3:] for line in lines] == [["71.3", "51.0", "0.87"]] * 3
    assert [line.split("  ")[0] for line in lines] == ["source-only", "adapted [a]", "source-only on source-test"]
    assert max(map(len, text.splitlines())) <= 80
    print_results({"recipe": "toy", "seed": 3, "records": records[:6]})
    assert "target-validation" in capsys.readouterr().out


FINISHING = """
    import attrs
    from sa3dhp_core.components import Component
    from sa3dhp_core.hookspecs import hookimpl
    from sa3dhp_core.protocols.method import Stage
    from sa3dhp_core.runner import write_records

    @attrs.frozen
    class Config:
        page: bool = attrs.field(default=False, metadata={"help": "whether to write a page"})

    class Method:
        def __init__(self, config, recipe, host):
            self.page = config.page

        def stages(self):
            return (Stage("only", {"page": self.page}, (), self.run),)

        def run(self, context):
            row = {"row": "constant pose", "protocol": "mpjpe-root", "split": "target-test", "unit": "mm"}
            write_records(context.folder, [{**row, "value": 250.0}])
            if self.page:
                (context.run / "report.html").write_text("<title>report</title>")

    @hookimpl
    def sa3dhp_methods():
        return [Component("method", "one-figure", "reports one figure", f"{__name__}:Config", f"{__name__}:Method")]
"""


@pytest.mark.parametrize("page", [False, True])
def test_a_run_ends_with_its_table_and_the_files_that_exist(
    call: Call, distribute: Distribute, tmp_path: Path, page: bool
) -> None:
    name, out, recipe = distribute("one-figure", FINISHING), tmp_path / "run", tmp_path / "one.toml"
    recipe.write_text(f'method = "one-figure"\n[settings]\npage = {str(page).lower()}\n', encoding="utf-8")
    done = call("run", str(recipe), "--out", str(out), only=name)
    assert done.returncode == 0, done.stderr
    assert "constant pose" in done.stdout and "250.0" in done.stdout and "250.0" not in done.stderr
    paths = [line for line in done.stdout.splitlines() if line.startswith(("results: ", "report: "))]
    assert paths == [f"results: {out / 'results.json'}", *([f"report: {out / 'report.html'}"] if page else [])]
    again = call("run", str(recipe), "--out", str(out), "--json", only=name)
    assert json.loads(again.stdout) == json.loads((out / "results.json").read_text())


def test_long_lists_of_subjects_end_in_a_count() -> None:
    few = [(f"im{number:04d}", number) for number in range(1, 13)]
    assert counted(few[:2]) == "im0001 1, im0002 2" and counted([("", 3)]) == "- 3" and counted(few).endswith("12")
    assert counted([*few, ("im0013", 13), ("im0014", 14)]) == counted(few) + ", and 2 more with 27"
