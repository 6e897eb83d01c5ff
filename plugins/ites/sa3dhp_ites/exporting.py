"""A run's lifter as it is taken home: keypoints in, poses out. Loads, and trains nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sa3dhp_core.errors import RecipeError, nearest
from sa3dhp_core.protocols.exportable import Exportable, InputDraw, Port
from sa3dhp_ites.perceptron import folded
from sa3dhp_ites.scoring import ROLE, whole

if TYPE_CHECKING:
    from sa3dhp_ites.method import Ites

UNSEEN = 0.1
"""Share of keypoints that are hidden where a file is checked; in each batch the last person's are all hidden."""

KEYPOINTS = Port(
    "keypoints",
    ("batch", "joint", "xy"),
    "places on the camera plane at depth 1, pixels times K inverse; NaN where unseen",
)


def exportable(method: Ites, folders: Mapping[str, Path], device: Any, role: str) -> Exportable:
    """The lifter of a role, with its units and with what it does where a joint was not seen.

    Args:
        method: of the run.
        folders: of its stages.
        device: where to load.
        role: teacher or student.

    Raises:
        RecipeError: there is no such role.
        RunError: a stage is not done.
    """
    from sa3dhp_ites.method import DATA, STUDENT, TEACHER

    if role not in (TEACHER, STUDENT):
        hint = nearest(role, (TEACHER, STUDENT))
        raise RecipeError("the run has no such row", where="--row", found=role, hint=hint)
    keypoints = method.data.keypoints(folders[DATA], "train")
    return Exportable(
        module=folded(method.trained(role, folders[role], keypoints.skeleton, device)),
        inputs=(KEYPOINTS,),
        draw=_draw(whole(keypoints)),
        skeleton=keypoints.skeleton,
        frame="the keypoints' camera",
        row=role,
        licences={ROLE: keypoints.licence},
        facts={"stage": folders[role].name},
    )


def _draw(keypoints: Tensor) -> InputDraw:
    def draw(count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        some = keypoints[torch.randint(len(keypoints), (count,), generator=generator)]
        hidden = torch.rand(some.shape[:2], generator=generator) < UNSEEN
        hidden[1:][-1:] = True
        return (some.masked_fill(hidden[..., None], torch.nan),)

    return draw
