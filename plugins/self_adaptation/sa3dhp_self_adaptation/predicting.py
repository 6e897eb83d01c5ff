"""A row's encoder on the people of a film of the user's. Reads no truth and scores nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import torch
from torch import Tensor

from sa3dhp_core.atomic import read_json
from sa3dhp_core.errors import RecipeError, RunError, nearest
from sa3dhp_core.geometry import root_in_circle
from sa3dhp_core.overrides import override
from sa3dhp_core.protocols.people import Crops, Film
from sa3dhp_core.protocols.prediction import Filmed, Part, PosedClip
from sa3dhp_core.types import ClipName
from sa3dhp_self_adaptation.config import Row
from sa3dhp_self_adaptation.row_stages import SKIPPED, crop_size, predictor_of
from sa3dhp_self_adaptation.scoring import Predictor

if TYPE_CHECKING:
    from sa3dhp_self_adaptation.method import SelfAdaptation

CHUNK = 64
"""Crops that are encoded at once."""

READS = "people"
"""What a component of image data claims that reads films."""

EVERY = {"fps": 0}
"""Keeps every picture of the film, unless the user says otherwise."""

KEPT = ("use", "box_scale", "margin", "smooth_s", "max_gap", "fov_deg", "detector")
"""Keys of a run's own footage that say how people are cropped; the others are about that footage alone."""

FIXED = ("path", "size", "validation", "test", "validation_videos", "test_videos", "content_pattern")
"""Keys of the reader that a prediction has no use for, or that follow from run and input."""

ROW = "row"


def predict(
    method: SelfAdaptation, folders: Mapping[str, Path], device: torch.device, source: Path, changes: Sequence[str]
) -> Iterator[PosedClip]:
    """Poses of everyone in a film, turned back from the crops' virtual cameras to the film's.

    Args:
        method: of the run.
        folders: of its stages.
        device: where to compute.
        source: what the reader of films takes.
        changes: ``key=value`` for that reader, and ``row=NAME`` of the row whose encoder predicts: the headline's, or
            else the last but controls.

    Raises:
        RecipeError: there is no such key or row, or its value is none, or nothing installed reads films.
        RunError: a stage is not done, or the row was left out.
        DataError: the film cannot be read.
    """
    row = row_of(method, _named(changes))
    film = _film(method, folders, source, [change for change in changes if not _of_row(change)])
    people = film.people
    method.space.load_pose_prior(folders["pose_prior"], device)
    for who, moments, poses, roots in posed(film, _predictor(method, folders, device, row)):
        person = people[who]
        yield PosedClip(
            ClipName(person.name, source.stem, ""),
            film.fps,
            method.space.skeleton,
            poses,
            torch.ones(poses.shape[:2], dtype=torch.bool),
            film.licence,
            start_s=person.start_s,
            model=row.name,
            filmed=Filmed(film, person.frames[moments], roots),
            part=Part(who, int(moments[0])),
        )


def posed(film: Film, predictor: Predictor) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
    """Which of a film's people, some of their moments ``(T,)``, poses ``(T, J, 3)`` and roots ``(T, 3)`` in its camera.

    They come in the order of the film, a few at a time.
    """
    for crops in film.crops(CHUNK):
        poses, roots = _in_the_film(crops, predictor(crops.images), film.fill)
        for who in crops.person.unique().tolist():
            own = (crops.person == who).nonzero().squeeze(1)
            own = own[crops.moment[own].argsort()]
            yield who, crops.moment[own], poses[own], roots[own]


def _in_the_film(crops: Crops, poses: Tensor, fill: float) -> tuple[Tensor, Tensor]:
    """Poses ``(N, J, 3)`` of crops and where their roots stand ``(N, 3)``, turned into the film's camera."""
    roots = root_in_circle(poses, crops.intrinsics, fill * crops.images.shape[-1] / 2)
    return poses @ crops.rotation, (roots[:, None] @ crops.rotation).squeeze(1)


def row_of(method: SelfAdaptation, name: str | None) -> Row:
    """The row of this name; without one the headline's, or the last that learns and is no control with target labels.

    Raises:
        RecipeError: there is none.
    """
    names = [row.name for row in method.rows]
    if name is not None and name not in names:
        hint = nearest(name, names)
        raise RecipeError("no row has this name", where=ROW, found=name, expected=", ".join(names), hint=hint)
    learned = [row for row in method.rows if row.kind not in ("constant", "oracle")]
    named = [row for row in method.rows if row.name == name]
    chosen = named or [row for row in learned if row.headline] or learned[-1:]
    if not chosen:
        raise RecipeError("no row of the run predicts from images", where=ROW, found=", ".join(names))
    return chosen[0]


def _predictor(method: SelfAdaptation, folders: Mapping[str, Path], device: torch.device, row: Row) -> Predictor:
    from sa3dhp_self_adaptation.method import row_stage

    trained = folders[row_stage(row.name)]
    if (trained / SKIPPED).is_file():
        found = read_json(trained / SKIPPED)["reason"]
        raise RunError(f"the row {row.name!r} was left out of the run", found=found, hint="--set row=… of another")
    return predictor_of(method, trained, device, row.mirror_average)


def _film(method: SelfAdaptation, folders: Mapping[str, Path], source: Path, changes: Sequence[str]) -> Film:
    """The film, read with the run's own keys where its target is footage."""
    use, own = _reader(method), method.recipe.data["target"]
    kept = {key: own[key] for key in KEPT if key in own} if own["use"] == use else {}
    table: dict[str, Any] = {"use": use, **kept, **EVERY}
    config = type(method.host.config("image_data", {"use": use}, "predict"))
    known = [field.name for field in attrs.fields(config) if field.name not in FIXED]
    for change in changes:
        table = override(table, change, [*known, ROW])
    table["size"] = crop_size(method, folders)
    film: Film = method.host.build("image_data", table, "predict").people(source)
    return film


def _reader(method: SelfAdaptation) -> str:
    """Id of the component that reads films."""
    for offer in method.host.components("image_data"):
        if READS in offer.component.capabilities:
            return offer.component.id
    raise RecipeError("nothing that is installed reads films", hint="pip install sa3dhp-datasets")


def _of_row(change: str) -> bool:
    return change.partition("=")[0].strip() == ROW


def _named(changes: Sequence[str]) -> str | None:
    """The row that the last ``row=…`` names."""
    return next((change.partition("=")[2].strip() for change in reversed(changes) if _of_row(change)), None)
