"""A recipe of `ites`, opened for benchmarks: its method, its training split, and some test frames. Trains no lifter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
from torch import Tensor

from sa3dhp_core.engine import Engine
from sa3dhp_core.host import Host
from sa3dhp_core.protocols.keypoints import Keypoints
from sa3dhp_core.recipe import Recipe
from sa3dhp_core.runner import Context, run, stage_folders
from sa3dhp_core.sinks import SinkBoard
from sa3dhp_ites.scoring import whole
from sa3dhp_ites.training import DATA, TEACHER


@attrs.frozen
class Opened:
    """What is trained and scored.

    Attributes:
        method: `Ites` of the recipe.
        context: of the teacher's stage, after what was done for it; nothing is written into its folder.
        data: the training split.
        keypoints: all of it, ``(N, J, 2)``.
        truth: of the training split, ``(N, J, 3)`` metres; only what is trained with labels reads it.
        test_keypoints: ``(M, J, 2)``.
        test_truth: ``(M, J, 3)`` metres.
    """

    method: Any
    context: Context
    data: Keypoints
    keypoints: Tensor
    truth: Tensor
    test_keypoints: Tensor
    test_truth: Tensor


def opened(recipe: Recipe, out: Path, every: int, only: Sequence[str] = ()) -> Opened:
    """Do the stages that the teacher requires, or `only` these of them, and open their results.

    Args:
        recipe: of the method `ites`.
        out: folder of runs, which share their stages.
        every: each so many-th test frame is scored.
        only: names of stages.
    """
    host, place = Host.load(), out / f"{recipe.id}-{recipe.seed}"
    method: Any = host.build("method", {"use": recipe.method, **recipe.settings}, "settings", recipe=recipe, host=host)
    teacher = next(stage for stage in method.stages() if stage.name == TEACHER)
    run(recipe, host, place, only=only or teacher.requires, store=out / "stages")
    folders, board = stage_folders(place), SinkBoard(())
    engine = Engine(recipe.engine, recipe.seed, board)
    context = Context(place, TEACHER, recipe.seed, engine, board, place, folders)
    data, test = (method.data.keypoints(folders[DATA], split) for split in ("train", "test"))
    truth, test_truth = (method.data.truth(folders[DATA], split) for split in ("train", "test"))
    return Opened(method, context, data, whole(data), truth, whole(test)[::every], test_truth[::every])
