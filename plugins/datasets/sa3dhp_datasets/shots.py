"""What an importer tells of a data set: shots, each one camera's pictures of one recording, and the people in it.

Every data set of labelled pictures is read into these values; crops, keypoints, motion, checks and packing begin here.
Opens no file.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from functools import cache
from typing import Any, Protocol, runtime_checkable

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.cards import read_card, skeleton
from sa3dhp_core.errors import DataError
from sa3dhp_datasets.joint_names import Means, means, taken
from sa3dhp_datasets.lens import Lens

Array = NDArray[np.float64]


class Pictures(Protocol):
    """The pictures of a shot, in the order shown."""

    @property
    def width(self) -> int:
        """Pixels."""
        ...

    @property
    def height(self) -> int:
        """Pixels."""
        ...

    def __len__(self) -> int:
        """Number of pictures."""
        ...

    def frames(self, wanted: Container[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Number and ``(H, W, 3)`` RGB of the wanted pictures, in order, one at a time; raises `DataError`."""
        ...


Region = tuple[int, int, int, int]
"""First row, first column, height and width of a part of a picture."""


@runtime_checkable
class ReducedPictures(Pictures, Protocol):
    """Pictures that can be read smaller than they are, and in part, for less."""

    def reduced(
        self, wanted: Mapping[int, Mapping[int, Region]], threads: int
    ) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
        """Number, factor and RGB of the wanted pictures, in order, one at a time; raises `DataError`.

        Args:
            wanted: number of a picture to the whole factors by which it is wanted smaller (1: as it is), each with the
                part of the smaller picture that is wanted; parts of one size cost less.
            threads: that may work at it; 0: as many as there are cores.

        Returns:
            That part for each factor. Pixel (i, j) of the smaller picture is the mean of the factor x factor pixels
            from (factor i, factor j) on; where there are no more, the picture's edge goes on.
        """
        ...


@attrs.frozen(eq=False)
class Person:
    """One person of a shot, over those frames in which the set tells something of them.

    Attributes:
        identity: unlike that of the shot's other people.
        frames: ``(T,)`` numbers of pictures, from 0, rising; they need not follow one another.
        boxes: ``(T, 4)`` x, y, width, height in pixels, tight around the joints where the set gives no other.
        joints: ``(T, J, 3)`` metres, camera frame, of the house skeleton; None where the set has none.
        keypoints: ``(T, J, 2)`` pixels of the house skeleton as the lens bends them, NaN where unseen; None if none.
        flags: name to ``(T,)`` whether a frame carries a flag (``valid``, ``occluded``), for protocols.
        told: whether the set itself tells the keypoints; else they are the projected joints.
    """

    identity: int
    frames: NDArray[np.int64]
    boxes: Array
    joints: Array | None = None
    keypoints: Array | None = None
    flags: Mapping[str, NDArray[np.bool_]] = attrs.field(factory=dict)
    told: bool = True


@attrs.frozen(eq=False)
class Shot:
    """One camera's pictures of one recording.

    Attributes:
        name: of the recording; the cameras that saw it at once share it.
        subject: who is seen; of several people, what tells this recording's from others.
        camera: its name.
        family: the action; empty where the set names none.
        fps: pictures per second.
        lens: of the camera.
        people: who is seen.
        where: the annotation's file, for messages.
        split: the set's own: ``train``, ``validation`` or ``test``; None where it has none.
        pictures: opens them; None where only annotations are there. Raises `DataError`.
        upright: ``(3, 3)`` rotation from the camera into a world with z up, or ``(N, 3, 3)``, one a picture, where the
            camera turns; None where it is unknown.
    """

    name: str
    subject: str
    camera: str
    family: str
    fps: float
    lens: Lens
    people: tuple[Person, ...]
    where: str
    split: str | None = None
    pictures: Callable[[], Pictures] | None = None
    upright: Array | None = None

    @property
    def title(self) -> str:
        """What errors and listings call it."""
        return "/".join(filter(None, (self.subject, self.name, self.camera)))


class ReadsShots(Protocol):
    """What an importer is: a function from a data set's folder to its shots, one at a time, in a fixed order."""

    def __call__(self, config: Any) -> Iterator[Shot]:
        """Raises `DataError` that names the file for whatever is wrong with it."""
        ...


def house(values: Array, card: str, where: str, part: str | None = None) -> Array:
    """A set's joints ``(T, K, D)`` to those of the house skeleton ``(T, J, D)``, as the set's card maps them.

    Args:
        values: in the order of the card's `columns`.
        card: its id; ``[joints]`` names for each house joint the columns whose mean it is; none: it is NaN.
        where: for messages.
        part: table of the card that `columns` and `joints` stand in, where they are not the card's own.

    Raises:
        DataError: another number of columns than the card lists.
    """
    names, columns = _mapping(card, part)
    if values.ndim != 3 or values.shape[1] != len(names):
        raise DataError("not this set's joints", where=where, found=values.shape, expected=f"(T, {len(names)}, D)")
    return taken(values, columns)


@cache
def _mapping(card: str, part: str | None) -> tuple[tuple[str, ...], Means]:
    """A card's columns, and for each house joint those whose mean it is."""
    content = read_card("datasets", card)
    content = content if part is None else content[part]
    return tuple(content["columns"]), means(content["columns"], skeleton(), content["joints"], f"datasets/{card}.toml")


def boxes_of(keypoints: Array) -> Array:
    """``(T, 4)`` x, y, width, height of the tightest boxes around the joints seen, at least one pixel; NaN for none."""
    missing = np.isnan(keypoints)
    low, high = np.where(missing, np.inf, keypoints).min(1), np.where(missing, -np.inf, keypoints).max(1)
    with np.errstate(invalid="ignore"):
        boxes = np.concatenate([low, np.maximum(high - low, 1.0)], axis=1)
    return np.where(np.isfinite(boxes).all(1, keepdims=True), boxes, np.nan)


def person_of(
    identity: int,
    frames: NDArray[np.int64],
    lens: Lens,
    *,
    joints: Array | None = None,
    keypoints: Array | None = None,
    boxes: Array | None = None,
    flags: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Person | None:
    """A person by what a set tells; what it does not tell follows from the rest.

    Keypoints are the projected joints where there are none, boxes the tightest around the keypoints; frames without a
    finite box are left out, and None is returned where none remains.
    """
    told = keypoints is not None
    if keypoints is None and joints is not None:
        keypoints = projected(joints, lens)
    if boxes is None:
        if keypoints is None:
            raise DataError("a person without joints, keypoints and boxes", expected="one of them")
        boxes = boxes_of(keypoints)
    kept = np.flatnonzero(np.isfinite(boxes).all(1))
    if not len(kept):
        return None
    return Person(
        identity,
        frames[kept],
        boxes[kept],
        None if joints is None else joints[kept],
        None if keypoints is None else keypoints[kept],
        {name: flag[kept] for name, flag in (flags or {}).items()},
        told,
    )


def projected(joints: Array, lens: Lens) -> Array:
    """Where a lens shows camera-frame joints ``(..., 3)`` in metres: ``(..., 2)`` pixels, NaN for those behind it."""
    with np.errstate(all="ignore"):
        plane = np.where(joints[..., 2:] > 0, joints[..., :2] / joints[..., 2:], np.nan)
        return lens.pixels(plane)
