"""The plugin's sinks through the host's eyes: what is offered, that configs check, what lies in the run directory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sa3dhp_core.components import NOUNS
from sa3dhp_core.sinks import SinkBoard
from sa3dhp_report.config import ReportConfig, TensorBoardConfig
from sa3dhp_report.plugin import sa3dhp_sinks


@pytest.mark.parametrize("component", sa3dhp_sinks(), ids=lambda component: component.id)
def test_components_build_from_their_default_config(component: object, tmp_path: Path) -> None:
    assert component.noun in NOUNS and component.noun == "sink"
    sink = component.load_target()(component.load_config()(), folder=tmp_path)
    SinkBoard([("sink", sink)], complain=pytest.fail).close()


def test_the_plugin_imports_neither_torch_nor_plotly() -> None:
    code = (
        "import sys, sa3dhp_report.plugin, sa3dhp_report.config; sys.exit(bool({'torch', 'plotly'} & {*sys.modules}))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False).returncode
        == 0
    )


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (ReportConfig, {"samples": -1}),
        (ReportConfig, {"curve_points": 1}),
        (TensorBoardConfig, {"subfolder": ""}),
        (TensorBoardConfig, {"flush_seconds": 0}),
    ],
)
def test_values_out_of_range_are_refused(kind: type, values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        kind(**values)


def test_the_report_is_written_on_closing_and_only_with_results(tmp_path: Path, whole_run: Callable[..., Path]) -> None:
    (sink,) = (c.load_target()(ReportConfig(), folder=tmp_path) for c in sa3dhp_sinks() if c.id == "report")
    play(SinkBoard([("report", sink)], complain=pytest.fail), range(1, 3))
    assert not (tmp_path / "report.html").exists()
    whole_run(tmp_path, crops=1)
    sink.close()
    assert (tmp_path / "report.html").stat().st_size > 1_000_000


def play(board: SinkBoard, steps: range, scale: float = 1.0) -> None:
    board.stage_started("row/adapted", 10)
    for step in steps:
        board.progress("row/adapted", step, {"loss/adaptation": scale * step})
    board.result({"row": "adapted", "protocol": "mpjpe-root", "split": "target-test", "value": 79.5, "unit": "mm"})
    board.close()


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_tensorboard_holds_scalars_and_results_and_a_resumed_run_repeats_no_step(tmp_path: Path) -> None:
    (offered,) = (component for component in sa3dhp_sinks() if component.id == "tensorboard")
    for steps, scale in ((range(1, 7), 1.0), (range(4, 9), 10.0)):
        sink = offered.load_target()(TensorBoardConfig(), folder=tmp_path)
        play(SinkBoard([("tensorboard", sink)], complain=pytest.fail), steps, scale)
    found = scalars(tmp_path / "tensorboard/row_adapted", "loss/adaptation")
    assert found == [(step, float(step)) for step in (1, 2, 3)] + [(step, 10.0 * step) for step in range(4, 9)]
    assert scalars(tmp_path / "tensorboard/results", "target-test/mpjpe-root/adapted") == [(0, 79.5)]


def test_tensorboard_says_once_that_its_folder_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (offered,) = (component for component in sa3dhp_sinks() if component.id == "tensorboard")
    sink = offered.load_target()(TensorBoardConfig(), folder=tmp_path / "run")
    (tmp_path / "run").write_text("a file where the folder should be")
    for stage in ("first", "second"):
        sink.progress(stage, 1, {"loss": 1.0})
    sink.result({"row": "adapted", "value": 1.0})
    sink.close()
    assert capsys.readouterr().err.count("cannot be written") == 1
