"""A finished run's lifters on other keypoints: a split of its own data, or files of the user's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sa3dhp_core.errors import DataError, RecipeError, nearest
from sa3dhp_core.evaluation import load_protocol
from sa3dhp_core.protocols.data import facts_of
from sa3dhp_ites.keypoint_files import SPLIT, opened, table_of
from sa3dhp_ites.lifter import lift_all
from sa3dhp_ites.scoring import ROLE, Record, masks, score, whole
from sa3dhp_ites.training import DATA, STUDENT, TEACHER

if TYPE_CHECKING:
    from sa3dhp_ites.method import Ites


def evaluate(method: Ites, folders: Mapping[str, Path], device: Any, data: str, protocol: str) -> list[Record]:
    """Score both lifters of a run.

    Args:
        method: of the run.
        folders: of its stages.
        device: where to compute.
        data: ``keypoints-<split>``, or a file or folder of keypoints with truth.
        protocol: id of a card.

    Raises:
        RecipeError: `data` is neither, or there is no such protocol.
        DataError: there is no truth, or the files cannot be read.
    """
    load_protocol(protocol)
    records: list[Record] = []
    with _opened(method, folders, data) as (source, folder, split):
        truth, keypoints = source.truth(folder, split), source.keypoints(folder, split)
        if truth is None:
            raise DataError(
                "there is no truth to score by", where=data, hint="a file data_3d_*.npz beside the keypoints"
            )
        groups = {name.replace(f"{ROLE}-{split}", data): mask for name, mask in masks(keypoints, split).items()}
        points, body, facts = whole(keypoints), keypoints.skeleton, facts_of(keypoints)
        for role in (TEACHER, STUDENT):
            poses = lift_all(method.trained(role, folders[role], body, device), points)
            records += score(role, poses, truth, groups, (protocol,), body, facts)
    return records


@contextmanager
def _opened(method: Ites, folders: Mapping[str, Path], data: str) -> Iterator[tuple[Any, Path, str]]:
    """Keypoint data, where they are prepared, and the split; files are prepared in a temporary place."""
    role, _, split = data.partition("-")
    if role == ROLE and split in method.data.splits:
        yield method.data, folders[DATA], split
        return
    if not Path(data).exists():
        known = [f"{ROLE}-{name}" for name in method.data.splits]
        expected = f"keypoint files, or one of {', '.join(known)}"
        hint = nearest(data, known)
        raise RecipeError("neither data of this run nor files", found=data, expected=expected, hint=hint)
    with opened(method, {**table_of(method, ROLE), "path": data}, "--data") as (files, room):
        yield files, room, SPLIT
