"""Which batches of a recipe are dealt out to processes, and whether they can be; asked before any stage begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sa3dhp_core.engine_config import EngineConfig
from sa3dhp_core.types import Shard

if TYPE_CHECKING:
    from sa3dhp_self_adaptation.method import SelfAdaptation


def check_batches(method: SelfAdaptation, engine: EngineConfig) -> None:
    """Refuse batches that do not divide among the processes, or are smaller than their number.

    Raises:
        RecipeError: naming the first key, and the next size that would do.
    """
    everybody = Shard(0, engine.devices * engine.nodes)
    for key, count in batches(method):
        everybody.check(count, key)


def batches(method: SelfAdaptation) -> Iterator[tuple[str, int]]:
    """Key and size of every batch that the rows share out; keys as ``--set`` takes them."""
    config = method.config
    for number, row in enumerate(method.rows):
        one = row.adaptation or config.adaptation
        where = f"rows.{number}.adaptation" if row.adaptation else "settings.adaptation"
        if row.kind == "source":
            yield "settings.source.batch", config.source.batch
        elif row.kind == "oracle":
            yield f"{where}.labelled", one.labelled or one.clips * config.frames + one.source
        elif row.kind == "adapt":
            yield f"{where}.clips", one.clips
            if any(method.loss_table(name)["use"] == "rehearsal" for name in row.losses):
                yield f"{where}.source", one.source
            if method.learns_from_tracks(row):
                yield "settings.tracks.images", config.tracks.images
