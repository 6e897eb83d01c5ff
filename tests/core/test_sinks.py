"""The board keeps sinks' trouble away; the console and the metrics file say what they should, no more."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from sa3dhp_core.sinks import METRICS, ConsoleSink, JsonLinesSink, SinkBoard
from sa3dhp_core.sinks.console import duration

EVENTS = ("stage_started", "progress", "stage_finished", "result", "close")


class Recording:
    """Keeps what it receives; raises in the methods named."""

    def __init__(self, *failing: str, error: type[BaseException] = OSError) -> None:
        self.failing, self.error = failing, error
        self.events: list[tuple[object, ...]] = []

    def _take(self, *event: object) -> None:
        self.events.append(event)
        if event[0] in self.failing:
            raise self.error("no space left")

    def stage_started(self, stage: str, steps: int | None) -> None:
        self._take("stage_started", stage, steps)

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        self._take("progress", stage, step, dict(scalars))

    def stage_finished(self, stage: str, seconds: float, cached: bool) -> None:
        self._take("stage_finished", stage, seconds, cached)

    def result(self, record: Mapping[str, object]) -> None:
        self._take("result", dict(record))

    def close(self) -> None:
        self._take("close")


def play(board: SinkBoard) -> None:
    board.stage_started("a", 2)
    board.progress("a", 1, {"loss": 1.0})
    board.log("a", 2, {"validation": 3.0})
    board.stage_finished("a", 0.5, False)
    board.result({"row": "x"})
    board.close()


EVERYTHING = [
    ("stage_started", "a", 2),
    ("progress", "a", 1, {"loss": 1.0}),
    ("progress", "a", 2, {"validation": 3.0}),
    ("stage_finished", "a", 0.5, False),
    ("result", {"row": "x"}),
    ("close",),
]


@pytest.mark.parametrize("method", EVENTS)
def test_a_raising_sink_is_reported_once_and_dropped(method: str) -> None:
    bad, good = Recording(method, "close"), Recording()
    complaints: list[str] = []
    play(SinkBoard([("bad", bad), ("good", good)], complain=complaints.append))
    assert good.events == EVERYTHING
    assert len(complaints) == 1
    assert "'bad'" in complaints[0] and method in complaints[0] and "no space left" in complaints[0]
    assert [event[0] for event in bad.events].count(method) == 1
    assert bad.events[-1] == ("close",)


def test_a_sink_that_cannot_be_built_is_reported_and_left_out() -> None:
    def broken() -> Recording:
        raise ImportError("tensorboard is not installed")

    complaints: list[str] = []
    board = SinkBoard(complain=complaints.append)
    good = Recording()
    board.add("broken", broken)
    board.add("good", lambda: good)
    board.add("good", Recording)
    assert board.names == ("good", "good-2")
    assert complaints == ["sink 'broken' cannot be opened: ImportError: tensorboard is not installed"]
    play(board)
    assert good.events == EVERYTHING


def test_interruptions_pass_through() -> None:
    board = SinkBoard([("bad", Recording("progress", error=KeyboardInterrupt))])
    with pytest.raises(KeyboardInterrupt):
        board.progress("a", 1, {})


def test_leaving_the_block_closes_once() -> None:
    sink = Recording()
    with pytest.raises(RuntimeError), SinkBoard([("sink", sink)]) as board:
        raise RuntimeError("training failed")
    board.close()
    assert sink.events == [("close",)]


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def train(folder: Path, stage: str, steps: range, scale: float = 1.0) -> None:
    sink = JsonLinesSink(folder)
    for step in steps:
        sink.progress(stage, step, {"loss": scale * step})
    sink.close()


def points(folder: Path) -> list[tuple[object, object, object]]:
    return [(line["stage"], line["step"], line.get("loss")) for line in lines(folder)]


def test_each_line_is_on_disk_at_once(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path)
    sink.progress("a", 1, {"loss": 2.5})
    (line,) = lines(tmp_path)
    assert (line["stage"], line["step"], line["loss"]) == ("a", 1, 2.5)
    assert isinstance(line["time"], float)


@settings(max_examples=40, deadline=None)
@given(
    kills=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.booleans()), max_size=4), total=st.integers(1, 12)
)
def test_a_resumed_run_leaves_the_same_lines_as_an_uninterrupted_one(
    tmp_path_factory: pytest.TempPathFactory, kills: list[tuple[int, int, bool]], total: int
) -> None:
    folder, checkpoint = tmp_path_factory.mktemp("run"), 0
    train(folder, "before", range(1, 4))
    for saved, lost, cut_short in kills:
        checkpoint_next = min(total, checkpoint + saved)
        train(folder, "a", range(checkpoint + 1, min(total, checkpoint_next + lost) + 1))
        checkpoint = checkpoint_next
        if cut_short:
            with (folder / METRICS).open("a") as file:
                file.write('{"stage": "a", "step": 99, "lo')
    train(folder, "a", range(min(checkpoint, total - 1) + 1, total + 1))
    expected = [("before", s, float(s)) for s in range(1, 4)] + [("a", s, float(s)) for s in range(1, total + 1)]
    assert points(folder) == expected


def test_a_stage_that_runs_anew_replaces_its_lines_and_no_others(tmp_path: Path) -> None:
    train(tmp_path, "a", range(1, 5))
    train(tmp_path, "b", range(1, 3))
    train(tmp_path, "a", range(1, 3), scale=10)
    assert points(tmp_path) == [("b", 1, 1), ("b", 2, 2), ("a", 1, 10), ("a", 2, 20)]


def test_figures_of_another_series_do_not_displace_a_curve(tmp_path: Path) -> None:
    train(tmp_path, "a", range(1, 5))
    sink = JsonLinesSink(tmp_path)
    sink.progress("a", 0, {"validation": 7.0})
    sink.progress("a", 3, {"loss": 3.0})
    sink.progress("a", 4, {"loss": 4.0})
    sink.close()
    assert [step for _, step, loss in points(tmp_path) if loss is not None] == [1, 2, 3, 4]
    assert [line["step"] for line in lines(tmp_path) if "validation" in line] == [0]


def test_what_is_not_finite_is_stored_as_null(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path)
    sink.progress("a", 1, {"loss": float("nan"), "other": float("inf"), "step": 9.0})
    assert [(line["loss"], line["other"], line["step"]) for line in lines(tmp_path)] == [(None, None, 1)]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def plain() -> tuple[ConsoleSink, io.StringIO, Clock]:
    text, clock = io.StringIO(), Clock()
    return ConsoleSink(Console(file=text, force_terminal=False, width=60), 5.0, clock), text, clock


def test_plain_lines_are_sparse_and_say_the_rate_and_time_left() -> None:
    sink, text, clock = plain()
    sink.stage_started("encoder", 100)
    for step in range(1, 101):
        clock.now += 0.5
        sink.progress("encoder", step, {"aux": 1.0, "loss/source": 0.25})
    sink.stage_finished("encoder", 50.0, False)
    found = text.getvalue().splitlines()
    assert found[0] == "encoder: started, 100 steps"
    assert found[1] == "encoder: step 10/100  source 0.25  aux 1  2 steps/s  45.0 s left"
    assert found[-1] == "✓ encoder  50.0 s"
    assert len(found) == 12


def test_the_rate_of_a_resumed_stage_counts_from_where_it_resumed() -> None:
    sink, text, clock = plain()
    sink.stage_started("encoder", 1000)
    for step in (901, 911, 921):
        clock.now += 5.0
        sink.progress("encoder", step, {})
    assert "step 921/1000  2 steps/s  39.5 s left" in text.getvalue()


def test_cached_stages_are_noted_and_figures_are_left_to_the_table() -> None:
    sink, text, _ = plain()
    sink.stage_finished("[red]prior", 0.0, True)
    sink.result({"row": "adapted", "split": "target-test", "protocol": "mpjpe-root", "value": 82.94, "unit": "mm"})
    sink.close()
    assert text.getvalue().splitlines() == ["= [red]prior  cached"]


def test_a_terminal_shows_a_live_bar_and_leaves_one_line_a_stage() -> None:
    text = io.StringIO()
    terminal = Console(file=text, force_terminal=True, width=100, _environ={"TERM": "xterm"})  # whatever runs the tests
    sink = ConsoleSink(terminal)
    sink.stage_started("row-adapted", None)
    sink.stage_started("row-adapted", 4)
    for step in range(1, 5):
        sink.progress("row-adapted", step, {"loss/adaptation": 0.5, "steps_per_s": 3.0})
    time.sleep(0.25)  # the bars are redrawn ten times a second
    sink.stage_started("inner", 3)
    sink.progress("inner", 1, {"loss/x": 1.0})
    time.sleep(0.25)
    sink.stage_finished("row-adapted", 61.0, False)
    sink.stage_finished("inner", 1.0, True)
    sink.close()
    shown = text.getvalue()
    assert "4/4" in shown and "3 steps/s" in shown and "1/3" in shown
    assert "1 min 01 s" in shown and "cached" in shown


def test_a_finished_stage_tells_its_speed_and_its_waiting() -> None:
    text = io.StringIO()
    sink = ConsoleSink(Console(file=text, width=100), interval_s=1e9)
    sink.stage_started("row-adapted", 12)
    sink.progress("row-adapted", 12, {"loss/total": 0.5, "steps_per_s": 6.71, "waiting_share": 0.031})
    sink.stage_finished("row-adapted", 1.8, False)
    sink.stage_started("prior", 3)
    sink.progress("prior", 3, {"loss/prior": 0.5, "steps_per_s": 2.0})
    sink.stage_finished("prior", 1.5, False)
    lines = text.getvalue().splitlines()
    assert "✓ row-adapted  1.8 s, 6.71 steps/s, 3 % waiting for data" in lines
    assert "✓ prior  1.5 s, 2 steps/s" in lines


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(9.26, "9.3 s"), (65, "1 min 05 s"), (3599.6, "1 h 00 min"), (7620, "2 h 07 min"), (float("inf"), "inf s")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
