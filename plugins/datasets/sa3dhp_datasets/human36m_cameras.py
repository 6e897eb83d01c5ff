"""Human3.6M's metadata.xml: the lenses of the cameras, and where they stood for each subject.

The file is text with numbers. One that declares a document type is refused, since entities could make it grow.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import attrs
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.errors import DataError, nearest
from sa3dhp_datasets.layouts import neighbour
from sa3dhp_datasets.lens import Lens
from sa3dhp_datasets.rigs import rotation

Array = NDArray[np.float64]
SUBJECTS, OUTER, INNER = 11, 6, 9
"""Subjects that `w0` counts, numbers of a camera's place for each, numbers of its lens."""

MOST_BYTES = 4_000_000
LEAST_AWAY_MM = 100.0
"""A camera nearer to the room's middle is one in metres."""


@attrs.frozen(eq=False)
class Camera:
    """A camera as it stood for one subject.

    Attributes:
        lens: of it.
        turn: ``(3, 3)`` rotation from the world, z up, into the camera.
        place: ``(3,)`` metres, in the world.
    """

    lens: Lens
    turn: Array
    place: Array

    def seen(self, world: Array) -> Array:
        """Places ``(..., 3)`` in the world in the camera's frame, metres."""
        return (world - self.place) @ self.turn.T


@attrs.frozen(eq=False)
class Rig:
    """All cameras of a metadata.xml.

    Attributes:
        ids: of the cameras, in the file's order.
        numbers: of `w0`.
        where: the file.
    """

    ids: tuple[str, ...]
    numbers: Array
    where: str

    def camera(self, name: str, subject: int) -> Camera:
        """A camera as it stood for a subject.

        Raises:
            DataError: it is not in the file, nor the subject; its numbers are no camera's.
        """
        if name not in self.ids or not 1 <= subject <= SUBJECTS:
            found, hint = f"camera {name}, S{subject}", nearest(name, self.ids)
            known = f"{', '.join(self.ids)}; S1 to S{SUBJECTS}"
            raise DataError("no such camera", where=self.where, found=found, expected=known, hint=hint)
        index = self.ids.index(name)
        outer = self.numbers[OUTER * (SUBJECTS * index + subject - 1) :][:OUTER]
        inner = self.numbers[OUTER * SUBJECTS * len(self.ids) + INNER * index :][:INNER]
        self._check(outer[3:], inner[:2], f"{self.where}: w0, camera {name}, S{subject}")
        degrees = np.degrees(outer[:3])
        turn = rotation("x", degrees[:1]) @ rotation("y", degrees[1:2]) @ rotation("z", degrees[2:])
        return Camera(Lens(inner[:2], inner[2:4], inner[4:7], inner[:6:-1]), turn[0].T, outer[3:] / 1000)

    @staticmethod
    def _check(place_mm: Array, focal_px: Array, where: str) -> None:
        if not (focal_px > 1).all():
            raise DataError("no focal length", where=where, found=focal_px.tolist(), expected="pixels")
        if not np.linalg.norm(place_mm) > LEAST_AWAY_MM:
            found = f"{np.linalg.norm(place_mm):.3g} from the room's middle: metres?"
            raise DataError("a camera's place is not in millimetres", where=where, found=found, expected="about 5500")


def metadata_of(folder: Path) -> Path:
    """metadata.xml in a folder or the one above; raises `DataError` where it is in neither."""
    for place in (folder, folder.resolve().parent):
        if (path := place / "metadata.xml").is_file():
            return path
    path = folder / "metadata.xml"
    hint = neighbour(path) or "it lies in the code (Release) that the home page offers; copy it there"
    raise DataError("the file of cameras is missing", where=str(path), expected="metadata.xml", hint=hint)


def read_rig(path: Path) -> Rig:
    """Read a metadata.xml.

    Raises:
        DataError: no XML, of a document type, too large; or without cameras or their numbers.
    """
    where = str(path)
    root = _root(_text(path), where)
    index = root.find("dbcameras/index2id")
    ids = tuple((item.text or "").strip() for item in index) if index is not None else ()
    if not ids or not all(name.isdigit() for name in ids) or len(set(ids)) < len(ids):
        what = "no cameras are named"
        raise DataError(what, where=where, found=", ".join(ids) or "none", expected="dbcameras/index2id of numbers")
    return Rig(ids, _numbers(root.findtext("w0") or "", (OUTER * SUBJECTS + INNER) * len(ids), where), where)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise DataError("too large a file", where=str(path), expected=f"metadata.xml of {MOST_BYTES} bytes at most")
        return data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"not readable as text: {error}", where=str(path), expected="XML in UTF-8") from error


def _root(text: str, where: str) -> ElementTree.Element:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        expected = "XML without a document type, as the home page's metadata.xml"
        raise DataError("a document type is refused: entities could grow without end", where=where, expected=expected)
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"not readable as XML: {error}", where=where, hint="copy the file again") from error


def _numbers(text: str, count: int, where: str) -> Array:
    words = text.strip().removeprefix("[").removesuffix("]").replace(",", " ").split()
    try:
        found = np.array([float(word) for word in words])
    except ValueError as error:
        raise DataError(f"w0 holds more than numbers: {error}", where=where, expected=f"{count} numbers") from error
    if len(found) < count or not np.isfinite(found).all():
        what = f"{len(found)} numbers{'' if np.isfinite(found).all() else ', not all finite'}"
        raise DataError("w0 does not fit the cameras", where=where, found=what, expected=f"{count} finite numbers")
    return found
