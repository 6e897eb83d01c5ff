"""People in a film of the user's: who is seen when, and exact crops of them, a few at a time. Opens no file.

An `image_data` component that claims ``people`` has ``people(source: Path) -> Film``: a video or a folder of images,
read with the component's own keys. It raises `DataError` where the source is neither, or cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import attrs
from torch import Tensor

from sa3dhp_core.canvas import Canvas

Draw = Callable[[int, Canvas], None]
"""Draws upon picture number n of a film; it is called for the pictures in their order."""


@attrs.frozen(eq=False)
class Person:
    """A person over consecutive moments ``start_s + k / fps`` of a film.

    Attributes:
        name: of the track, for people and files.
        start_s: time of the first moment, seconds from the film's first picture.
        frames: ``(T,)`` number of the film's picture at each moment, never falling; one may repeat.
    """

    name: str
    start_s: float
    frames: Tensor


@attrs.frozen(eq=False)
class Crops:
    """Some crops of a film's people, as virtual cameras see them that look at the people (DESIGN section 5).

    Attributes:
        images: ``(N, 3, S, S)`` RGB in [0, 1].
        rotation: ``(N, 3, 3)`` from the film's camera into each crop's.
        intrinsics: ``(N, 3, 3)`` pixels of each crop's camera.
        person: ``(N,)`` which of the film's people it is.
        moment: ``(N,)`` which of this person's moments.
    """

    images: Tensor
    rotation: Tensor
    intrinsics: Tensor
    person: Tensor
    moment: Tensor


@runtime_checkable
class Film(Protocol):
    """A video or a folder of images, and the people in it. It holds one picture in memory at a time."""

    @property
    def width(self) -> int:
        """Of the pictures, pixels."""
        ...

    @property
    def height(self) -> int:
        """Of the pictures, pixels."""
        ...

    @property
    def intrinsics(self) -> Tensor:
        """``(3, 3)`` pixels of the film's camera."""
        ...

    @property
    def fps(self) -> float:
        """Moments a second of all its people."""
        ...

    @property
    def fill(self) -> float:
        """Radius of the circle that a person fills over half a crop's side, at most 1."""
        ...

    @property
    def people(self) -> tuple[Person, ...]:
        """Who is seen when; at least one."""
        ...

    @property
    def licence(self) -> str:
        """Of the footage."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was taken for granted, in sentences for the user: a whole frame as one person, a field of view."""
        ...

    def crops(self, count: int) -> Iterator[Crops]:
        """Every moment of every person once, in the order of the film, at least `count` crops a time but the last."""
        ...

    def redraw(self, path: Path, draw: Draw) -> None:
        """Write all pictures anew as an mp4 that is shown at the same times, each after `draw` has changed it."""
        ...
