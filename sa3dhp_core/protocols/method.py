"""Methods: graphs of stages.

Component target: ``target(config, recipe=Recipe, host=Host) -> Method``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs


@attrs.frozen
class Stage:
    """A piece of work whose result is kept.

    Attributes:
        name: unique within the run, for example ``pose_prior`` or ``row-adapted``.
        key: plain data (str, numbers, lists, dicts) that, with the keys of what it requires, determines the result.
        requires: names of stages that must be done before.
        run: does the work; writes into ``context.folder`` alone.
    """

    name: str
    key: Mapping[str, Any]
    requires: tuple[str, ...]
    run: Callable[[StageContext], None]


class StageContext(Protocol):
    """What the runner hands a stage.

    Attributes:
        folder: the stage's own folder.
        name: the stage's name.
        seed: the recipe's seed.
        engine: the engine (`sa3dhp_core.engine.Engine`), for `train` and device placement.
        sinks: where metrics go (`log(stage, step, scalars)`).
    """

    folder: Path
    name: str
    seed: int
    engine: Any
    sinks: Any

    def of(self, stage: str) -> Path:
        """Folder of a required stage's result."""
        ...


class Method(Protocol):
    """A graph of stages; the runner orders, caches and resumes them."""

    def stages(self) -> tuple[Stage, ...]:
        """All stages, in any order."""
        ...
