"""`sa3dhp relations` on a real run of the registry's survey, made small; bad input is named and explained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from sa3dhp_core import runner
from sa3dhp_core.atomic import read_json
from sa3dhp_core.cli.app import main
from sa3dhp_core.host import Host
from tests.recipes.shrinking import shrunk

pytestmark = pytest.mark.slow
KEPT = ("flip", "rotate-50", "tilt-10", "arms", "backward")


@pytest.fixture(scope="module")
def run(host: Host, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The survey's priors and networks of a few relations; its rows are not run."""
    folder = tmp_path_factory.mktemp("survey")
    relations = [table for table in shrunk("relation-survey", host).relations if table["name"] in KEPT]
    lines = ", ".join("{" + ", ".join(f"{k} = {json.dumps(v)}" for k, v in table.items()) + "}" for table in relations)
    small = shrunk("relation-survey", host, [f"relations=[{lines}]", "relation_network.hidden=16"])
    runner.run(small, host, folder / "run", only=("latent",), store=store)
    return folder / "run"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Any:
    """``call("rank", …)`` returns exit code, standard output and standard error."""

    def run_it(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["relations", *words])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run_it


def test_rank_prints_every_relation_and_what_all_leave_open(run: Path, call: Any) -> None:
    code, out, _ = call("rank", str(run))
    assert code == 0 and all(name in out for name in KEPT)
    assert "all together: fixed poses 0 (none); invisible maps 2" in out and "no matrix describes arms" in out
    assert "redundancy" in out


def test_rank_gives_json_and_a_page_of_its_own(run: Path, call: Any, tmp_path: Path) -> None:
    page = tmp_path / "rank.html"
    code, out, _ = call("rank", str(run), "--json", "--plot", str(page))
    found = json.loads(out)
    assert code == 0 and {one["name"] for one in found["relations"]} == set(KEPT)
    distances = [one["relative"] for one in found["relations"]]
    assert distances == sorted(distances, reverse=True)
    assert found["left_open"]["fixed_dimension"] == 0 and found["skeleton"] == "h36m-17"
    assert set(found["redundancy"]) == set(KEPT)
    text = page.read_text(encoding="utf-8")
    assert "rotate-50" in text and "plotly" in text.lower() and '<script src="http' not in text
    assert len(text) > 1_000_000, "the script is embedded"


def test_select_proposes_a_set_and_says_why(run: Path, call: Any) -> None:
    code, out, _ = call("select", str(run), "--size", "2", "--json")
    found = json.loads(out)
    chosen = found["chosen"]
    assert code == 0 and found["by"] == "pins-down" and len({one["name"] for one in chosen}) == 2
    assert all(one["name"] in KEPT and "latent distance" in one["reason"] for one in chosen)
    code, out, _ = call("select", str(run), "--size", "2", "--by", "latent-distance")
    assert code == 0 and "number 2 in that order" in out and "the set leaves open" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("select", "RUN", "--size", "6"), "1 to 5"),
        (("select", "RUN", "--by", "pin-down"), "did you mean 'pins-down'"),
        (("rank", "RUN", "--plot", "rank.png"), "ends in .html"),
        (("rank", "RUN/nothing"), "not a run directory"),
        (("select", "RUN/stages"), "not a run directory"),
    ],
)
def test_bad_input_is_explained(words: tuple[str, ...], said: str, run: Path, call: Any) -> None:
    code, out, err = call(*(word.replace("RUN", str(run)) for word in words))
    assert (code, out) == (2, "") and said in err


def test_a_size_of_none_is_refused(run: Path, call: Any) -> None:
    code, _, err = call("select", str(run), "--size", "0")
    assert code != 0 and "size" in err


def test_a_run_without_networks_says_how_to_train_them(
    host: Host, store: Path, call: Any, run: Path, tmp_path: Path
) -> None:
    given = runner.recipe_of(run)
    settings = {**given.settings, "networks": "used"}
    runner.run(attrs.evolve(given, settings=settings), host, tmp_path / "bare", only=("latent",), store=store)
    code, _, err = call("select", str(tmp_path / "bare"))
    assert code == 2 and 'networks = "all"' in err


def test_an_unfinished_latent_stage_is_named(run: Path, call: Any, tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    for name in ("recipe.toml", runner.STAGES):
        (left / name).write_text((run / name).read_text(encoding="utf-8"), encoding="utf-8")
    folders = read_json(left / runner.STAGES)
    folders["relation-flip"] = str(tmp_path / "nowhere")
    (left / runner.STAGES).write_text(json.dumps(folders), encoding="utf-8")
    code, _, err = call("rank", str(left))
    assert code == 2 and "stage 'relation-flip' is not done" in err and f"sa3dhp resume {left}" in err
