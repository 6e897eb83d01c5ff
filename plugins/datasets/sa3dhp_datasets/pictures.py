"""Pictures of a shot: a video, or image files in order. Cuts nothing."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sa3dhp_core.errors import DataError
from sa3dhp_datasets.footage import Footage, frames, probe


@attrs.frozen(eq=False)
class VideoPictures:
    """The frames of a video file."""

    footage: Footage

    @classmethod
    def open(cls, path: Path) -> VideoPictures:
        """Read what it holds; see `probe` for errors."""
        return cls(probe(path))

    @property
    def width(self) -> int:
        """Pixels."""
        return self.footage.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.footage.height

    def __len__(self) -> int:
        return len(self.footage.times_s)

    def frames(self, wanted: Container[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """See `Pictures`; raises `DataError` for what cannot be decoded."""
        return frames(self.footage, wanted)


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
