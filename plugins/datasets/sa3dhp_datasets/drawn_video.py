"""Writing pictures as an mp4 that any player shows, each drawn upon on the way. Draws nothing itself."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from sa3dhp_core.atomic import write_atomic
from sa3dhp_core.errors import DataError
from sa3dhp_core.protocols.people import Draw

TICKS = 90_000
"""Parts of a second in which times are written."""

OPTIONS = {"crf": "23", "preset": "ultrafast"}


def write_drawn(
    path: Path, times_s: NDArray[np.float64], pictures: Iterable[tuple[int, NDArray[np.uint8]]], draw: Draw
) -> None:
    """Write numbered ``(H, W, 3)`` pictures at their times; sides are made even, as H.264 needs them.

    Raises:
        DataError: it cannot be encoded here.
    """
    try:
        write_atomic(path, partial(_write, times_s=times_s, pictures=pictures, draw=draw))
    except (av.error.FFmpegError, ValueError) as error:
        raise DataError(f"the video cannot be written: {error}", where=str(path)) from error


def _write(
    path: Path, times_s: NDArray[np.float64], pictures: Iterable[tuple[int, NDArray[np.uint8]]], draw: Draw
) -> None:
    stream = None
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        for number, picture in pictures:
            height, width = picture.shape[:2]
            if stream is None:
                stream = container.add_stream("libx264", options=OPTIONS)
                stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
                stream.codec_context.time_base = Fraction(1, TICKS)
            shown = np.array(picture)
            draw(number, shown)
            frame = av.VideoFrame.from_ndarray(shown, format="rgb24").reformat(stream.width, stream.height, "yuv420p")
            frame.pts, frame.time_base = round(float(times_s[number]) * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode())
