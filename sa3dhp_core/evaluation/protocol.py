"""Protocol cards: what exactly a reported number is, as data that cannot contradict itself. Computes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import attrs
import cattrs
from cattrs.errors import ClassValidationError
from cattrs.v import transform_error

from sa3dhp_core.cards import read_card, registry_folder
from sa3dhp_core.errors import RecipeError, nearest

Metric = Literal["mpjpe", "pck", "auc", "cps", "accel", "pck-2d"]
Alignment = Literal["none", "scale", "procrustes"]
Scale = Literal["predicted", "fitted"]
Bones = Literal["predicted", "true"]
Hypotheses = Literal["single", "best-of-depth-mirror", "one-depth-mirror"]
Averaging = Literal["sample", "padded-batches", "sequence"]

UNITS: dict[str, str] = {"mpjpe": "mm", "pck": "%", "auc": "%", "cps": "mm", "accel": "mm/frame^2", "pck-2d": "%"}
SMALLER_IS_BETTER = ("mpjpe", "accel")

SCALES: dict[str, tuple[str, ...]] = {
    "none": ("predicted",),
    "scale": ("fitted",),
    "procrustes": ("predicted", "fitted"),
}
"""What each alignment may do to the size."""

THRESHOLDS: dict[str, tuple[int, float, str]] = {
    "pck": (1, 1, "one threshold"),
    "auc": (2, math.inf, "two or more thresholds, rising"),
    "cps": (2, math.inf, "two or more thresholds, rising"),
}
"""How many thresholds each metric takes, at least and at most."""


@attrs.frozen
class Selection:
    """Which frames of a data set count; empty and 1 select all.

    Attributes:
        subjects: names of the subjects.
        cameras: names of the cameras.
        stride: every so many frames of a video, from its first.
        valid: name of the data set's flag that a frame must carry.
    """

    subjects: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    stride: int = 1
    valid: str = ""


@attrs.frozen
class Matching:
    """Whose prediction a prediction is, where a frame has several people.

    Attributes:
        count: ``all`` true people, where one without a prediction has no joint right, or only those ``matched``.
        within_px: least distance along x, or along y, at which a predicted joint no longer speaks for a match, pixels.
        joints: names of the joints that speak for a match.
    """

    count: Literal["all", "matched"]
    within_px: float
    joints: tuple[str, ...]


@attrs.frozen
class Protocol:
    """How a number comes about; the fields are the card's keys.

    Attributes:
        id: the card's file name.
        name: what the field calls the number.
        source: where the definition comes from.
        metric: ``mpjpe`` mean distance; ``pck`` share of joints nearer than the threshold; ``auc`` mean of that share
            over all thresholds; ``cps`` share of poses whose joints are all nearer than a threshold, integrated over
            the thresholds by the trapezoid rule; ``accel`` mean distance of second differences over time; ``pck-2d``
            share of keypoints not farther away than a share of a true length.
        skeleton: id of the skeleton that the card's joint names are of; empty means that of the poses. Poses of
            another skeleton are read by what each joint is called in the house skeleton.
        joints: names of the joints that count; empty means all.
        aligned_joints: names of the joints that the alignment is fitted on; empty means those that count.
        root: joint that both poses are moved to before all else, or ``none``.
        bones: ``predicted``, or ``true``: predicted directions with the true lengths, along the card's skeleton.
        alignment: ``none``, ``scale`` (one factor a pose), ``procrustes`` (rotation, translation and, if the scale
            is fitted, size).
        scale: ``predicted`` (as it is) or ``fitted`` to the truth.
        hypotheses: ``single``, or ``best-of-depth-mirror``: a pose counts as the better of itself and its mirror in
            depth, each after alignment, by mean distance; ``one-depth-mirror``: all poses, or all of their mirrors,
            whichever are better on the mean over the set.
        averaging: ``sample``: every joint of every sample (of ``accel``: of every inner frame) weighs the same;
            ``padded-batches``: the mean of batch means, the last batch filled up with the last sample, so that the
            order matters; ``sequence``: the mean of the sequences' means.
        batch_size: of ``padded-batches``.
        unit: of the value.
        oracle_inputs: what of the truth enters the prediction before it is compared.
        thresholds_mm: of ``pck`` (one), ``auc`` and ``cps``.
        threshold_share: of ``pck-2d``: the largest distance that is right, as a share of a length.
        length_between: of ``pck-2d``: the two joints whose true distance is that length.
        frames: which frames count.
        people: how people are matched; only where frames have several.
    """

    id: str
    name: str
    source: str
    metric: Metric
    root: str
    alignment: Alignment
    scale: Scale
    hypotheses: Hypotheses
    unit: str
    skeleton: str = ""
    joints: tuple[str, ...] = ()
    aligned_joints: tuple[str, ...] = ()
    bones: Bones = "predicted"
    averaging: Averaging = "sample"
    batch_size: int = 0
    oracle_inputs: tuple[str, ...] = ()
    thresholds_mm: tuple[float, ...] = ()
    threshold_share: float = 0.0
    length_between: tuple[str, ...] = ()
    frames: Selection = Selection()
    people: Matching | None = None

    def __attrs_post_init__(self) -> None:
        for key, found, expected in (*_contradictions(self), *_misplaced(self)):
            raise RecipeError(
                "the card contradicts itself", where=f"protocols/{self.id}.toml: {key}", found=found, expected=expected
            )


def _contradictions(card: Protocol) -> Iterator[tuple[str, object, object]]:
    """Keys whose values do not follow from others: key, what it says, what it should."""
    if card.scale not in SCALES[card.alignment]:
        yield "scale", card.scale, " or ".join(SCALES[card.alignment]) + f" with alignment {card.alignment!r}"
    if card.unit != UNITS[card.metric]:
        yield "unit", card.unit, UNITS[card.metric]
    if set(card.oracle_inputs) != set(told := list(_oracles(card))):
        yield "oracle_inputs", list(card.oracle_inputs), told
    least, most, words = THRESHOLDS.get(card.metric, (0, 0, "none"))
    steps = pairwise(card.thresholds_mm)
    if not least <= len(card.thresholds_mm) <= most or any(low >= high for low, high in steps):
        yield "thresholds_mm", list(card.thresholds_mm), words
    if card.frames.stride < 1:
        yield "frames.stride", card.frames.stride, "1 or more"
    if card.people is not None and (card.people.within_px <= 0 or not card.people.joints):
        yield "people", card.people, "within_px above 0, and joints"
    if card.bones == "true" and not card.skeleton:
        yield "skeleton", card.skeleton, "the skeleton whose bones get the true lengths"
    if card.aligned_joints and (outside := set(card.joints) - set(card.aligned_joints)):
        yield "aligned_joints", f"none of {sorted(outside)}", "all joints that count"


def _misplaced(card: Protocol) -> Iterator[tuple[str, object, object]]:
    """Keys that the metric, the averaging or the kind of evaluation leaves no room for, or that it lacks."""
    metric = card.metric
    if metric in ("accel", "pck-2d") and (card.alignment, card.hypotheses) != ("none", "single"):
        key = "alignment" if card.alignment != "none" else "hypotheses"
        yield key, getattr(card, key), f"{'none' if key == 'alignment' else 'single'} with {metric}"
    if (metric == "accel" or card.people is not None) and card.frames != Selection():
        yield "frames", card.frames, "all with accel, which needs consecutive frames, and with people"
    if (metric == "pck-2d") != (card.threshold_share > 0 and len(card.length_between) == 2):
        yield "threshold_share", card.threshold_share, "a share, and two joints in length_between, with pck-2d alone"
    if (card.averaging == "padded-batches") != (card.batch_size > 0):
        yield "batch_size", card.batch_size, "a number of samples with padded-batches, and with nothing else"
    if (card.averaging == "sequence") != (card.people is not None):
        yield "averaging", card.averaging, "sequence with people, and with nothing else"
    if card.people is not None and (metric not in ("pck", "auc") or card.hypotheses != "single"):
        yield "metric", metric, "pck or auc of single hypotheses with people"


def _oracles(card: Protocol) -> Iterator[str]:
    """What of the truth enters, as it follows from the other keys."""
    used = {
        "true bone lengths": card.bones == "true",
        "true scale": card.scale == "fitted",
        "true orientation": card.alignment == "procrustes",
        "true depth sign": card.hypotheses != "single",
    }
    yield from (name for name, enters in used.items() if enters)


def protocol_from_card(card: dict[str, Any], where: str) -> Protocol:
    """A protocol from a card's plain data; `where` names the card in errors.

    Raises:
        RecipeError: a key is missing, unknown, ill-typed or contradicts another.
    """
    known = [field.name for field in attrs.fields(Protocol)]
    for key in card:
        if key not in known:
            raise RecipeError("unknown key", where=f"{where}: {key}", hint=nearest(key, known))
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(str, lambda value, _: _exactly(value, str))
    converter.register_structure_hook(int, lambda value, _: _exactly(value, int))
    converter.register_structure_hook(float, lambda value, _: float(_exactly(value, float, int)))
    try:
        return converter.structure(card, Protocol)
    except ClassValidationError as error:
        own = [inner for inner in error.exceptions if isinstance(inner, RecipeError)]
        if own:
            raise own[0] from None
        raise RecipeError("the card cannot be read", where=where, found="; ".join(transform_error(error))) from error


def _exactly(value: Any, *types: type) -> Any:
    if type(value) not in types:
        raise TypeError(f"expected {types[0].__name__}, found {value!r}")
    return value


@cache
def load_protocol(card_id: str) -> Protocol:
    """The protocol of a card in ``registry/protocols``.

    Raises:
        RecipeError: there is no such card, or it is wrong.
    """
    where = f"protocols/{card_id}.toml"
    protocol = protocol_from_card(read_card("protocols", card_id), where)
    if protocol.id != card_id:
        path = Path(registry_folder() / "protocols" / f"{card_id}.toml")
        raise RecipeError("the id is not the file's name", where=str(path), found=protocol.id, expected=card_id)
    return protocol
