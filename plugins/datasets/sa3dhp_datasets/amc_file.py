"""The AMC file format of Acclaim: text to channel values of a skeleton's bones, by frames. Computes no position."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.errors import DataError, nearest
from sa3dhp_datasets.asf_file import Asf
from sa3dhp_datasets.lines import Line, lines_of, read_text


def read_amc(path: Path, asf: Asf) -> NDArray[np.float64]:
    """Channel values ``(T, all channels)`` in the order of the skeleton's bones; angles in degrees.

    Raises:
        DataError: not text, no frame, frames that do not follow one another, a bone that the skeleton lacks, missing
            bones, too few or too many values, values that are no finite numbers; always with the line.
    """
    return parse_amc(read_text(path, "AMC"), asf, str(path))


def parse_amc(text: str, asf: Asf, where: str) -> NDArray[np.float64]:
    """Parse a file's text; see `read_amc`."""
    degrees, frames = asf.degrees, _Frames(asf, where)
    for line in lines_of(text, where):
        first = line.words[0]
        if first.startswith(":"):
            degrees = {":degrees": True, ":radians": False}.get(first.lower(), degrees)
        elif first.isdecimal() and len(line.words) == 1:
            frames.begin(line)
        else:
            frames.bone(line)
    return frames.finished() * np.where(frames.angles, 1.0 if degrees else np.rad2deg(1.0), 1.0)


class _Frames:
    """Frames as they are read; each must be whole before the next begins."""

    def __init__(self, asf: Asf, where: str) -> None:
        self._where = where
        self._places: dict[str, slice] = {}
        width = 0
        for bone in asf.bones:
            if bone.channels:
                self._places[bone.name] = slice(width, width + len(bone.channels))
                width += len(bone.channels)
        self.angles = np.array([c.startswith("r") for bone in asf.bones for c in bone.channels])
        self._rows: list[NDArray[np.float64]] = []
        self._filled: set[str] = set(self._places)
        self._last: tuple[int, Line] | None = None

    def begin(self, line: Line) -> None:
        """The line with a frame's number."""
        self._need_whole()
        number = int(line.words[0][:18])
        if self._last is not None and number != self._last[0] + 1:
            raise line.error(
                "frames are missing", f"frame {number} after {self._last[0]}", f"frame {self._last[0] + 1}"
            )
        self._last, self._filled = (number, line), set()
        self._rows.append(np.empty(len(self.angles)))

    def bone(self, line: Line) -> None:
        """A bone's line in the present frame."""
        name = line.words[0]
        if self._last is None:
            raise line.error("not an AMC file", " ".join(line.words)[:60], "a frame's number before the first bone")
        place = self._places.get(name)
        if place is None:
            expected = "a bone of the ASF file with dof"
            raise line.error(
                "a bone that the skeleton does not move", name[:60], expected, nearest(name[:60], self._places)
            )
        if name in self._filled:
            raise line.error("a bone stands twice in a frame", name, "each bone once")
        self._filled.add(name)
        self._rows[-1][place] = self._values(line, place.stop - place.start)

    def _values(self, line: Line, count: int) -> list[float]:
        words = line.words[1:]
        if len(words) != count:
            what = "too few values of a bone" if len(words) < count else "too many values of a bone"
            raise line.error(what, f"{line.words[0]}: {len(words)}", f"{count} as its dof say")
        return line.numbers(1, "a finite number")

    def _need_whole(self) -> None:
        lost = [name for name in self._places if name not in self._filled]
        if lost and self._last is not None:
            number, line = self._last
            found = f"{len(lost)} bones of frame {number} are missing: {', '.join(lost[:5])}"
            raise line.error(
                "the motion is truncated", found, "every bone with dof in every frame", "copy the file again"
            )

    def finished(self) -> NDArray[np.float64]:
        """All rows; raises `DataError` where there is none or the last is cut."""
        self._need_whole()
        if not self._rows:
            raise DataError("the file has no frame", where=self._where, expected="1, then a line for each bone")
        return np.stack(self._rows)
