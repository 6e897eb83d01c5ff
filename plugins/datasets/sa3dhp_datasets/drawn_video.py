"""Writing pictures as an mp4 that any player shows, each drawn upon on the way. Draws nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from sa3dhp_core.atomic import write_atomic
from sa3dhp_core.canvas import Canvas
from sa3dhp_core.errors import DataError
from sa3dhp_core.protocols.people import Draw
from sa3dhp_datasets.ahead import ahead

TICKS = 90_000
"""Parts of a second in which times are written."""

OPTIONS = {"crf": "23", "preset": "ultrafast"}


def write_drawn(path: Path, times_s: NDArray[np.float64], frames: Iterable[av.VideoFrame], draw: Draw) -> None:
    """Write frames at their times; sides are made even, as H.264 needs them.

    What is not drawn upon is encoded as it was decoded, in the colours that the film says it has.

    Raises:
        DataError: it cannot be encoded here.
    """
    try:
        write_atomic(path, partial(_write, times_s=times_s, frames=frames, draw=draw))
    except (av.error.FFmpegError, ValueError) as error:
        raise DataError(f"the video cannot be written: {error}", where=str(path)) from error


def _write(path: Path, times_s: NDArray[np.float64], frames: Iterable[av.VideoFrame], draw: Draw) -> None:
    stream: av.VideoStream | None = None
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        for number, frame in enumerate(ahead(_planar(frames))):
            stream = stream or _stream(container, frame)
            draw(number, canvas_of(frame))
            frame.pict_type = PictureType.NONE  # the encoder's own choice, not that of the film's encoder
            frame.pts, frame.time_base = round(float(times_s[number]) * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode())


def _stream(container: av.container.OutputContainer, frame: av.VideoFrame) -> av.VideoStream:
    """H.264 of the size and colours of a frame."""
    stream = container.add_stream("libx264", options=OPTIONS)
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
    coder = stream.codec_context
    coder.time_base = Fraction(1, TICKS)
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(coder, name, int(getattr(frame, name)))
    return stream


def canvas_of(frame: av.VideoFrame) -> Canvas:
    """The planes of a writable ``yuv420p`` frame; what is drawn into them is in the frame."""
    planes: tuple[Any, ...] = frame.planes  # buffers, which their types do not tell
    luma, blue, red = (
        np.frombuffer(plane, dtype=np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in planes
    )
    standard = 709 if frame.colorspace == Colorspace.ITU709 else 601
    return Canvas(luma, blue, red, standard, frame.color_range == ColorRange.JPEG)


def _planar(frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Frames as planes of even sides, which may be drawn upon: decoders still read those that they gave."""
    for frame in frames:
        even = frame.reformat(frame.width + frame.width % 2, frame.height + frame.height % 2, "yuv420p")
        even.make_writable()
        yield even
