"""Methods: graphs of stages.

Component target: ``target(config, recipe=Recipe, host=Host) -> Method``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

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
    """What the runner hands a stage; read, never set."""

    @property
    def folder(self) -> Path:
        """The stage's own folder."""
        ...

    @property
    def name(self) -> str:
        """The stage's name."""
        ...

    @property
    def seed(self) -> int:
        """The recipe's seed."""
        ...

    @property
    def engine(self) -> Any:
        """The engine (`sa3dhp_core.engine.Engine`), for `train` and device placement."""
        ...

    @property
    def sinks(self) -> Any:
        """Where metrics go (`log(stage, step, scalars)`)."""
        ...

    def of(self, stage: str) -> Path:
        """Folder of a required stage's result."""
        ...


@runtime_checkable
class Method(Protocol):
    """A graph of stages; the runner orders, caches and resumes them.

    It may also have ``evaluate(folders, engine, data, protocol) -> list[dict]``, for `sa3dhp eval`,
    ``latent_space(folders, engine) -> TrainedLatent`` (`sa3dhp_core.protocols.latent`), for what measures a run's
    latent space, ``trained_lifter(folders, engine) -> TrainedLifter`` (`sa3dhp_core.protocols.lifter`), for what uses a
    run's lifter, ``predict(folders, engine, source, changes) -> Iterator[PosedClip]``
    (`sa3dhp_core.protocols.prediction`), for `sa3dhp predict`, and ``exportable(folders, engine, row) -> Exportable``
    (`sa3dhp_core.protocols.exportable`), for `sa3dhp export`. They read stages by ``folders[name]``; where one is not
    done, that says how to finish it.
    """

    def stages(self) -> tuple[Stage, ...]:
        """All stages, in any order."""
        ...
