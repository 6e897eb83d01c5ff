"""The board that hands every report of a run to every sink. It keeps a sink's trouble away from training.

It never decides what is reported, and it never formats or stores anything itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType

from sa3dhp_core.protocols.sink import Sink


def _to_stderr(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


class SinkBoard:
    """Fans out to sinks. One that raises is reported once, then dropped; the others and the training go on.

    Only an `Exception` counts as a sink's trouble: Ctrl-C and exits pass through.

    Args:
        sinks: (name, sink) pairs; the name is what a complaint about the sink says.
        complain: receives one line about each sink that fails; by default it goes to standard error.
    """

    def __init__(self, sinks: Iterable[tuple[str, Sink]] = (), complain: Callable[[str], None] = _to_stderr) -> None:
        self._sinks: dict[str, Sink] = {}
        self._complain = complain
        for name, sink in sinks:
            self._enlist(name, sink)

    def __enter__(self) -> SinkBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sinks still served, in order."""
        return tuple(self._sinks)

    def add(self, name: str, build: Callable[[], Sink]) -> None:
        """Build a sink and serve it; if building fails, that is reported like any other trouble of a sink."""
        try:
            sink = build()
        except Exception as error:
            self._report(name, "cannot be opened", error)
        else:
            self._enlist(name, sink)

    def stage_started(self, stage: str, steps: int | None) -> None:
        """A stage begins; `steps` where it is known."""
        self._each("stage_started", stage, steps)

    def progress(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        """A step is done."""
        self._each("progress", stage, step, scalars)

    def log(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        """The same as `progress`: what a stage calls for figures of its own, such as a validation error."""
        self.progress(stage, step, scalars)

    def stage_finished(self, stage: str, seconds: float, cached: bool) -> None:
        """A stage ended, or was found done."""
        self._each("stage_finished", stage, seconds, cached)

    def result(self, record: Mapping[str, object]) -> None:
        """One record of `results.json`."""
        self._each("result", record)

    def close(self) -> None:
        """Close every sink once; closing again does nothing."""
        self._each("close")
        self._sinks.clear()

    def _enlist(self, name: str, sink: Sink) -> None:
        unique, number = name, 2
        while unique in self._sinks:
            unique, number = f"{name}-{number}", number + 1
        self._sinks[unique] = sink

    def _each(self, method: str, *arguments: object) -> None:
        for name, sink in list(self._sinks.items()):
            try:
                getattr(sink, method)(*arguments)
            except Exception as error:
                self._sinks.pop(name, None)
                self._report(name, f"failed in {method} and is no longer used", error)
                if method != "close":
                    self._close_quietly(sink)

    def _close_quietly(self, sink: Sink) -> None:
        try:
            sink.close()
        except Exception:
            return  # its first error has been reported; a broken sink may well fail to close

    def _report(self, name: str, trouble: str, error: Exception) -> None:
        self._complain(f"sink {name!r} {trouble}: {type(error).__name__}: {error}")
