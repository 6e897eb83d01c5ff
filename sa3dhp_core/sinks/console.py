"""Progress for a person: a live bar a stage in a terminal, sparse plain lines elsewhere. It never writes a file."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import attrs
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from sa3dhp_core.protocols.sink import SPEEDS

RATE, _, WAITING = SPEEDS
SHOWN = 4


@attrs.define
class _Open:
    """A stage in progress."""

    steps: int | None
    began: float
    first: int | None = None
    step: int = 0
    bar: TaskID | None = None
    speed: str = ""


class ConsoleSink:
    """Shows stages, steps, losses, speed and the time left.

    In a terminal every open stage has a live bar; elsewhere (a log file, a pipe) a line appears at most once in
    `interval_s` seconds. Results are not its business: whoever started the run shows them as one table.

    Args:
        console: where to write; by default standard error, so that standard output holds answers alone.
        interval_s: least time between two plain lines.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        console: Console | None = None,
        interval_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console = console or Console(stderr=True)
        self.interval_s, self._clock = interval_s, clock
        self._open: dict[str, _Open] = {}
        self._last_line = float("-inf")
        self._live: Progress | None = None

    def stage_started(self, stage: str, steps: int | None) -> None:
        """Show a bar for the stage, or tell an open one how many steps there are."""
        self._drop([name for name, state in self._open.items() if name != stage and _complete(state)])
        if (state := self._open.get(stage)) is not None and not _complete(state):
            state.steps = steps if steps is not None else state.steps
        else:
            self._drop([stage])
            state = self._open[stage] = _Open(steps, self._clock())
            if not self.console.is_terminal:
                self._line(f"{stage}: started" + (f", {steps} steps" if steps else ""))
        if self.console.is_terminal:
            self._show(stage, state, "")

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        """Show the step, up to four scalars (losses first), the speed and the time left."""
        state = self._open.setdefault(stage, _Open(None, self._clock()))
        if state.first is None:
            state.first, state.began = step, self._clock() if RATE not in scalars else state.began
        state.step, state.speed = step, _speed(scalars)
        text = _facts(state, scalars, self._clock())
        if self.console.is_terminal:
            self._show(stage, state, text)
        elif self._clock() - self._last_line >= self.interval_s:
            total = f"/{state.steps}" if state.steps else ""
            self._line(f"{stage}: step {step}{total}  {text}")

    def stage_finished(self, stage: str, seconds: float, cached: bool) -> None:
        """Replace the stage's bar by one line with the time, speed and waiting; one that was found done gets a note."""
        names = list(self._open)
        speed = self._open[stage].speed if stage in self._open else ""
        self._drop(names[names.index(stage) :] if stage in self._open else [])
        mark = "[dim]=[/]" if cached else "[green]✓[/]"
        note = "[dim]cached[/]" if cached else f"[dim]{duration(seconds)}{speed}[/]"
        self._print(f"{mark} {escape(stage)}  {note}")

    def result(self, record: Mapping[str, object]) -> None:
        """Say nothing: a run's figures belong into one table, not between its stages."""

    def close(self) -> None:
        """Take the bars down."""
        self._drop(list(self._open))

    def _show(self, stage: str, state: _Open, text: str) -> None:
        if self._live is None:
            self._live = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                TextColumn("{task.fields[count]}"),
                TextColumn("[dim]{task.fields[facts]}[/]"),
                console=self.console,
                transient=True,
            )
            self._live.start()
        count = f"{state.step}/{state.steps}" if state.steps else (str(state.step) if state.step else "")
        if state.bar is None:
            state.bar = self._live.add_task(escape(stage), total=state.steps, count=count, facts=escape(text))
        self._live.update(state.bar, total=state.steps, completed=state.step, count=count, facts=escape(text))

    def _drop(self, names: list[str]) -> None:
        for name in names:
            state = self._open.pop(name, None)
            if state is not None and state.bar is not None and self._live is not None:
                self._live.remove_task(state.bar)
        if self._live is not None and not self._open:
            self._live.stop()
            self._live = None

    def _line(self, text: str) -> None:
        self._last_line = self._clock()
        self._print(escape(text))

    def _print(self, markup: str) -> None:
        self.console.print(markup, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``9.3 s``, ``4 min 05 s``, ``2 h 07 min``."""
    if seconds < 60 or not math.isfinite(seconds):
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _speed(scalars: Mapping[str, float]) -> str:
    """``, 6.7 steps/s, 3 % waiting for data``, as much of it as is told."""
    told = f", {scalars[RATE]:.3g} steps/s" if RATE in scalars else ""
    return told + (f", {100 * scalars[WAITING]:.0f} % waiting for data" if WAITING in scalars else "")


def _complete(state: _Open) -> bool:
    return state.steps is not None and state.step >= state.steps


def _facts(state: _Open, scalars: Mapping[str, float], now: float) -> str:
    names = sorted((name for name in scalars if name not in SPEEDS), key=lambda name: "loss" not in name)
    facts = [f"{name.removeprefix('loss/')} {float(scalars[name]):.4g}" for name in names[:SHOWN]]
    elapsed, done = now - state.began, state.step - (state.first or 0)
    rate = float(scalars[RATE]) if RATE in scalars else (done / elapsed if done > 0 and elapsed > 0 else 0.0)
    if rate > 0:
        facts.append(f"{rate:.3g} steps/s")
        if state.steps and state.step < state.steps:
            facts.append(f"{duration((state.steps - state.step) / rate)} left")
    return "  ".join(facts)
