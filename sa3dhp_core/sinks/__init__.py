"""The sinks that every run has, and the board that feeds all sinks. Others come as plugins; none is named here."""

from __future__ import annotations

from sa3dhp_core.sinks.board import SinkBoard
from sa3dhp_core.sinks.console import ConsoleSink
from sa3dhp_core.sinks.jsonl import METRICS, JsonLinesSink

__all__ = ["METRICS", "ConsoleSink", "JsonLinesSink", "SinkBoard"]
