"""Image files in order as the pictures of a shot or film; those of a video are `footage.Footage`. Cuts nothing."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sa3dhp_core.errors import DataError

_WIDEST_GAP = 1000
"""Numbers to pictures, above which the numbers are something else."""


@attrs.frozen(eq=False)
class ImageFiles:
    """Image files in order, all of the first one's size."""

    paths: Sequence[Path]
    width: int
    height: int

    @classmethod
    def open(cls, paths: Sequence[Path]) -> ImageFiles:
        """Read the first one's size.

        Raises:
            DataError: there is none, or the first cannot be read.
        """
        if not paths:
            raise DataError("no image", expected="at least one image file")
        with _opened(paths[0]) as image:
            return cls(paths, *image.size)

    def __len__(self) -> int:
        return len(self.paths)

    def frames(self, wanted: Container[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """See `Pictures`; raises `DataError` for a file that is missing, damaged or of another size."""
        for number, path in enumerate(self.paths):
            if number in wanted:
                with _opened(path) as image:
                    if image.size != (self.width, self.height):
                        expected = f"{self.width} x {self.height}"
                        found = f"{image.size[0]} x {image.size[1]}"
                        raise DataError("the image has another size", where=str(path), found=found, expected=expected)
                    yield number, _pixels(image, path)


def numbered(folder: Path, prefix: str = "") -> list[Path]:
    """The image files of a folder in the order of the numbers that their names end in, from 0 if there is one, else 1.

    Args:
        folder: looked at itself, nothing below it; no file is found where there is none.
        prefix: how their names begin (``img_3_`` of ``img_3_000001.jpg``).

    Returns:
        A path a number; numbers that are missing between have paths too, so that places agree with numbers.

    Raises:
        DataError: the numbers have gaps so wide that they are none of pictures in a row.
    """
    name = re.compile(rf"({re.escape(prefix)}(?:.*\D)?)(\d+)(\.(?:jpe?g|png))", re.IGNORECASE)
    inside = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    found = {int(match[2]): match for match in map(name.fullmatch, inside) if match}
    first, last = 0 if 0 in found else 1, max(found, default=0)
    if last > _WIDEST_GAP * (len(found) + 1):
        raise DataError("the pictures are not numbered in a row", where=str(folder), found=f"{len(found)} up to {last}")
    stem, digits, ending = found[last].groups() if found else ("", "", "")
    return [
        folder / (found[number][0] if number in found else f"{stem}{number:0{len(digits)}d}{ending}")
        for number in range(first, last + 1)
        if found
    ]


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        found = "no such file" if not path.exists() else str(error)
        raise DataError("the image cannot be read", where=str(path), found=found) from error


def _pixels(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    try:
        return np.array(image.convert("RGB"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataError("the image is damaged", where=str(path), found=str(error), hint="copy it again") from error
